//! Where a store is, as a caller names it.
//!
//! Owns the telling of a URL from a path: a store lives in a directory, and whoever names a database or a bucket must
//! not get a directory called `postgres:` instead. Knows which engines there could be, by their schemes, and opens
//! nothing. No error repeats more of a URL than its scheme: a password may follow.

use std::path::Path;

use crate::error::{Error, Result};

/// A kind of place that is no directory.
struct Engine {
    schemes: &'static [&'static str],
    /// What it keeps a store in, for people.
    keeps: &'static str,
    /// The cargo feature that builds it in.
    feature: &'static str,
    /// Whether it is built in.
    is_here: bool,
}

/// The engines that a name can mean.
const ENGINES: [Engine; 7] = [
    Engine {
        schemes: &["sqlite", "sqlite3"],
        keeps: "an SQLite file",
        feature: "sqlite",
        is_here: cfg!(feature = "sqlite"),
    },
    Engine {
        schemes: &["postgres", "postgresql"],
        keeps: "a PostgreSQL database",
        feature: "postgres",
        is_here: cfg!(feature = "postgres"),
    },
    Engine {
        schemes: &["mongodb", "mongodb+srv"],
        keeps: "a MongoDB database",
        feature: "mongodb",
        is_here: cfg!(feature = "mongodb"),
    },
    Engine {
        schemes: &["s3", "s3a"],
        keeps: "an S3 bucket",
        feature: "cloud",
        is_here: cfg!(feature = "cloud"),
    },
    Engine {
        schemes: &["gs", "gcs"],
        keeps: "a Google Cloud Storage bucket",
        feature: "cloud",
        is_here: cfg!(feature = "cloud"),
    },
    Engine {
        schemes: &["az", "azure", "abfs", "abfss"],
        keeps: "an Azure container",
        feature: "cloud",
        is_here: cfg!(feature = "cloud"),
    },
    Engine {
        schemes: &["firestore", "firebase"],
        keeps: "a Firestore database",
        feature: "firestore",
        is_here: cfg!(feature = "firestore"),
    },
];

/// Refuses the name of a directory that is a URL, or begins like one.
///
/// Every call that takes a store's directory asks this first, so that nothing is made. A directory that is really
/// called `a:b` is reached as `./a:b`.
///
/// # Errors
///
/// `InvalidInput`, naming the scheme, and the engine that would be needed if there could be one. Nothing else of a URL
/// is in the error: it may hold a password.
///
/// ```
/// use std::path::Path;
/// use aral_store::location::check_directory;
/// assert!(check_directory(Path::new("./data")).is_ok());
/// let error = check_directory(Path::new("postgres://app:secret@db/x")).unwrap_err();
/// assert!(error.message().contains("postgres") && !error.to_string().contains("secret"));
/// ```
pub fn check_directory(path: &Path) -> Result<()> {
    match Named::of(path) {
        Some(named) => Err(named.refused("a store is kept in a directory", "a directory")),
        None => Ok(()),
    }
}

/// Refuses the name of a file that is a URL.
///
/// Unlike the name of a directory it may begin with a word and a colon, as `backup-12:30.jsonl` does, unless the word is
/// the scheme of an engine or two slashes follow.
///
/// # Errors
///
/// `InvalidInput`, as for [`check_directory`].
///
/// ```
/// use std::path::Path;
/// use aral_store::location::check_file;
/// assert!(check_file(Path::new("backup-12:30.jsonl")).is_ok());
/// assert!(check_file(Path::new("https://example.org/all.jsonl")).is_err());
/// ```
pub fn check_file(path: &Path) -> Result<()> {
    match Named::of(path) {
        Some(named) if named.has_slashes || named.is_known() => {
            Err(named.refused("only files are written and read here", "a file"))
        }
        Some(_) | None => Ok(()),
    }
}

/// What is before the first colon of a name, if it could be a scheme.
struct Named {
    scheme: String,
    has_slashes: bool,
}

impl Named {
    fn of(path: &Path) -> Option<Self> {
        // Who sets a variable in a file may have left blanks and quotes there, and a password between them.
        let bytes = trimmed(path.as_os_str().as_encoded_bytes());
        // What SQLite calls its store in memory, which has no scheme.
        if bytes == b":memory:" {
            return Some(Self { scheme: "memory".to_owned(), has_slashes: false });
        }
        let colon = bytes.iter().position(|byte| *byte == b':')?;
        let (scheme, rest) = bytes.split_at(colon);
        let named = |scheme: &[u8], has_slashes| Self {
            scheme: String::from_utf8_lossy(scheme).to_ascii_lowercase(),
            has_slashes,
        };
        if scheme.first().is_some_and(u8::is_ascii_alphabetic) && scheme.iter().copied().all(is_of_scheme) {
            return Some(named(scheme, rest.starts_with(SLASHES)));
        }
        if bytes.starts_with(b"/") || bytes.starts_with(b"./") || bytes.starts_with(b"../") {
            return None;
        }
        // Something stands before a URL, as `URL=` may.
        let at = memchr::memmem::find(bytes, SLASHES)?;
        let before = bytes.get(..at).unwrap_or_default();
        let start = before.iter().rposition(|byte| !is_of_scheme(*byte)).map_or(0, |last| last + 1);
        Some(named(before.get(start..).unwrap_or_default(), true))
    }

    fn engine(&self) -> Option<&'static Engine> {
        ENGINES.iter().find(|engine| engine.schemes.contains(&self.scheme.as_str()))
    }

    fn is_known(&self) -> bool {
        self.engine().is_some() || matches!(self.scheme.as_str(), "file" | "memory")
    }

    fn refused(&self, rule: &str, thing: &str) -> Error {
        let scheme = &self.scheme;
        let meaning = match (self.engine(), scheme.as_str()) {
            (Some(engine), _) if engine.is_here => {
                format!("means {}, which MessageStore::connect and aral-store -d open", engine.keeps)
            }
            (Some(Engine { keeps, feature, .. }), _) => format!(
                "means {keeps}, and this build has no engine for that: build it with the cargo feature {feature}"
            ),
            (None, "memory") => "means a store in memory, which no path names: in Rust it is \
                                 MessageStore::in_memory(), in Python Store() or MessageStore() without a path"
                .to_owned(),
            (None, "file") => format!("is not needed: name {thing} by its path alone"),
            (None, _) => "is not the scheme of any engine that is known here".to_owned(),
        };
        Error::invalid(format!(
            "{scheme:.60}: {meaning}; {rule}, and {thing} whose name begins like this is written with ./ before it"
        ))
    }
}

/// What parts the scheme of a URL from the rest.
const SLASHES: &[u8] = b"://";

fn is_of_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

/// A name without the blanks and quotes around it.
fn trimmed(bytes: &[u8]) -> &[u8] {
    let is_around = |byte: &u8| byte.is_ascii_whitespace() || b"\"'`".contains(byte);
    let start = bytes.iter().position(|byte| !is_around(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_around(byte)).map_or(start, |last| last + 1);
    bytes.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQLITE: &str =
        if cfg!(feature = "sqlite") { "MessageStore::connect" } else { "the cargo feature sqlite" };

    const CLOUD: &str =
        if cfg!(feature = "cloud") { "MessageStore::connect" } else { "the cargo feature cloud" };

    const FIRESTORE: &str =
        if cfg!(feature = "firestore") { "MessageStore::connect" } else { "the cargo feature firestore" };

    const MONGODB: &str =
        if cfg!(feature = "mongodb") { "MessageStore::connect" } else { "the cargo feature mongodb" };

    const POSTGRES: &str =
        if cfg!(feature = "postgres") { "MessageStore::connect" } else { "the cargo feature postgres" };

    #[test]
    fn a_path_is_a_path() {
        for path in [
            "data", "./data", "/a:b/c", "./a:b", "../x:y", "a/b:c", "2026:1", "", ":", "-x:", "é:x", "a b:c",
            "~/x", "./a://b", "/a://b", "../a://b", "\"data\"", " data",
        ] {
            assert!(check_directory(Path::new(path)).is_ok(), "{path}");
            assert!(check_file(Path::new(path)).is_ok(), "{path}");
        }
    }

    #[test]
    fn the_scheme_and_its_engine_are_named_and_no_more_of_a_url() {
        for (url, parts) in [
            ("postgres://app:secret@db/x", &["postgres:", "PostgreSQL", POSTGRES][..]),
            ("PostgreSQL://secret", &["postgresql:", POSTGRES]),
            ("sqlite:secret.db", &["sqlite:", SQLITE]),
            ("mongodb+srv://secret", &["mongodb+srv:", MONGODB]),
            ("s3://secret", &["s3:", CLOUD]),
            ("gs://secret", &["gs:", CLOUD]),
            ("az://secret", &["az:", CLOUD]),
            ("firestore://secret", &["firestore:", FIRESTORE]),
            ("memory:", &["memory:", "in_memory()"]),
            (":memory:", &["memory:", "in_memory()"]),
            ("file:///secret", &["file:", "by its path alone"]),
            ("redis://secret", &["redis:", "known here"]),
            ("\"postgres://app:secret@db/x\"", &["postgres:", "PostgreSQL"]),
            ("' s3://secret'", &["s3:", "S3"]),
            (" postgres://app:secret@db/x\n", &["postgres:", "PostgreSQL"]),
            ("\tsqlite:secret.db", &["sqlite:", "SQLite"]),
            ("URL=postgres://app:secret@db/x", &["postgres:", "PostgreSQL"]),
            ("'secret'://secret", &["known here"]),
        ] {
            for error in [check_directory(Path::new(url)), check_file(Path::new(url))] {
                let text = error.unwrap_err().to_string();
                assert!(parts.iter().all(|part| text.contains(part)) && !text.contains("secret"), "{text}");
                assert!(text.contains("./"), "{text}");
            }
        }
    }

    #[test]
    fn a_word_and_a_colon_may_begin_a_file_and_no_directory() {
        for path in ["backup-12:30.jsonl", "a:b", "C:\\x"] {
            assert!(
                check_directory(Path::new(path)).is_err() && check_file(Path::new(path)).is_ok(),
                "{path}"
            );
        }
    }
}
