//! Gives the shared library its soname, by cargo-c's rule: before 1.0 every
//! minor version may change the ABI, so it is part of the name.

use std::env;
use std::io::ErrorKind;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // cargo-c builds with the feature `capi`, and names the library itself.
    if variable("CARGO_CFG_TARGET_OS") != "linux" || env::var_os("CARGO_FEATURE_CAPI").is_some() {
        return;
    }
    let soname = match variable("CARGO_PKG_VERSION_MAJOR").as_str() {
        "0" => format!("libtagtrust.so.0.{}", variable("CARGO_PKG_VERSION_MINOR")),
        major => format!("libtagtrust.so.{major}"),
    };
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{soname}");
    // Programs find the library under this name also where cargo leaves it:
    // three directories above OUT_DIR.
    if let Some(target) = Path::new(&variable("OUT_DIR")).ancestors().nth(3) {
        link("libtagtrust.so", &target.join(soname));
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[cfg(unix)]
fn link(to: &str, at: &Path) {
    match std::os::unix::fs::symlink(to, at) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => panic!("{}: {error}", at.display()),
        _ => {}
    }
}

#[cfg(not(unix))]
fn link(_: &str, _: &Path) {}
