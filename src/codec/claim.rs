//! LOCK: who holds the store for writing.
//!
//! Owns the layout in docs/format.md, section "LOCK". The bytes say nothing but that they are one opening's and no
//! other's: whoever opens for writing replaces them, and a writer that finds other ones knows that it was overtaken.

const MAGIC: [u8; 8] = *b"\x89LCK\r\n\x1a\n";
/// The length of the file.
pub(crate) const CLAIM_LEN: usize = 32;

/// The bytes of a claim with this random number.
pub(crate) fn encode_claim(nonce: [u8; 16]) -> [u8; CLAIM_LEN] {
    let mut bytes = Vec::with_capacity(CLAIM_LEN);
    bytes.extend(MAGIC);
    bytes.extend(nonce);
    bytes.extend([0; 4]);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes.try_into().unwrap_or_default()
}
