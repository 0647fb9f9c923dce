//! Where the simulator's free choices come from.
//!
//! Owns the trait and its three sources: a seeded generator, the bytes of a fuzzer, and an odometer that goes
//! through every combination. Knows nothing of files. The same source gives the same choices every time.

/// A source of choices.
pub(crate) trait Choose {
    /// One of `0..n`; `n` is at least 1.
    fn pick(&mut self, n: usize) -> usize;

    /// Whether every combination of picks will come up in its turn. The simulator then offers only the one
    /// way of choosing that includes all others, instead of a mixture that finds faults sooner.
    fn is_exhaustive(&self) -> bool {
        false
    }
}

/// The generator `SplitMix64`: small, fast and the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix(u64);

impl SplitMix {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Choose for SplitMix {
    fn pick(&mut self, n: usize) -> usize {
        let n = u64::try_from(n.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % n).unwrap_or(0)
    }
}

/// Choices read from bytes, as a fuzzer gives them; 0 for ever once they are used up.
#[derive(Clone, Debug)]
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self) -> usize {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                usize::from(*first)
            }
            None => 0,
        }
    }
}

impl Choose for Bytes<'_> {
    fn pick(&mut self, n: usize) -> usize {
        // A pick of one of one says nothing; spending a byte on it would only make inputs longer.
        if n <= 1 {
            return 0;
        }
        let mut value = self.take();
        let mut bound = 256;
        while bound < n {
            value = (value << 8) | self.take();
            bound <<= 8;
        }
        value % n
    }
}

/// Every combination of choices, one a round:
/// `let mut all = Exhaustive::new(); while all.next_round() { ... fs.crash(&mut all) ... }`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exhaustive {
    // What was picked in this round, and out of how many.
    digits: Vec<(usize, usize)>,
    at: usize,
    rounds: u64,
}

impl Exhaustive {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Turns the odometer; `false` once every combination has been.
    pub(crate) fn next_round(&mut self) -> bool {
        self.at = 0;
        self.rounds += 1;
        if self.rounds == 1 {
            return true;
        }
        while let Some((digit, n)) = self.digits.pop() {
            if digit + 1 < n {
                self.digits.push((digit + 1, n));
                return true;
            }
        }
        false
    }

    /// How many rounds were begun.
    pub(crate) fn rounds(&self) -> u64 {
        self.rounds
    }
}

impl Choose for Exhaustive {
    fn pick(&mut self, n: usize) -> usize {
        if n <= 1 {
            return 0;
        }
        if self.at == self.digits.len() {
            self.digits.push((0, n));
        }
        let (digit, out_of) = self.digits[self.at];
        assert_eq!(out_of, n, "the same picks must lead to the same question");
        self.at += 1;
        digit
    }

    fn is_exhaustive(&self) -> bool {
        true
    }
}
