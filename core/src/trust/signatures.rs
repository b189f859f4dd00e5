//! Is a file signed by enough keys of its role?

use std::sync::Arc;

use crate::crypto::{KeyId, PublicKey};
use crate::error::Fault;
use crate::metadata::Envelope;

/// Checks that `threshold` distinct keys out of `keys` signed the file.
pub(crate) fn verify(
    envelope: &Envelope,
    keys: &[(KeyId, Arc<PublicKey>)],
    threshold: u32,
) -> Result<(), Fault> {
    if envelope.signatures.is_empty() {
        return Err(Fault::NoSignatures);
    }
    let key_of = |id: &KeyId| keys.iter().find(|(listed, _)| listed == id);
    // A key under an ID that is not its own ends the check, even where other
    // signatures would do.
    for signature in &envelope.signatures {
        if let Some((listed, key)) = key_of(&signature.key_id)
            && key.id() != listed
        {
            return Err(Fault::KeyId { listed: listed.to_string(), computed: key.id().to_string() });
        }
    }
    // Signatures by other keys, by unknown methods and wrong ones are passed
    // over; each key counts once.
    let mut valid: Vec<&KeyId> = Vec::new();
    for signature in &envelope.signatures {
        if valid.len() as u64 >= u64::from(threshold) {
            break;
        }
        let Some((listed, key)) = key_of(&signature.key_id) else { continue };
        if !valid.contains(&listed) && key.verify(&signature.method, envelope.signed(), &signature.bytes) {
            valid.push(listed);
        }
    }
    if (valid.len() as u64) < u64::from(threshold) {
        return Err(Fault::Threshold {
            needed: threshold,
            valid: u32::try_from(valid.len()).unwrap_or(u32::MAX),
            key_ids: keys.iter().map(|(id, _)| id.to_string()).collect(),
        });
    }
    Ok(())
}
