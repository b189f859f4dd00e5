//! `include/tagtrust.h` is what cbindgen makes of the sources.

use std::path::Path;

#[test]
fn the_header_is_that_of_the_sources() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = package.join("../include/tagtrust.h");
    let generated = generate(package);
    if std::env::var_os("TAGTRUST_WRITE_HEADER").is_some() {
        std::fs::write(&committed, &generated).unwrap();
    }
    let is_same = std::fs::read_to_string(&committed).is_ok_and(|text| text == generated);
    assert!(
        is_same,
        "include/tagtrust.h is not that of the sources; run `make header` and look at the difference"
    );
}

fn generate(package: &Path) -> String {
    let mut config = cbindgen::Config::from_file(package.join("cbindgen.toml")).unwrap();
    config.after_includes = Some(macros());
    let bindings = cbindgen::Builder::new().with_crate(package).with_config(config).generate().unwrap();
    let mut header = Vec::new();
    bindings.write(&mut header);
    // The names that strings and arrays get in cbindgen.toml end in a star, and cbindgen puts a space after names.
    let header = String::from_utf8(header).unwrap();
    joined(&header).replace("char * ", "char *").replace("const * ", "const *").replace("_t * ", "_t *")
}

/// Neighbours with the same condition under one: cbindgen gives each its own.
fn joined(header: &str) -> String {
    let (mut lines, mut open, mut closed) = (Vec::new(), None, None);
    for line in header.lines() {
        match line.strip_prefix("#if defined(") {
            Some(condition) => {
                open = Some(condition);
                if closed == open && lines.ends_with(&["#endif", ""]) {
                    lines.truncate(lines.len() - 2);
                    lines.push("");
                    continue;
                }
            }
            None if line == "#endif" => closed = open.take(),
            None => {}
        }
        lines.push(line);
    }
    lines.join("\n") + "\n"
}

fn macros() -> String {
    let numbers = [
        ("MAJOR", env!("CARGO_PKG_VERSION_MAJOR")),
        ("MINOR", env!("CARGO_PKG_VERSION_MINOR")),
        ("PATCH", env!("CARGO_PKG_VERSION_PATCH")),
    ];
    let mut macros = format!("\n#define TAGTRUST_VERSION \"{}\"", env!("CARGO_PKG_VERSION"));
    for (part, number) in numbers {
        macros += &format!("\n#define TAGTRUST_VERSION_{part} {number}");
    }
    macros + PARTS
}

const PARTS: &str = "

/* What the library was built with. Each of these says what it lacks, and with it
 * what needs that: TAGTRUST_NO_HTTP (no client: files are verified that you hand
 * over), TAGTRUST_NO_SIGNING (no keys, no publishing), TAGTRUST_NO_SERVER. */
#ifndef TAGTRUST_NO_HTTP
#define TAGTRUST_HTTP
#ifndef TAGTRUST_NO_SIGNING
#define TAGTRUST_SIGNING
#ifndef TAGTRUST_NO_SERVER
#define TAGTRUST_SERVER
#endif
#endif
#endif";
