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
    String::from_utf8(header)
        .unwrap()
        .replace("char * ", "char *")
        .replace("const * ", "const *")
        .replace("_t * ", "_t *")
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
    macros + SERVER_MACRO
}

const SERVER_MACRO: &str = "

/* For a library that was built without the feature `server`. */
#ifndef TAGTRUST_NO_SERVER
#define TAGTRUST_SERVER
#endif";
