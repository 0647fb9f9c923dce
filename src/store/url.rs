//! Which engine keeps a store, told from its name.
//!
//! Owns the reading of a store's URL: the kind of place, and the path that is in it. What is no URL is a directory's path. Opens
//! nothing. What no engine here can open is refused by `location.rs`, whose errors repeat nothing of a URL but its scheme.

use std::ffi::OsStr;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "journal"))]
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::location::check_directory;
#[cfg(feature = "cloud")]
use crate::backend::cloud::{Cloud, CloudUrl};
#[cfg(feature = "firestore")]
use crate::backend::firestore::FirestoreUrl;
#[cfg(feature = "mongodb")]
use crate::backend::mongodb::MongoUrl;
#[cfg(feature = "postgres")]
use crate::backend::postgres::PostgresUrl;
#[cfg(feature = "sqlite")]
use crate::error::Error;
use crate::error::Result;

/// A store's name, taken apart.
///
/// ```
/// use aral_store::StoreUrl;
/// assert_eq!(StoreUrl::of("./data")?, StoreUrl::Directory("./data".into()));
/// assert_eq!(StoreUrl::of("memory:")?, StoreUrl::Memory);
/// assert!(StoreUrl::of("redis://cache").is_err());
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StoreUrl {
    /// A path: the store is in this directory.
    Directory(PathBuf),
    /// `memory:`, a store that ends with its process.
    Memory,
    /// `sqlite:PATH`, an SQLite file.
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
    /// `postgres://…`, a PostgreSQL database.
    #[cfg(feature = "postgres")]
    Postgres(PostgresUrl),
    /// `s3://…`, `gs://…` or `az://…`, a bucket.
    #[cfg(feature = "cloud")]
    Cloud(CloudUrl),
    /// `firestore://…`, a Firestore database.
    #[cfg(feature = "firestore")]
    Firestore(FirestoreUrl),
    /// `mongodb://…`, a MongoDB database.
    #[cfg(feature = "mongodb")]
    Mongodb(MongoUrl),
}

impl StoreUrl {
    /// Takes a store's name apart.
    ///
    /// `sqlite:PATH` is the path as it stands, from the current directory; `sqlite:///PATH` is an absolute one. Nothing
    /// in it is decoded.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a URL of an engine that is not here, or one without a path.
    pub fn of(name: impl AsRef<OsStr>) -> Result<Self> {
        let name = name.as_ref();
        if name == "memory:" {
            return Ok(Self::Memory);
        }
        #[cfg(feature = "sqlite")]
        if let Some(path) = after_scheme(name, &["sqlite:", "sqlite3:"]) {
            return sqlite(path);
        }
        #[cfg(feature = "postgres")]
        if let Some(rest) = after_scheme(name, &["postgres:", "postgresql:"]) {
            return PostgresUrl::of(rest.as_bytes()).map(Self::Postgres);
        }
        #[cfg(feature = "cloud")]
        for (cloud, schemes) in CLOUDS {
            if let Some(rest) = after_scheme(name, schemes) {
                return CloudUrl::of(cloud, rest.as_bytes()).map(Self::Cloud);
            }
        }
        #[cfg(feature = "firestore")]
        if let Some(rest) = after_scheme(name, &["firestore:", "firebase:"]) {
            return FirestoreUrl::of(rest.as_bytes()).map(Self::Firestore);
        }
        #[cfg(feature = "mongodb")]
        for (scheme, is_srv) in [("mongodb:", false), ("mongodb+srv:", true)] {
            if let Some(rest) = after_scheme(name, &[scheme]) {
                return MongoUrl::of(rest.as_bytes(), is_srv).map(Self::Mongodb);
            }
        }
        check_directory(Path::new(name))?;
        Ok(Self::Directory(name.into()))
    }
}

/// The schemes of each cloud's buckets.
#[cfg(feature = "cloud")]
const CLOUDS: [(Cloud, &[&str]); 3] = [
    (Cloud::S3, &["s3:", "s3a:"]),
    (Cloud::Gcs, &["gs:", "gcs:"]),
    (Cloud::Azure, &["az:", "azure:", "abfs:", "abfss:"]),
];

/// What stands behind one of these schemes.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "journal"))]
fn after_scheme<'n>(name: &'n OsStr, schemes: &[&str]) -> Option<&'n OsStr> {
    let text = name.as_bytes();
    let scheme = schemes.iter().find(|scheme| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
    })?;
    // By bytes: a path need not be valid Unicode.
    text.get(scheme.len()..).map(OsStr::from_bytes)
}

#[cfg(feature = "sqlite")]
fn sqlite(path: &OsStr) -> Result<StoreUrl> {
    let path = Path::new(path);
    let text = path.as_os_str().as_encoded_bytes();
    let path = match text {
        b"" | b"//" | b"///" => return Err(Error::invalid("sqlite: names no file; write sqlite:PATH")),
        b":memory:" => {
            let reason = "sqlite: keeps a store in a file; a store in memory has the URL memory:";
            return Err(Error::invalid(reason));
        }
        // As many slashes as there are lead to the root.
        [b'/', b'/', b'/', ..] => path.components().collect(),
        [b'/', b'/', ..] => {
            let reason = "sqlite: what stands behind two slashes would be a host; write sqlite:PATH, or \
                          sqlite:///PATH for an absolute path";
            return Err(Error::invalid(reason));
        }
        _ => path.to_owned(),
    };
    Ok(StoreUrl::Sqlite(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_path_is_a_directory_and_memory_is_memory() {
        for path in ["data", "./sqlite:x", "/a:b", ""] {
            assert_eq!(StoreUrl::of(path).unwrap(), StoreUrl::Directory(path.into()), "{path}");
        }
        assert_eq!(StoreUrl::of("memory:").unwrap(), StoreUrl::Memory);
        for url in ["postgres://app:secret@db", "memory:x", ":memory:", "file:///x"] {
            let error = StoreUrl::of(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn what_stands_behind_sqlite_is_a_path_as_it_is() {
        for (url, path) in [
            ("sqlite:x.db", "x.db"),
            ("SQLite:./a b%20?c#d", "./a b%20?c#d"),
            ("sqlite3:dir/x", "dir/x"),
            ("sqlite:/abs/x", "/abs/x"),
            ("sqlite:///abs/x", "/abs/x"),
            ("sqlite:////abs/x", "/abs/x"),
        ] {
            assert_eq!(StoreUrl::of(url).unwrap(), StoreUrl::Sqlite(path.into()), "{url}");
        }
        for url in ["sqlite:", "sqlite://", "sqlite:///", "sqlite::memory:", "sqlite://host/x"] {
            assert_eq!(StoreUrl::of(url).unwrap_err().kind(), ErrorKind::InvalidInput, "{url}");
        }
    }
}
