//! How fast a directory with an index is searched, how fast that index is made, and how large it is, beside FTS5 as programs use it.
//!
//! Owns the texts, whose words are as frequent as those of a language, and the queries, which both are asked in turn. Uses the public side only.
//! `cargo bench --bench searching`; `MESSAGES` says how many there are, and `QUERIES` how many queries of each kind.

#![expect(clippy::disallowed_methods, reason = "a bench looks at the clock and at the real file system")]
#![expect(clippy::print_stdout, reason = "a bench prints what it measures")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]
#![expect(clippy::indexing_slicing, reason = "the ranks of words are below their number")]
#![expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "counts become figures for people, and chance becomes ranks"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use aral_store::{MessageStore, Mutation, NewMessage, Search, SearchOrder, SyncPolicy};
use rusqlite::{Connection, params};

/// How many words the language has whose frequencies fall as Zipf says.
const WORDS: usize = 50_000;

/// How many messages a conversation has.
const IN_ONE: usize = 20;

/// How many hits a query asks for.
const HITS: usize = 10;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Chance that is the same each time.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to 1.
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A rank, the first half of which, by their logarithms, comes as often as the other one: Zipf's law.
    fn rank(&mut self, from: usize, below: usize) -> usize {
        let (from, below) = (from as f64 + 1.0, below as f64 + 1.0);
        ((from * (below / from).powf(self.part())) as usize - 1).min(WORDS - 1)
    }
}

/// The words of the language, the frequent ones short.
fn language() -> Vec<String> {
    const SYLLABLES: [&str; 40] = [
        "a", "be", "co", "de", "en", "fo", "ga", "hi", "in", "ja", "ka", "le", "mo", "ne", "or", "pa", "qui",
        "re", "so", "ta", "un", "ve", "wi", "xa", "yo", "za", "ser", "ion", "ment", "ing", "al", "tion",
        "ly", "est", "pro", "con", "str", "ch", "th", "er",
    ];
    (0..WORDS)
        .map(|rank| {
            let (mut left, mut word) = (rank, String::new());
            while word.is_empty() || left > 0 {
                word.push_str(SYLLABLES[left % 40]);
                left /= 40;
            }
            word
        })
        .collect()
}

/// A message: mostly short, now and then a long one, 55 words on average, one in fifty a number that hardly another one has.
fn text(language: &[String], chance: &mut Chance) -> String {
    let words = (12.0 * (1.0 / (1.0 - chance.part() * 0.999)).powf(0.8)) as usize + 10;
    let mut text = String::new();
    for at in 0..words {
        text.push_str(if at == 0 {
            ""
        } else if chance.next() % 12 == 0 {
            ". "
        } else {
            " "
        });
        if chance.next() % 50 == 0 {
            text.push_str(&(chance.next() % 10_000_000).to_string());
        } else {
            text.push_str(&language[chance.rank(0, WORDS)]);
        }
    }
    text
}

/// Queries of one kind.
struct Kind {
    name: &'static str,
    queries: Vec<String>,
}

fn kinds(language: &[String], texts: &[String], count: usize) -> Vec<Kind> {
    let mut chance = Chance(7);
    let mut kind = |name, one: &dyn Fn(&mut Chance) -> String| Kind {
        name,
        queries: (0..count).map(|_| one(&mut chance)).collect(),
    };
    let word = |chance: &mut Chance, from, below| language[chance.rank(from, below)].clone();
    let in_text = |chance: &mut Chance, many: usize| {
        let text = &texts[chance.next() as usize % texts.len()];
        let words: Vec<&str> = text.split([' ', '.']).filter(|word| !word.is_empty()).collect();
        let at = chance.next() as usize % (words.len() - many + 1);
        words[at..at + many].iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    vec![
        kind("a rare word", &|chance| word(chance, 5_000, WORDS)),
        kind("a common word", &|chance| word(chance, 100, 5_000)),
        kind("two words", &|chance| format!("{} {}", word(chance, 100, 5_000), word(chance, 1_000, WORDS))),
        kind("a phrase of three", &|chance| format!("\"{}\"", in_text(chance, 3).join(" "))),
        kind("a beginning", &|chance| {
            let word = word(chance, 5_000, WORDS);
            format!("{}*", word.get(..5.min(word.len())).unwrap())
        }),
    ]
}

fn middle(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

/// FTS5 as its documentation has it: texts in a table, and an index with their places beside it.
fn plain(path: &Path, texts: &[String]) -> (Connection, u64, f64) {
    let database = Connection::open(path).unwrap();
    database
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536;
             CREATE TABLE messages (id INTEGER PRIMARY KEY, conversation TEXT, text TEXT);
             CREATE VIRTUAL TABLE words USING fts5 (text, content = 'messages', content_rowid = 'id');",
        )
        .unwrap();
    database.execute_batch("BEGIN").unwrap();
    for (number, text) in texts.iter().enumerate() {
        let mut insert = database.prepare_cached("INSERT INTO messages VALUES (?1, ?2, ?3)").unwrap();
        insert.execute(params![number as i64, format!("c{}", number / IN_ONE), text]).unwrap();
    }
    database.execute_batch("COMMIT").unwrap();
    let pages = || database.query_row("PRAGMA page_count", (), |row| row.get::<_, i64>(0)).unwrap() as u64;
    let before = pages();
    let begin = Instant::now();
    database
        .execute_batch(
            "INSERT INTO words (words) VALUES ('rebuild'); INSERT INTO words (words) VALUES ('optimize');",
        )
        .unwrap();
    let took = begin.elapsed().as_secs_f64();
    let free = database.query_row("PRAGMA freelist_count", (), |row| row.get::<_, i64>(0)).unwrap() as u64;
    let size = database.query_row("PRAGMA page_size", (), |row| row.get::<_, i64>(0)).unwrap() as u64;
    let bytes = (pages() - before - free) * size;
    (database, bytes, took)
}

fn asked(database: &Connection, query: &str, order: SearchOrder) -> usize {
    let order = if order == SearchOrder::Best { "words.rank" } else { "words.rowid DESC" };
    let sql = format!(
        "SELECT conversation, id, snippet(words, 0, '[', ']', '…', 24) FROM words JOIN messages ON id = words.rowid \
         WHERE words MATCH ?1 ORDER BY {order} LIMIT {HITS}"
    );
    let mut statement = database.prepare_cached(&sql).unwrap();
    let rows = statement.query_map([query], |row| row.get::<_, String>(2)).unwrap();
    rows.map(Result::unwrap).count()
}

fn main() {
    let (messages, queries) = (number("MESSAGES", 1_000_000), number("QUERIES", 40));
    let (home, language, mut chance) = (tempfile::tempdir().unwrap(), language(), Chance(1));
    let texts: Vec<String> = (0..messages).map(|_| text(&language, &mut chance)).collect();
    let bytes: usize = texts.iter().map(String::len).sum();
    println!("{messages} messages, {} bytes of text each", bytes / messages);

    let dir = home.path().join("store");
    let store = MessageStore::options().sync(SyncPolicy::Always).compact_manually().open(&dir).unwrap();
    let begin = Instant::now();
    for (first, part) in (0..).step_by(1000).zip(texts.chunks(1000)) {
        let add = |(at, text): (usize, &String)| {
            Mutation::add_message(format!("c{}", (first + at) / IN_ONE), NewMessage::new(text.as_str()))
        };
        drop(store.batch(part.iter().enumerate().map(add).collect::<Vec<_>>()).unwrap());
    }
    let appended = messages as f64 / begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    let index = MessageStore::options().index_search(&dir).unwrap();
    let indexed = messages as f64 / begin.elapsed().as_secs_f64();
    let (database, their_bytes, took) = plain(&home.path().join("plain.db"), &texts);
    let size = |index: u64| index as f64 / bytes as f64;
    println!("appends in batches of 1,000, durable: {appended:.0} messages/s");
    println!("indexing: {indexed:.0} messages/s, {:.2} × the appends (at least 0.5)", indexed / appended);
    println!("FTS5's rebuild and optimize: {:.0} messages/s", messages as f64 / took);
    println!("index: {:.2} × the text (at most 0.6); FTS5's {:.2} ×", size(index.bytes), size(their_bytes));

    for order in [SearchOrder::Newest, SearchOrder::Best] {
        let (mut mine, mut theirs) = (Vec::new(), Vec::new());
        for Kind { name, queries } in kinds(&language, &texts, queries) {
            let (mut own, mut other, mut hits) = (Vec::new(), Vec::new(), (0, 0));
            for query in &queries {
                let begin = Instant::now();
                hits.0 += store.search(Search::new(query.as_str()).order(order).limit(HITS)).unwrap().len();
                own.push(begin.elapsed());
                let begin = Instant::now();
                hits.1 += asked(&database, query, order);
                other.push(begin.elapsed());
            }
            mine.extend(own.iter().copied());
            theirs.extend(other.iter().copied());
            let (own, other) = (middle(&mut own), middle(&mut other));
            println!(
                "{order:?}, {name}: p50 {own:.2} ms, FTS5 {other:.2} ms, {:.2} ×, hits {hits:?}",
                own / other
            );
        }
        let (own, other) = (middle(&mut mine), middle(&mut theirs));
        println!(
            "{order:?}, all: p50 {own:.2} ms (below 10), FTS5 {other:.2} ms, {:.2} × (below 1)",
            own / other
        );
    }
}
