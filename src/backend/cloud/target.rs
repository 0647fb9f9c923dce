//! The URL of a store in a bucket.
//!
//! Owns the reading of it. No error here repeats a part of the URL, and no secret belongs into one.

use std::fmt;

use crate::error::{Error, Result};

/// A bucket and the place in it, as a URL names them: `s3://BUCKET/PREFIX?endpoint=URL&region=NAME&anonymous=true`.
///
/// ```
/// use aral_store::StoreUrl;
/// let url = StoreUrl::of("s3://chats/agents/prod?region=eu-central-1")?;
/// assert_eq!(format!("{url:?}"), "Cloud(s3://chats/agents/prod)");
/// assert!(StoreUrl::of("s3://KEY:SECRET@chats/agents").is_err());
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CloudUrl {
    pub(super) bucket: String,
    /// Without slashes around it; empty for the whole bucket.
    pub(super) prefix: String,
    pub(super) endpoint: Option<String>,
    pub(super) region: Option<String>,
    /// Whether requests go out without a signature, as to a bucket that everybody may read.
    pub(super) is_anonymous: bool,
}

impl fmt::Display for CloudUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix.is_empty() {
            write!(f, "s3://{}", self.bucket)
        } else {
            write!(f, "s3://{}/{}", self.bucket, self.prefix)
        }
    }
}

impl fmt::Debug for CloudUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn invalid(reason: &str) -> Error {
    Error::invalid(format!(
        "s3: {reason}; write s3://BUCKET/PREFIX?endpoint=URL&region=NAME&anonymous=true, of which BUCKET alone has to be there"
    ))
}

impl CloudUrl {
    /// Reads what stands behind `s3:`.
    pub(crate) fn of(rest: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(rest).map_err(|_| invalid("the URL is not valid UTF-8"))?;
        let rest = text.strip_prefix("//").ok_or_else(|| invalid("two slashes are missing"))?;
        if rest.chars().any(|c| c.is_control() || c == '#') {
            return Err(invalid("there are control characters or a # in the URL"));
        }
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        if place.contains('@') {
            let reason = "credentials do not belong into the URL: they are taken from AWS_ACCESS_KEY_ID and \
                          AWS_SECRET_ACCESS_KEY, or from where the machine gets them";
            return Err(invalid(reason));
        }
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = prefix.trim_matches('/');
        let is_of_bucket = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if bucket.is_empty() || !bucket.chars().all(is_of_bucket) {
            return Err(invalid("the name of the bucket is missing, or has characters that no bucket's has"));
        }
        if !prefix.is_empty() && prefix.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(invalid("the prefix has an empty part, or one that is . or .."));
        }
        let mut target = Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: None,
            region: None,
            is_anonymous: false,
        };
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("endpoint", url)) if url.starts_with("http://") || url.starts_with("https://") => {
                    target.endpoint = Some(url.trim_end_matches('/').to_owned());
                }
                Some(("endpoint", _)) => return Err(invalid("the endpoint is no http:// or https:// URL")),
                Some(("region", region)) => target.region = Some(region.to_owned()),
                Some(("anonymous", "true")) => target.is_anonymous = true,
                Some(_) | None => {
                    return Err(invalid("only endpoint, region and anonymous=true are known as parameters"));
                }
            }
        }
        Ok(target)
    }

    /// The name of an object in the bucket.
    pub(super) fn name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_bucket_and_a_prefix_are_read_and_everything_else_is_refused_without_being_repeated() {
        let url = CloudUrl::of(b"//b-1/p/q/?endpoint=http://127.0.0.1:1/&region=r").unwrap();
        assert_eq!((&*url.bucket, &*url.prefix), ("b-1", "p/q"));
        assert_eq!((url.endpoint.as_deref(), url.region.as_deref()), (Some("http://127.0.0.1:1"), Some("r")));
        assert_eq!(url.to_string(), "s3://b-1/p/q");
        assert_eq!(CloudUrl::of(b"//b").unwrap().name("x"), "x");
        for bad in [
            "",
            "//",
            "///p",
            "b/p",
            "//k:secret@b/p",
            "//b/p//q",
            "//b/../p",
            "//b/p?secret=1",
            "//b/p?endpoint=secret",
            "//b secret/p",
            "//b/p#secret",
            "//b/p\nsecret",
        ] {
            let error = CloudUrl::of(bad.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
