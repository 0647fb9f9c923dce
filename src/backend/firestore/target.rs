//! The URL of a store in Firestore.
//!
//! Owns the reading of it. No error here repeats a part of the URL: somebody may have put a secret there.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// A Firestore database and the place in it, as a URL names them:
/// `firestore://PROJECT/DATABASE/PREFIX?endpoint=URL&credentials=FILE&documents=none`.
///
/// ```
/// use aral_store::StoreUrl;
/// let url = StoreUrl::of("firestore://shop-1/(default)/agents/prod?credentials=/etc/key.json")?;
/// assert_eq!(format!("{url:?}"), "Firestore(firestore://shop-1/(default)/agents/prod)");
/// assert!(StoreUrl::of("firestore://KEY:SECRET@shop-1/(default)/agents").is_err());
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct FirestoreUrl {
    pub(super) project: String,
    pub(super) database: String,
    /// Without slashes around it; never empty.
    pub(super) prefix: String,
    pub(super) endpoint: Option<String>,
    /// The file with the credentials, where it is not the one that the environment names.
    pub(super) credentials: Option<PathBuf>,
    /// Whether documents to query are kept beside the journal.
    pub(super) keeps_documents: bool,
}

impl fmt::Display for FirestoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "firestore://{}/{}/{}", self.project, self.database, self.prefix)
    }
}

impl fmt::Debug for FirestoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The database that every project can have without naming one.
const DEFAULT_DATABASE: &str = "(default)";

/// How long a prefix may be: it becomes the id of a document, which has at most 1,500 bytes and counts for the size of every
/// document below it.
const LONGEST_PREFIX: usize = 500;

fn invalid(reason: &str) -> Error {
    Error::invalid(format!(
        "firestore: {reason}; write firestore://PROJECT/DATABASE/PREFIX?endpoint=URL&credentials=FILE&documents=none, of which \
         DATABASE may be (default), and what follows the prefix may be left out"
    ))
}

impl FirestoreUrl {
    /// Reads what stands behind `firestore:`.
    pub(crate) fn of(rest: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(rest).map_err(|_| invalid("the URL is not valid UTF-8"))?;
        let rest = text.strip_prefix("//").ok_or_else(|| invalid("two slashes are missing"))?;
        if rest.chars().any(|c| c.is_control() || c == '#') {
            return Err(invalid("there are control characters or a # in the URL"));
        }
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        if place.contains('@') {
            let reason = "credentials do not belong into the URL: they are taken from the file that GOOGLE_APPLICATION_CREDENTIALS \
                          names, or from where the machine gets them";
            return Err(invalid(reason));
        }
        let mut parts = place.splitn(3, '/');
        let mut part = || parts.next().unwrap_or_default();
        let (project, database, prefix) = (part(), part(), part().trim_matches('/'));
        let is_of_project = |c: char| c.is_ascii_alphanumeric() || "-.:".contains(c);
        if project.is_empty() || !project.chars().all(is_of_project) {
            return Err(invalid("the id of the project is missing, or has characters that no project's has"));
        }
        let is_of_database = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if database != DEFAULT_DATABASE && (database.is_empty() || !database.chars().all(is_of_database)) {
            return Err(invalid(
                "the id of the database is missing, or has characters that no database's has",
            ));
        }
        if prefix.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(invalid("the prefix is missing, or has an empty part, or one that is . or .."));
        }
        // It becomes the id of a document and a part of the address of requests, and reads the same in both.
        let is_of_prefix = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
        if !prefix.chars().all(is_of_prefix) || prefix.starts_with("__") {
            return Err(invalid(
                "a prefix has letters of ASCII, digits, and -._/ in it, and does not begin with __",
            ));
        }
        if prefix.len() > LONGEST_PREFIX {
            return Err(invalid("the prefix is over the limit of 500 bytes"));
        }
        let (project, database, prefix) = (project.to_owned(), database.to_owned(), prefix.to_owned());
        let mut target =
            Self { project, database, prefix, endpoint: None, credentials: None, keeps_documents: true };
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("endpoint", url)) if url.starts_with("http://") || url.starts_with("https://") => {
                    target.endpoint = Some(url.trim_end_matches('/').to_owned());
                }
                Some(("endpoint", _)) => return Err(invalid("the endpoint is no http:// or https:// URL")),
                Some(("credentials", file)) if !file.is_empty() => target.credentials = Some(file.into()),
                Some(("documents", "none")) => target.keeps_documents = false,
                Some(_) | None => {
                    return Err(invalid(
                        "only endpoint, credentials and documents=none are known as parameters",
                    ));
                }
            }
        }
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_database_and_a_prefix_are_read_and_everything_else_is_refused_without_being_repeated() {
        let url = FirestoreUrl::of(b"//example.org:p-1/(default)/a/b/?endpoint=http://127.0.0.1:1/").unwrap();
        assert_eq!((&*url.project, &*url.database, &*url.prefix), ("example.org:p-1", "(default)", "a/b"));
        assert_eq!(url.endpoint.as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(url.to_string(), "firestore://example.org:p-1/(default)/a/b");
        let url = FirestoreUrl::of(b"//p/db-2/a?credentials=/etc/secret.json").unwrap();
        assert_eq!(url.credentials, Some("/etc/secret.json".into()));
        assert!(!format!("{url:?}").contains("secret"));
        let long = format!("//p/(default)/{}", "secret".repeat(84));
        for bad in [
            "",
            "//",
            "p/(default)/x",
            "///(default)/secret",
            "//p//secret",
            "//p/secret",
            "//p/(default)",
            "//p/(secret)/x",
            "//p/Secret/x",
            "//k:secret@p/(default)/x",
            "//p/(default)/x//secret",
            "//p/(default)/../secret",
            "//p/(default)/secret~x",
            "//p/(default)/__secret__",
            "//p/(default)/secr\u{e9}t/secret",
            "//p/(default)/x?secret=1",
            "//p/(default)/x?endpoint=secret",
            "//p/(default)/x?credentials=",
            "//p secret/(default)/x",
            "//p/(default)/x#secret",
            "//p/(default)/x\nsecret",
            &long,
        ] {
            let error = FirestoreUrl::of(bad.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
