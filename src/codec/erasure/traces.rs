//! What can be searched for without keeping it: salted digests of pieces of a text.
//!
//! Owns the choice of the pieces and the search for them in any bytes. A piece is found wherever it stands, because a short
//! public hash that rolls over the bytes says where a digest is worth taking. Knows no files.

use std::collections::{HashMap, HashSet};

use super::sha256::sha256;

/// How long pieces are; a text that is shorter than the long ones has short ones, and one that is shorter than these none.
pub(crate) const LENGTHS: [usize; 2] = [24, 12];
/// How far apart the pieces of a text begin.
const STRIDE: usize = 64;
/// The most pieces of one text. Those of a longer one are further apart.
const MOST: usize = 64;
/// The base of the hash that rolls.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

/// The salt of a receipt.
pub(crate) type Salt = [u8; 16];

/// A digest, cut to what keeps chance away.
pub(crate) type Digest = [u8; 16];

/// The salted digest of some bytes.
pub(crate) fn digest(salt: &Salt, bytes: &[u8]) -> Digest {
    sha256(&[salt, bytes]).first_chunk().copied().unwrap_or_default()
}

/// What stands for a piece: its length, where to look closer, and its digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Trace {
    pub(crate) length: usize,
    pub(crate) sign: u16,
    pub(crate) digest: Digest,
}

/// The pieces of some texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traces {
    all: HashMap<(usize, u16), HashSet<Digest>>,
}

fn sign(hash: u64) -> u16 {
    u16::try_from(hash >> 48).unwrap_or_default()
}

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |hash: u64, byte| hash.wrapping_mul(BASE).wrapping_add(u64::from(*byte) + 1))
}

/// Whether a piece says anything: one of a few bytes over and over is in many files.
fn is_telling(piece: &[u8]) -> bool {
    piece.iter().collect::<HashSet<_>>().len() >= 6
}

impl Traces {
    /// Takes the pieces of a text; says whether it has any.
    pub(crate) fn note(&mut self, salt: &Salt, text: &[u8]) -> bool {
        let Some(length) = LENGTHS.into_iter().find(|length| *length <= text.len()) else { return false };
        let last = text.len() - length;
        let stride = STRIDE.max(last.div_ceil(MOST));
        let mut any = false;
        for at in (0..last).step_by(stride).chain([last]) {
            let piece = text.get(at..at + length).unwrap_or_default();
            if is_telling(piece) {
                self.insert(Trace { length, sign: sign(hash(piece)), digest: digest(salt, piece) });
                any = true;
            }
        }
        any
    }

    pub(crate) fn insert(&mut self, trace: Trace) {
        self.all.entry((trace.length, trace.sign)).or_default().insert(trace.digest);
    }

    /// All of them, in order.
    pub(crate) fn sorted(&self) -> Vec<Trace> {
        let of = |((length, sign), digests): (&(usize, u16), &HashSet<Digest>)| {
            let (length, sign) = (*length, *sign);
            digests.iter().map(move |digest| Trace { length, sign, digest: *digest }).collect::<Vec<_>>()
        };
        let mut all: Vec<Trace> = self.all.iter().flat_map(of).collect();
        all.sort_unstable();
        all
    }

    /// Forgets what is in some bytes too.
    pub(crate) fn forget(&mut self, salt: &Salt, bytes: &[u8]) {
        for (length, sign, digest) in self.found(salt, bytes, usize::MAX).into_iter().map(|(_, found)| found)
        {
            if let Some(digests) = self.all.get_mut(&(length, sign)) {
                digests.remove(&digest);
            }
        }
    }

    /// Where the first piece is in some bytes.
    pub(crate) fn find(&self, salt: &Salt, bytes: &[u8]) -> Option<usize> {
        self.found(salt, bytes, 1).first().map(|(at, _)| *at)
    }

    /// Where pieces are in some bytes, at most so many.
    fn found(&self, salt: &Salt, bytes: &[u8], most: usize) -> Vec<(usize, (usize, u16, Digest))> {
        let mut found = Vec::new();
        for length in LENGTHS {
            if self.all.keys().all(|(of, _)| *of != length) {
                continue;
            }
            let leaving = (1..length).fold(1_u64, |power, _| power.wrapping_mul(BASE));
            let mut rolling = 0_u64;
            for (end, byte) in bytes.iter().enumerate() {
                if let Some(gone) = end.checked_sub(length).and_then(|at| bytes.get(at)) {
                    rolling = rolling.wrapping_sub(leaving.wrapping_mul(u64::from(*gone) + 1));
                }
                rolling = rolling.wrapping_mul(BASE).wrapping_add(u64::from(*byte) + 1);
                let Some(start) = (end + 1).checked_sub(length) else { continue };
                let sign = sign(rolling);
                let Some(digests) = self.all.get(&(length, sign)) else { continue };
                let digest = digest(salt, bytes.get(start..=end).unwrap_or_default());
                if digests.contains(&digest) {
                    found.push((start, (length, sign, digest)));
                    if found.len() == most {
                        return found;
                    }
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_wherever_it_stands_and_by_any_of_its_pieces() {
        let salt = [7; 16];
        let text: Vec<u8> = (0..400_u32).flat_map(|n| format!("{n},").into_bytes()).collect();
        for kept in [text.clone(), text[..24].to_vec(), b"exactly twelve".to_vec(), text[3..50].to_vec()] {
            let mut traces = Traces::default();
            assert!(traces.note(&salt, &kept));
            for before in 0..30 {
                let mut bytes = vec![b'x'; before];
                bytes.extend(&kept);
                bytes.extend(b"behind");
                assert_eq!(traces.find(&salt, &bytes), Some(before));
                assert_eq!(traces.find(&[8; 16], &bytes), None, "another salt finds nothing");
            }
            assert_eq!(traces.find(&salt, b"something else that is long enough to be looked through"), None);
        }
        let mut traces = Traces::default();
        traces.note(&salt, &text);
        for begin in (0..text.len() - 200).step_by(37) {
            assert!(traces.find(&salt, &text[begin..begin + 200]).is_some(), "a part from {begin} on");
        }
    }

    #[test]
    fn what_is_too_short_or_says_nothing_has_no_pieces_and_what_is_elsewhere_too_is_forgotten() {
        let (salt, mut traces) = ([1; 16], Traces::default());
        assert!(!traces.note(&salt, b"short") && !traces.note(&salt, &[b' '; 100]));
        assert!(
            traces.note(&salt, b"a phrase that both of them have")
                && traces.note(&salt, b"of one alone, not the other")
        );
        traces.forget(&salt, b"Well: a phrase that both of them have, word for word.");
        assert_eq!(traces.find(&salt, b"a phrase that both of them have"), None);
        assert!(traces.find(&salt, b"of one alone, not the other").is_some());
        let again = traces.sorted().into_iter().fold(Traces::default(), |mut all, trace| {
            all.insert(trace);
            all
        });
        assert_eq!(again.sorted(), traces.sorted());
    }
}
