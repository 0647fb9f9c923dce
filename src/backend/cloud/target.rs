//! The URL of a store in a bucket.
//!
//! Owns the reading of it. No error here repeats a part of the URL, and no secret belongs into one.

use std::fmt;

use crate::error::{Error, Result};

/// Whose bucket it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cloud {
    /// Amazon's, or a server's that speaks S3.
    S3,
    /// Google's.
    Gcs,
    /// A container of Microsoft's.
    Azure,
}

impl Cloud {
    /// The scheme of its URLs, in errors too.
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
        }
    }

    /// How its URLs are written.
    fn form(self) -> &'static str {
        match self {
            Self::S3 => {
                "s3://BUCKET/PREFIX?endpoint=URL&region=NAME&anonymous=true, of which BUCKET alone has to be there"
            }
            Self::Gcs => {
                "gs://BUCKET/PREFIX?endpoint=URL&anonymous=true, of which BUCKET alone has to be there"
            }
            Self::Azure => {
                "az://CONTAINER/PREFIX?account=NAME&endpoint=URL&anonymous=true, of which CONTAINER alone has to be there if \
                 AZURE_STORAGE_ACCOUNT_NAME names the account"
            }
        }
    }

    /// Where credentials come from instead of the URL.
    fn credentials(self) -> &'static str {
        match self {
            Self::S3 => {
                "credentials do not belong into the URL: they are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from \
                 where the machine gets them"
            }
            Self::Gcs => {
                "credentials do not belong into the URL: they are taken from the file that GOOGLE_APPLICATION_CREDENTIALS names, or \
                 from where the machine gets them"
            }
            Self::Azure => {
                "neither credentials nor the account stand before an @: the account is ?account=, and credentials are taken from \
                 AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or from where the machine gets them"
            }
        }
    }

    fn invalid(self, reason: &str) -> Error {
        Error::invalid(format!("{}: {reason}; write {}", self.scheme(), self.form()))
    }

    /// Whether a bucket can have this name, as far as the URL depends on it.
    fn names(self, bucket: &str) -> bool {
        let is_fit = |c: char| match self {
            Self::S3 | Self::Gcs => c.is_ascii_alphanumeric() || "-._".contains(c),
            Self::Azure => c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
        };
        !bucket.is_empty() && bucket.chars().all(is_fit)
    }

    /// Whether a prefix can have this part.
    fn has_part(self, part: &str) -> bool {
        // A dot at the end gets lost on the way to Azure.
        let is_none = matches!(part, "" | "." | "..");
        !is_none && (self != Self::Azure || !part.ends_with('.'))
    }

    /// The parameters that it knows.
    fn parameters(self) -> &'static str {
        match self {
            Self::S3 => "only endpoint, region and anonymous=true are known as parameters, each once",
            Self::Gcs => "only endpoint and anonymous=true are known as parameters, each once",
            Self::Azure => "only account, endpoint and anonymous=true are known as parameters, each once",
        }
    }
}

/// A bucket and the place in it, as a URL names them: `s3://BUCKET/PREFIX?endpoint=URL&region=NAME&anonymous=true`,
/// `gs://BUCKET/PREFIX?endpoint=URL&anonymous=true` or `az://CONTAINER/PREFIX?account=NAME&endpoint=URL&anonymous=true`.
///
/// ```
/// use aral_store::StoreUrl;
/// let url = StoreUrl::of("s3://chats/agents/prod?region=eu-central-1")?;
/// assert_eq!(format!("{url:?}"), "Cloud(s3://chats/agents/prod)");
/// assert!(StoreUrl::of("s3://KEY:SECRET@chats/agents").is_err());
/// assert!(StoreUrl::of("gs://chats/agents").is_ok() && StoreUrl::of("az://chats/agents?account=shop").is_ok());
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CloudUrl {
    pub(super) cloud: Cloud,
    pub(super) bucket: String,
    /// Without slashes around it; empty for the whole bucket.
    pub(super) prefix: String,
    pub(super) endpoint: Option<String>,
    pub(super) region: Option<String>,
    /// The account that a container belongs to.
    pub(super) account: Option<String>,
    /// Whether requests go out without a signature, as to a bucket that everybody may read.
    pub(super) is_anonymous: bool,
}

impl fmt::Display for CloudUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.cloud.scheme(), self.bucket)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

impl fmt::Debug for CloudUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl CloudUrl {
    /// Reads what stands behind the scheme and its colon.
    pub(crate) fn of(cloud: Cloud, rest: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(rest).map_err(|_| cloud.invalid("the URL is not valid UTF-8"))?;
        let rest = text.strip_prefix("//").ok_or_else(|| cloud.invalid("two slashes are missing"))?;
        if rest.chars().any(|c| c.is_control() || c == '#') {
            return Err(cloud.invalid("there are control characters or a # in the URL"));
        }
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        if place.contains('@') {
            return Err(cloud.invalid(cloud.credentials()));
        }
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = prefix.trim_matches('/');
        if !cloud.names(bucket) {
            let reason = "the name of the bucket is missing, or has characters that no bucket's has";
            return Err(cloud.invalid(reason));
        }
        if !prefix.is_empty() && !prefix.split('/').all(|part| cloud.has_part(part)) {
            let reason = "the prefix has an empty part, or one that is . or .. or ends as none may there";
            return Err(cloud.invalid(reason));
        }
        let mut target = Self {
            cloud,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: None,
            region: None,
            account: None,
            is_anonymous: false,
        };
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            target.set(parameter)?;
        }
        Ok(target)
    }

    fn set(&mut self, parameter: &str) -> Result<()> {
        let cloud = self.cloud;
        let unknown = || Err(cloud.invalid(cloud.parameters()));
        let Some((name, value)) = parameter.split_once('=') else { return unknown() };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        match (name, cloud) {
            ("endpoint", _) if self.endpoint.is_none() => {
                let is_url = ["http://", "https://"].iter().any(|scheme| value.starts_with(scheme));
                if !is_url {
                    return Err(cloud.invalid("the endpoint is no http:// or https:// URL"));
                }
                if value.contains('@') {
                    return Err(cloud.invalid(cloud.credentials()));
                }
                self.endpoint = Some(value.trim_end_matches('/').to_owned());
            }
            ("region", Cloud::S3) | ("account", Cloud::Azure)
                if value.is_empty() || !value.chars().all(is_name) =>
            {
                return Err(
                    cloud.invalid("the name of the region or of the account has characters that none has")
                );
            }
            ("region", Cloud::S3) if self.region.is_none() => self.region = Some(value.to_owned()),
            ("account", Cloud::Azure) if self.account.is_none() => self.account = Some(value.to_owned()),
            ("anonymous", _) if value == "true" => self.is_anonymous = true,
            _ => return unknown(),
        }
        Ok(())
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
        let s3 = |text: &str| CloudUrl::of(Cloud::S3, text.as_bytes());
        let url = s3("//b-1/p/q/?endpoint=http://127.0.0.1:1/&region=r").unwrap();
        assert_eq!((&*url.bucket, &*url.prefix), ("b-1", "p/q"));
        assert_eq!((url.endpoint.as_deref(), url.region.as_deref()), (Some("http://127.0.0.1:1"), Some("r")));
        assert_eq!(url.to_string(), "s3://b-1/p/q");
        assert_eq!(s3("//b").unwrap().name("x"), "x");
        for cloud in [Cloud::S3, Cloud::Gcs, Cloud::Azure] {
            assert_eq!(
                CloudUrl::of(cloud, b"//b/p").unwrap().to_string(),
                format!("{}://b/p", cloud.scheme())
            );
            for bad in [
                "",
                "//",
                "///p",
                "b/p",
                "//k:secret@b/p",
                "//b/p//q",
                "//b/../p",
                "//b/p?secret=1",
                "//b/p?secret",
                "//b/p?endpoint=secret",
                "//b/p?endpoint=http://k:secret@h",
                "//b/p?endpoint=http://secret&endpoint=http://h",
                "//b/p?anonymous=secret",
                "//b secret/p",
                "//b/p#secret",
                "//b/p\nsecret",
            ] {
                let error = CloudUrl::of(cloud, bad.as_bytes()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
                let text = error.to_string();
                assert!(!text.contains("secret") && text.contains(cloud.scheme()), "{text}");
            }
        }
    }

    #[test]
    fn each_cloud_knows_its_own_parameters() {
        let azure = CloudUrl::of(Cloud::Azure, b"//c/p?account=shop&anonymous=true").unwrap();
        assert!(azure.is_anonymous && azure.account.as_deref() == Some("shop"));
        for (cloud, bad) in [
            (Cloud::S3, "//b?account=x"),
            (Cloud::S3, "//b?region="),
            (Cloud::S3, "//b?region=a&region=b"),
            (Cloud::Gcs, "//b?region=x"),
            (Cloud::Gcs, "//b?account=x"),
            (Cloud::Azure, "//b?region=x"),
            (Cloud::Azure, "//b?account=a.b/c"),
            (Cloud::Azure, "//Upper/p"),
            (Cloud::Azure, "//b/p./q"),
        ] {
            let error = CloudUrl::of(cloud, bad.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }
}
