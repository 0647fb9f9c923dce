//! The cipher: XChaCha20-Poly1305, whose nonces are long enough to be drawn at random, and HMAC-SHA-256.
//!
//! Owns the only calls of the crates that implement them. A nonce is never counted or kept: a directory that is copied,
//! restored or gone on with twice repeats a counter, and does not repeat 24 random bytes.

use std::io;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit as _, Tag, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::clock::random_bytes;

/// A key, which leaves nothing of itself in memory when it is let go of.
pub(super) type Secret = Zeroizing<[u8; 32]>;

/// How many bytes stand before what is sealed: the nonce.
pub(super) const NONCE: usize = 24;
/// How many bytes stand behind it: the tag.
pub(super) const TAG: usize = 16;

fn out_of_range() -> io::Error {
    io::Error::other("more than a cipher takes at once")
}

/// Seals bytes in place under a nonce of their own, and gives the nonce and the tag.
pub(super) fn seal(key: &Secret, bound: &[u8], bytes: &mut [u8]) -> io::Result<([u8; NONCE], [u8; TAG])> {
    let nonce: [u8; NONCE] = random_bytes()?;
    let cipher = XChaCha20Poly1305::new((&**key).into());
    let place: &XNonce = (&nonce).into();
    let tag = cipher.encrypt_inout_detached(place, bound, bytes.into()).map_err(|_| out_of_range())?;
    Ok((nonce, tag.into()))
}

/// Opens in place what was sealed under the same key and bound to the same. `None` if it is not that.
pub(super) fn open(key: &Secret, bound: &[u8], nonce: &[u8], bytes: &mut [u8], tag: &[u8]) -> Option<()> {
    let nonce: &[u8; NONCE] = nonce.try_into().ok()?;
    let tag: &[u8; TAG] = tag.try_into().ok()?;
    let (nonce, tag): (&XNonce, &Tag) = (nonce.into(), tag.into());
    let cipher = XChaCha20Poly1305::new((&**key).into());
    cipher.decrypt_inout_detached(nonce, bound, bytes.into(), tag).ok()
}

/// What only whoever has the key can make of these bytes.
pub(super) fn keyed_hash(key: &Secret, bytes: &[u8]) -> Secret {
    let Ok(mut hash) = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&**key) else {
        // Keys of every length are taken.
        return Zeroizing::new([0; 32]);
    };
    hash.update(bytes);
    Zeroizing::new(hash.finalize().into_bytes().into())
}

/// A key that nobody has had.
pub(super) fn new_secret() -> io::Result<Secret> {
    random_bytes().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cipher_gives_what_its_specification_gives() {
        // The example in A.3.1 of draft-irtf-cfrg-xchacha-03.
        let key: Vec<u8> = (0x80..=0x9f).collect();
        let key: Secret = Zeroizing::new(key.try_into().unwrap());
        let bound = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let nonce: Vec<u8> = (0x40..=0x57).collect();
        let tag =
            [0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79, 0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a, 0xcf, 0x49];
        let start = [0xbd, 0x6d, 0x17, 0x9d, 0x3e, 0x83, 0xd4, 0x3b];
        let plain = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                     sunscreen would be it.";
        let cipher = XChaCha20Poly1305::new((&*key).into());
        let place: [u8; NONCE] = nonce.clone().try_into().unwrap();
        let mut bytes = plain.as_bytes().to_vec();
        let made =
            cipher.encrypt_inout_detached((&place).into(), &bound, bytes.as_mut_slice().into()).unwrap();
        assert_eq!((&bytes[..8], made.as_slice()), (&start[..], &tag[..]));
        open(&key, &bound, &nonce, &mut bytes, &tag).unwrap();
        assert_eq!(bytes, plain.as_bytes());
    }

    #[test]
    fn what_is_changed_anywhere_does_not_open() {
        let key = new_secret().unwrap();
        let mut bytes = b"hello".to_vec();
        let (nonce, tag) = seal(&key, b"place", &mut bytes).unwrap();
        let (_, other) = seal(&key, b"place", &mut b"hello".to_vec()).unwrap();
        assert_ne!(tag, other, "each has a nonce of its own");
        let opens = |key: &Secret, bound: &[u8], nonce: &[u8], bytes: &[u8], tag: &[u8]| {
            open(key, bound, nonce, &mut bytes.to_vec(), tag).is_some()
        };
        assert!(opens(&key, b"place", &nonce, &bytes, &tag));
        assert!(!opens(&key, b"other", &nonce, &bytes, &tag));
        assert!(!opens(&new_secret().unwrap(), b"place", &nonce, &bytes, &tag));
        assert!(!opens(&key, b"place", &[0; NONCE], &bytes, &tag));
        assert!(!opens(&key, b"place", &nonce, b"jello", &tag));
        assert!(!opens(&key, b"place", &nonce, &bytes, &[0; TAG]));
        assert!(!opens(&key, b"place", &nonce[1..], &bytes, &tag));
    }
}
