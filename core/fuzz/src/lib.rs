//! What must hold for any input, one function for each fuzz target. Each panics
//! where it does not hold, and answers whether the input was accepted.
//!
//! `core/tests/regressions.rs` runs the same functions over the committed seeds
//! and over the inputs that once failed, with an ordinary `cargo test`.

mod certificates;
mod files;
mod keys;
mod plain_json;

use std::borrow::Cow;

use tagtrust::Reference;
use tagtrust::metadata::json::canonical_form;

pub use certificates::certificate;
pub use files::{envelope, root, snapshot, targets};
pub use keys::key;

pub type Target = fn(&[u8]) -> bool;

/// Every target by its name.
pub const TARGETS: [(&str, Target); 9] = [
    ("canonical", canonical),
    ("differential", differential),
    ("envelope", envelope),
    ("root", root),
    ("targets", targets),
    ("snapshot", snapshot),
    ("key", key),
    ("certificate", certificate),
    ("reference", reference),
];

/// The canonical form is a fixed point, and copied only if it differs.
pub fn canonical(json: &[u8]) -> bool {
    let Ok(form) = canonical_form(json) else { return false };
    if let Cow::Owned(form) = &form {
        assert_ne!(form, json, "copied without need");
    }
    match canonical_form(&form) {
        Ok(again) => assert!(matches!(again, Cow::Borrowed(_)), "no fixed point"),
        // Canonical JSON has control characters as they are, JSON must not.
        Err(_) => assert!(form.iter().any(|byte| *byte < 0x20), "refused in its canonical form"),
    }
    true
}

/// The byte scanner and the plain tree agree on what is refused, and on every byte of the rest.
pub fn differential(json: &[u8]) -> bool {
    let form = canonical_form(json).ok();
    let reference = plain_json::read(json).map(|tree| tree.canonical());
    assert_eq!(form.as_deref(), reference.as_deref());
    form.is_some()
}

/// A reference is read back as what it was written from, and its parts are safe as paths.
pub fn reference(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let Ok(repository) = Reference::parse_repository(text) else {
        assert!(Reference::parse(text).is_err());
        return false;
    };
    let image = Reference::parse(text).expect("a tag may be left out");
    assert_eq!(Reference::parse_repository(&repository.to_string()), Ok(repository.clone()));
    assert_eq!(Reference::parse(&image.to_string()), Ok(image.clone()));

    assert_eq!((image.registry(), image.gun()), (repository.registry(), repository.gun()));
    assert_eq!(image.digest(), repository.digest());
    assert!(image.tag().is_some() || image.digest().is_some());
    let tag = image.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = image.digest().map(|digest| format!("@{digest}")).unwrap_or_default();
    assert_eq!(format!("{}{tag}{digest}", image.gun()), image.to_string());

    let path = image.gun().strip_prefix(image.registry()).and_then(|path| path.strip_prefix('/'));
    for component in path.expect("the registry comes first").split('/').chain([image.registry()]) {
        assert!(
            !component.is_empty() && !component.starts_with('.') && !component.contains(['\\', '\0', '/'])
        );
    }
    true
}
