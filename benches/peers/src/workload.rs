//! What is written: messages that follow from where they belong.
//!
//! Owns the making of rows and their digest. A row is a function of its conversation and its number there, so that any
//! process can say what must be found, without a list of what was written.

/// When the first message was written, in microseconds of the Unix epoch.
const EPOCH: i64 = 1_767_225_600_000_000;

/// How long a message is, unless a measure says otherwise.
pub(crate) const CONTENT: usize = 200;

/// What of a row is the user's own: id, role, content, a time of eight bytes, and `{}`.
pub(crate) const USER_BYTES: f64 = 36.0 + 6.5 + 200.0 + 8.0 + 2.0;

/// A conversation: its number, for those who keep numbers, and its id.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub(crate) number: u32,
    pub(crate) id: String,
}

impl Talk {
    pub(crate) fn new(number: u32) -> Self {
        Self { number, id: uuid(u64::from(number) | 0xc0de << 48) }
    }
}

/// A message and where it belongs.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) talk: Talk,
    pub(crate) seq: u32,
    pub(crate) id: String,
    pub(crate) role: &'static str,
    pub(crate) content: String,
    pub(crate) created_at: i64,
}

impl Row {
    pub(crate) fn new(conversation: u32, seq: u32) -> Self {
        let place = u64::from(conversation) << 32 | u64::from(seq);
        Self {
            talk: Talk::new(conversation),
            seq,
            id: uuid(place),
            role: if seq % 2 == 0 { "user" } else { "assistant" },
            content: content(place),
            created_at: EPOCH + i64::from(seq) * 1_000_003 + i64::from(conversation),
        }
    }
}

/// A text that looks like a UUID of version 4, another one for every place.
fn uuid(place: u64) -> String {
    let (high, low) = (mixed(place), mixed(!place));
    uuid::Builder::from_random_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
        .into_uuid()
        .to_string()
}

/// Words without meaning, which begin elsewhere for every place.
fn content(place: u64) -> String {
    const WORDS: &str = "the quick brown fox asked seventeen agents whether any of them had ever seen a log that was \
        torn in the middle of a record and whether it had been mended by the time that somebody came to read it \
        again; most of them said that they had, and that it had been no great matter, since the length was there \
        and the checksum was there, and what did not fit had never been acknowledged to anybody in the first place. ";
    let start = usize::try_from(mixed(place) % 150).unwrap_or_default();
    let mut text = String::with_capacity(CONTENT);
    text.push_str(WORDS.get(start..start + CONTENT).unwrap_or(WORDS));
    text
}

/// The finaliser of splitmix64, a bijection: what is different stays different.
pub(crate) fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// How many messages there are and what is in them, whatever their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Digest {
    pub(crate) count: u64,
    sum: u64,
}

impl Digest {
    pub(crate) fn add(&mut self, id: &str, content: &str) {
        let mut crc = crc32fast::Hasher::new();
        crc.update(id.as_bytes());
        crc.update(content.as_bytes());
        self.count += 1;
        self.sum = self.sum.wrapping_add(mixed(u64::from(crc.finalize())));
    }

    pub(crate) fn add_row(&mut self, row: &Row) {
        self.add(&row.id, &row.content);
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}
