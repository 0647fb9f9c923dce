//! What went wrong with a request, and what can be done about it.
//!
//! Owns the telling apart of what took place, what may have, and what never will, and the words for it. What a service answers is not
//! repeated but for its code: it may hold keys and what was signed with them.

use object_store::Error as Cause;

use crate::backend::journal::objects::Trouble;
use crate::error::{Error, ErrorKind};

/// A request that did not end as it should.
pub(super) fn trouble(cause: &Cause) -> Trouble {
    let text = cause.to_string();
    let (status, code) = (status_in(&text), code_in(&text));
    let said = said(status, code.as_deref());
    match cause {
        Cause::PermissionDenied { .. } => Trouble::Final(refused(code.as_deref(), &said)),
        Cause::Unauthenticated { .. } => {
            let reason =
                format!("the service does not accept the credentials ({said}); set others, or renew them");
            Trouble::Final(Error::new(ErrorKind::Io, reason))
        }
        Cause::NotFound { .. } => {
            let reason =
                format!("there is no such bucket ({said}); make it first, or correct its name or the region");
            Trouble::Final(Error::new(ErrorKind::NotFound, reason))
        }
        Cause::NotImplemented { .. } | Cause::NotSupported { .. } => {
            let reason = format!(
                "the service does not know conditional requests, without which it cannot be written to ({said})"
            );
            Trouble::Final(Error::new(ErrorKind::Unsupported, reason))
        }
        Cause::AlreadyExists { .. } => {
            Trouble::Busy(Error::new(ErrorKind::Io, format!("another request is under way ({said})")))
        }
        Cause::Precondition { .. } | Cause::NotModified { .. } | Cause::Generic { .. } | _ => match status {
            Some(429 | 503) => {
                Trouble::Busy(Error::new(ErrorKind::Io, format!("the service is busy ({said})")))
            }
            Some(501) => {
                let reason = format!(
                    "the service does not do what is asked of it ({said}): it has to keep to conditions"
                );
                Trouble::Final(Error::new(ErrorKind::Unsupported, reason))
            }
            Some(300..=499) => Trouble::Final(refused(code.as_deref(), &said)),
            _ if text.contains("incorrectly configured region") => {
                Trouble::Final(refused(Some("PermanentRedirect"), &said))
            }
            _ => {
                let reason = format!(
                    "the service cannot be reached, or does not answer ({said}); look at the network, the endpoint and the \
                     region, and at where the credentials come from"
                );
                Trouble::Open(Error::new(ErrorKind::Io, reason))
            }
        },
    }
}

/// What is refused for what the caller has set, and what to set instead.
fn refused(code: Option<&str>, said: &str) -> Error {
    let remedy = match code.unwrap_or_default() {
        "RequestTimeTooSkewed" => "set this machine's clock right",
        "ExpiredToken" | "TokenRefreshRequired" | "InvalidToken" => {
            "the credentials have expired; renew them"
        }
        "SignatureDoesNotMatch" | "InvalidAccessKeyId" | "AuthFailure" => {
            "the credentials are not right; correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what stands for them"
        }
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            "the bucket is in another region; set AWS_REGION, or ?region= in the URL"
        }
        "NoSuchBucket" | "InvalidBucketName" => "make the bucket first, or correct its name",
        _ => {
            "the credentials need the right to get, put, delete and list objects there; for reading alone, open it read-only, \
             which takes getting and listing"
        }
    };
    Error::new(ErrorKind::Io, format!("the service refuses the request ({said}): {remedy}"))
}

fn said(status: Option<u16>, code: Option<&str>) -> String {
    match (status, code) {
        (Some(status), Some(code)) => format!("status {status}, {code}"),
        (Some(status), None) => format!("status {status}"),
        (None, Some(code)) => code.to_owned(),
        (None, None) => "no answer".to_owned(),
    }
}

/// The status in what the crate says of an answer.
fn status_in(text: &str) -> Option<u16> {
    let (_, behind) = text.rsplit_once("status code: ")?;
    behind.get(..3)?.parse().ok()
}

/// The code in what the service says, if it is one.
fn code_in(text: &str) -> Option<String> {
    let (_, behind) = text.split_once("<Code>")?;
    let (code, _) = behind.split_once("</Code>")?;
    let is_code =
        !code.is_empty() && code.len() <= 60 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_code.then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Cause {
        let text = format!(
            "Error performing PUT http://h/b/k in 1ms - Server returned non-2xx status code: {status} X: {body}"
        );
        let source = text.into();
        match status {
            403 => Cause::PermissionDenied { path: "k".to_owned(), source },
            404 => Cause::NotFound { path: "k".to_owned(), source },
            _ => Cause::Generic { store: "S3", source },
        }
    }

    #[test]
    fn each_refusal_names_its_remedy_and_shows_no_key() {
        for (status, code, words) in [
            (403, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
            (403, "RequestTimeTooSkewed", "clock"),
            (403, "AccessDenied", "right to get, put, delete and list"),
            (400, "ExpiredToken", "renew"),
            (301, "PermanentRedirect", "AWS_REGION"),
            (404, "NoSuchBucket", "make it first"),
            (501, "NotImplemented", "conditions"),
        ] {
            let body = format!(
                "<Error><Code>{code}</Code><AWSAccessKeyId>KEY</AWSAccessKeyId><X>SECRET</X></Error>"
            );
            let Trouble::Final(error) = trouble(&answer(status, &body)) else {
                panic!("{status} {code} is final")
            };
            let text = error.to_string();
            assert!(text.contains(words) && text.contains(&status.to_string()), "{text}");
            assert!(
                !text.contains("KEY<") && !text.contains("SECRET<") && !text.contains(">SECRET"),
                "{text}"
            );
        }
        assert!(matches!(trouble(&answer(503, "<Code>SlowDown</Code>")), Trouble::Busy(_)));
        assert!(matches!(trouble(&answer(500, "")), Trouble::Open(_)));
    }
}
