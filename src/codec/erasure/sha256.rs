//! SHA-256, as FIPS 180-4 has it: what a receipt of an erasure keeps instead of ids and texts.
//!
//! Owns the digest of short inputs. Not for speed.

/// The first 32 bits of the fractional parts of the square roots of the first 8 primes.
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The same of the cube roots of the first 64.
const ROUNDS: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

/// The digest of some bytes that follow one another.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut message: Vec<u8> = parts.concat();
    let bits = u64::try_from(message.len()).unwrap_or_default().wrapping_mul(8);
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend(bits.to_be_bytes());
    let mut state = START;
    for block in message.as_chunks::<64>().0 {
        add(&mut state, block);
    }
    let mut digest = [0; 32];
    for (to, from) in digest.iter_mut().zip(state.iter().flat_map(|word| word.to_be_bytes())) {
        *to = from;
    }
    digest
}

#[expect(clippy::many_single_char_names, reason = "the standard names them so")]
fn add(state: &mut [u32; 8], block: &[u8; 64]) {
    let mut last = [0_u32; 16];
    for (word, bytes) in last.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for round in ROUNDS {
        // The words of the schedule, of which only the last sixteen are ever needed.
        let [word, second, .., tenth, _, _, _, _, before_last, _] = last;
        let one = h
            .wrapping_add(e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25))
            .wrapping_add((e & f) ^ (!e & g))
            .wrapping_add(round)
            .wrapping_add(word);
        let two = (a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22))
            .wrapping_add((a & b) ^ (a & c) ^ (b & c));
        (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(one), c, b, a, one.wrapping_add(two));
        let small = |x: u32, r: u32, s: u32, t: u32| x.rotate_right(r) ^ x.rotate_right(s) ^ (x >> t);
        let next = small(before_last, 17, 19, 10)
            .wrapping_add(tenth)
            .wrapping_add(small(second, 7, 18, 3))
            .wrapping_add(word);
        last.rotate_left(1);
        if let Some(end) = last.last_mut() {
            *end = next;
        }
    }
    for (sum, part) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *sum = sum.wrapping_add(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halves(digest: &[u8; 32]) -> [u128; 2] {
        let half = |at: usize| u128::from_be_bytes(digest[at..at + 16].try_into().unwrap());
        [half(0), half(16)]
    }

    #[test]
    fn the_examples_of_the_standard_have_their_digests() {
        let long = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        for (text, digest) in [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (long, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
        ] {
            let is: [u128; 2] = halves(&sha256(&[text.as_bytes()]));
            assert_eq!(format!("{:032x}{:032x}", is[0], is[1]), digest, "{text}");
        }
        let (begin, end) = long.as_bytes().split_at(20);
        assert_eq!(sha256(&[begin, end]), sha256(&[long.as_bytes()]));
    }
}
