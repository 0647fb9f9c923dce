//! Ids in a payload.
//!
//! Owns the packing of a UUID in its usual form into 16 bytes. Every other text stays as it is.

use bincode::de::BorrowDecoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Encode};

use crate::model::Text;

/// Why a payload cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BadPayload(pub(crate) String);

/// An id: most are UUIDs in the usual form, which need 16 bytes instead of 36.
#[derive(Clone, Copy, Debug, Encode, BorrowDecode, PartialEq, Eq)]
pub(crate) enum IdView<'a> {
    Uuid(UuidBytes),
    Text(&'a [u8]),
}

/// The 16 bytes of a UUID, as two numbers. As bytes they would lie right behind the tag of whatever may hold them, at an
/// odd place, and be copied in parts that overlap: a processor waits for each of those to be written before it reads them
/// back, and every event that is decoded, held or compared is copied so, several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UuidBytes([u64; 2]);

impl UuidBytes {
    #[inline]
    pub(crate) fn of(bytes: [u8; 16]) -> Self {
        let number = u128::from_le_bytes(bytes);
        let half = |number: u128| u64::try_from(number & u128::from(u64::MAX)).unwrap_or_default();
        Self([half(number), half(number >> 64)])
    }

    #[inline]
    pub(crate) fn bytes(self) -> [u8; 16] {
        let [low, high] = self.0.map(u128::from);
        (low | high << 64).to_le_bytes()
    }

    /// All four parts of four bytes, one over the other: what is not random in one kind of UUID is in another.
    #[inline]
    pub(crate) fn folded(self) -> u32 {
        let [low, high] = self.0;
        let half = low ^ high;
        u32::try_from((half ^ half >> 32) & u64::from(u32::MAX)).unwrap_or_default()
    }
}

impl Encode for UuidBytes {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.bytes().encode(encoder)
    }
}

impl<'de, Context> BorrowDecode<'de, Context> for UuidBytes {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        <[u8; 16]>::borrow_decode(decoder).map(Self::of)
    }
}

impl<'a> IdView<'a> {
    pub(crate) fn of(id: &'a [u8]) -> Self {
        uuid_of(id).map_or(Self::Text(id), |bytes| Self::Uuid(UuidBytes::of(bytes)))
    }

    /// Calls with the id's bytes, which are WTF-8.
    pub(crate) fn with_bytes<T>(&self, take: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::Uuid(bytes) => take(&text_of(bytes.bytes())),
            Self::Text(bytes) => take(bytes),
        }
    }

    pub(crate) fn to_text(self) -> Result<Text, BadPayload> {
        match self {
            Self::Uuid(bytes) => Ok(Text::of_short_ascii(text_of(bytes.bytes()))),
            Self::Text(text) => {
                Text::copied_from_wtf8(text).map_err(|_| BadPayload("an id is not well-formed".to_owned()))
            }
        }
    }

    /// The id as a conversation's, which is valid Unicode.
    pub(crate) fn to_id(self) -> Result<String, BadPayload> {
        self.with_bytes(|bytes| std::str::from_utf8(bytes).map(str::to_owned))
            .map_err(|_| BadPayload("a conversation id is not valid Unicode".to_owned()))
    }
}

/// Every byte in two hexadecimal digits.
const DIGITS: [[u8; 2]; 256] = {
    let mut digits = [*b"00"; 256];
    let mut rest = digits.as_mut_slice();
    let mut pair = *b"00";
    while let Some((digit, behind)) = rest.split_first_mut() {
        *digit = pair;
        rest = behind;
        let [high, low] = pair;
        pair = if low == b'f' { [next(high), b'0'] } else { [high, next(low)] };
    }
    digits
};

/// The digit after this one.
const fn next(digit: u8) -> u8 {
    if digit == b'9' { b'a' } else { digit + 1 }
}

/// The canonical text of a UUID. Each message that is read has one made, so digits come in pairs.
fn text_of(uuid: [u8; 16]) -> [u8; 36] {
    /// Where the pairs stand; there are hyphens between them.
    const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    let mut text = [b'-'; 36];
    for (place, byte) in PLACES.into_iter().zip(uuid) {
        let digits = DIGITS.get(usize::from(byte)).copied().unwrap_or_default();
        if let Some(pair) = text.get_mut(place..).and_then(<[u8]>::first_chunk_mut) {
            *pair = digits;
        }
    }
    text
}

/// The bytes of a UUID in its canonical text: lower case, hyphens in their places.
///
/// Every append and every look at an index asks for it, so eight digits are taken at a time, as one number.
fn uuid_of(id: &[u8]) -> Option<[u8; 16]> {
    let (first, rest) = id.split_first_chunk::<8>()?;
    let ([b'-', second @ .., b'-'], rest) = rest.split_first_chunk::<6>()? else { return None };
    let ([third @ .., b'-'], rest) = rest.split_first_chunk::<5>()? else { return None };
    let ([fourth @ .., b'-'], rest) = rest.split_first_chunk::<5>()? else { return None };
    let (fifth, rest) = rest.split_first_chunk::<4>()?;
    let last: &[u8; 8] = rest.try_into().ok()?;
    let joined = |low: &[u8; 4], high: &[u8; 4]| {
        u64::from(u32::from_le_bytes(*low)) | u64::from(u32::from_le_bytes(*high)) << 32
    };
    let (first, second) = (u64::from_le_bytes(*first), joined(second, third));
    let (third, fourth) = (joined(fourth, fifth), u64::from_le_bytes(*last));
    let (first, second, third, fourth) = (hex_of(first), hex_of(second), hex_of(third), hex_of(fourth));
    // All at once: most ids are UUIDs, and four questions take longer than one.
    if first.1 | second.1 | third.1 | fourth.1 != 0 {
        return None;
    }
    let low = u128::from(first.0 | second.0 << 32);
    let high = u128::from(third.0 | fourth.0 << 32);
    Some((low | high << 64).to_le_bytes())
}

/// The four bytes that eight lower-case hexadecimal digits stand for, the first digit being in the lowest byte; and
/// something other than 0 if one of them is no such digit.
#[inline]
fn hex_of(digits: u64) -> (u64, u64) {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Letters have a bit that figures do not; their low half counts from one.
    let values = (digits & (0x0f * EACH)) + 9 * ((digits >> 6) & EACH);
    let is_letter = ((values + 118 * EACH) >> 7) & EACH;
    // What is no digit gives a value that is none, or one that is written otherwise.
    let written = values + u64::from(b'0') * EACH + u64::from(b'a' - b'0' - 10) * is_letter;
    let wrong = (written ^ digits) | (values & (0xf0 * EACH));
    let pairs = ((values << 4) | (values >> 8)) & 0x00ff_00ff_00ff_00ff;
    let halves = (pairs | (pairs >> 8)) & 0x0000_ffff_0000_ffff;
    ((halves | (halves >> 16)) & 0xffff_ffff, wrong)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_uuid_has_the_text_that_everybody_gives_it(bytes: [u8; 16]) {
            let text = uuid::Uuid::from_bytes(bytes).as_hyphenated().to_string();
            prop_assert_eq!(&text_of(bytes)[..], text.as_bytes());
            let packed = UuidBytes::of(bytes);
            prop_assert_eq!(packed.bytes(), bytes);
            prop_assert_eq!(IdView::Uuid(packed).to_text().unwrap(), text.as_str());
            prop_assert_eq!(IdView::of(text.as_bytes()), IdView::Uuid(packed));
        }
    }

    #[test]
    fn digits_follow_one_another() {
        let mut digits = vec![b'0'];
        digits.extend((1..16).scan(b'0', |digit, _| {
            *digit = next(*digit);
            Some(*digit)
        }));
        assert_eq!(digits, b"0123456789abcdef");
    }

    #[test]
    fn only_the_usual_form_of_a_uuid_is_packed() {
        let id = "4ae7d5a2-0b1f-4c5e-8a3e-000000000001";
        assert!(IdView::of(id.as_bytes()) != IdView::Text(id.as_bytes()));
        for other in
            [id.to_uppercase(), id.replace('-', ""), format!("{{{id}}}"), "c1".to_owned(), String::new()]
        {
            assert_eq!(IdView::of(other.as_bytes()), IdView::Text(other.as_bytes()));
        }
        assert_eq!(IdView::of(id.as_bytes()).to_text().unwrap(), id);
    }

    #[test]
    fn a_packed_id_is_what_the_library_reads_and_every_wrong_byte_is_seen() {
        for n in 0..2000_u128 {
            let id = uuid::Uuid::from_u128(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
            assert_eq!(IdView::of(id.to_string().as_bytes()), IdView::Uuid(UuidBytes::of(id.into_bytes())));
        }
        let id = *b"01234567-89ab-cdef-fedc-ba9876543210";
        for at in 0..id.len() {
            for byte in 0..=u8::MAX {
                let mut changed = id;
                changed[at] = byte;
                let is_hyphen = [8, 13, 18, 23].contains(&at);
                let fits = if is_hyphen { byte == b'-' } else { matches!(byte, b'0'..=b'9' | b'a'..=b'f') };
                assert_eq!(IdView::of(&changed) != IdView::Text(&changed), fits, "{byte} at {at}");
            }
            assert_eq!(IdView::of(&id[..at]), IdView::Text(&id[..at]));
        }
        assert_eq!(IdView::of(&[&id[..], b"0"].concat()), IdView::Text(&[&id[..], b"0"].concat()));
    }
}
