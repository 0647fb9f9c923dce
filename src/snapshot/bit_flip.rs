//! Telling one flipped bit from an edit.
//!
//! Owns the arithmetic that finds, from a checksum alone, the one bit in which bytes differ from what they
//! were. CRC-32 gives every single-bit error of anything below 512 MiB a syndrome of its own, so if the
//! syndrome is that of a bit, the bytes were damaged and not edited, and the bit's place is known.

/// The reflected generator polynomial of CRC-32.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// The byte in which `bytes` differ in exactly one bit from what had the checksum `crc`; `None` if they
/// differ in more, or not at all.
pub(crate) fn flipped_byte(bytes: &[u8], crc: u32) -> Option<usize> {
    flipped_bit(bytes, crc).map(|(at, _)| at)
}

/// The bytes with the one bit turned back in which they differ from what had the checksum `crc`.
pub(crate) fn turned_back(bytes: &[u8], crc: u32) -> Option<Vec<u8>> {
    let (at, mask) = flipped_bit(bytes, crc)?;
    let mut whole = bytes.to_vec();
    *whole.get_mut(at)? ^= mask;
    (crc32fast::hash(&whole) == crc).then_some(whole)
}

/// The byte and, in it, the bit in which `bytes` differ.
fn flipped_bit(bytes: &[u8], crc: u32) -> Option<(usize, u8)> {
    let syndrome = crc32fast::hash(bytes) ^ crc;
    if syndrome == 0 {
        return None;
    }
    // The syndrome of the last byte's bit is the table's entry; of a byte before it, that entry carried on
    // through the zeros behind it. Going backwards over the bytes, each step carries one byte further.
    let mut of_bit = [0_u32; 8];
    for (bit, value) in of_bit.iter_mut().enumerate() {
        *value = carry(1 << bit);
    }
    for at in (0..bytes.len()).rev() {
        if let Some(bit) = of_bit.iter().position(|value| *value == syndrome) {
            return Some((at, 1 << bit));
        }
        for value in &mut of_bit {
            *value = carry(*value);
        }
    }
    None
}

/// Eight steps of the checksum's shift register over zeros.
fn carry(mut register: u32) -> u32 {
    for _ in 0..8 {
        register = if register & 1 == 1 { register >> 1 ^ POLYNOMIAL } else { register >> 1 };
    }
    register
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_flipped_bit_is_found_and_an_edit_is_not_mistaken_for_one() {
        let original: Vec<u8> = (0..2000_u32).flat_map(u32::to_le_bytes).collect();
        let crc = crc32fast::hash(&original);
        assert_eq!(flipped_byte(&original, crc), None);
        for at in [0, 1, 999, 7998, 7999] {
            for bit in 0..8 {
                let mut damaged = original.clone();
                damaged[at] ^= 1 << bit;
                assert_eq!(flipped_byte(&damaged, crc), Some(at));
                assert_eq!(turned_back(&damaged, crc).as_ref(), Some(&original));
                damaged[17] ^= 0x81;
                assert_eq!(flipped_byte(&damaged, crc), None);
            }
        }
    }
}
