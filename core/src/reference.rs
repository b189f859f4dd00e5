//! Placeholder.
/// x
pub struct Reference;
