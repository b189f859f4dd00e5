//! The fuzz targets' own checks over committed inputs: the seeds from which the
//! fuzzer starts, and every input that once failed (`tests/vectors/regressions`).
//! `valid-` and `invalid-` in a name say what must become of the input.

#[expect(unreachable_pub, reason = "public in the fuzz crate")]
#[path = "../fuzz/src/lib.rs"]
mod properties;

use std::path::{Path, PathBuf};

fn inputs(folder: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target);
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn what_the_fuzzer_checks_holds_for_every_committed_input() {
    for (target, holds_for) in properties::TARGETS {
        let seeds = inputs("fuzz/seeds", target);
        assert!(!seeds.is_empty(), "{target} has no seed");
        let (mut valid, mut invalid) = (0, 0);
        for input in seeds.iter().chain(&inputs("../tests/vectors/regressions", target)) {
            // Shown if the check panics.
            println!("{}", input.display());
            let accepted = holds_for(&std::fs::read(input).unwrap());
            let name = input.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("valid-") {
                assert!(accepted, "{name} must be accepted");
                valid += 1;
            } else if name.starts_with("invalid-") {
                assert!(!accepted, "{name} must be refused");
                invalid += 1;
            }
        }
        assert!(valid > 0 && invalid > 0, "{target} needs an input of either kind");
    }
}
