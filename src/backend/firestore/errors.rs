//! What went wrong with a request, and what can be done about it.
//!
//! Owns the telling apart of what took place, what may have, and what never will, by the codes that Firestore's documentation names, and
//! the words for it. What a service says is not repeated but for these codes: it may hold what was sent.

use serde_json::Value;

use crate::backend::journal::objects::Trouble;
use crate::error::{Error, ErrorKind};

/// A request that was not answered as it should be.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// The canonical code; empty if there was no answer.
    pub(super) code: String,
    pub(super) trouble: Trouble,
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self { code: String::new(), trouble }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        failure.trouble
    }
}

/// A document that was not to be there is.
pub(super) const EXISTS: &str = "ALREADY_EXISTS";
/// A condition of a write did not hold: there is a document, or it is another one than was read.
pub(super) const CONDITIONS: [&str; 2] = [EXISTS, "FAILED_PRECONDITION"];
/// A document that was to be there, or the database itself, is not.
pub(super) const NOT_FOUND: &str = "NOT_FOUND";

/// Nobody answered. Where there was not even a connection, nothing took place.
pub(super) fn unanswered(is_unconnected: bool) -> Failure {
    let remedy = "look at the network, and at the endpoint if one is set";
    let trouble = if is_unconnected {
        Trouble::Busy(Error::new(ErrorKind::Io, format!("the service cannot be reached; {remedy}")))
    } else {
        Trouble::Open(Error::new(ErrorKind::Io, format!("the service does not answer; {remedy}")))
    };
    trouble.into()
}

/// An answer that is none.
pub(super) fn garbled(what: &str) -> Failure {
    let reason =
        format!("the service's answer cannot be read ({what}); something else may answer in its place");
    Trouble::Open(Error::new(ErrorKind::Io, reason)).into()
}

/// An answer with another status than success.
pub(super) fn refused(status: u16, body: &[u8]) -> Failure {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    // The methods that answer with a stream put everything into an array, an error too.
    let error = body.get(0).unwrap_or(&body).get("error").unwrap_or(&Value::Null);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).and_then(plain).map(str::to_owned);
    let code = text(error.get("status")).unwrap_or_else(|| by_status(status).to_owned());
    let details = error.get("details").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let reason = details.iter().find_map(|detail| text(detail.get("reason")));
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
    let said = match &reason {
        Some(reason) => format!("status {status}, {code}, {reason}"),
        None => format!("status {status}, {code}"),
    };
    let is_datastore = message.contains("Datastore Mode") || message.contains("Datastore projects");
    Failure { trouble: trouble(&code, reason.as_deref(), is_datastore, &said), code }
}

/// What a status means where nothing says more.
fn by_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => NOT_FOUND,
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        // Whoever stands between gave up waiting, and what was sent may have been carried out: 408 and 499.
        400..=407 | 410..=498 => "INVALID_ARGUMENT",
        _ => "UNKNOWN",
    }
}

/// A code, if it is one.
fn plain(text: &str) -> Option<&str> {
    let is_code = (1..=60).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_code.then_some(text)
}

fn trouble(code: &str, reason: Option<&str>, is_datastore: bool, said: &str) -> Trouble {
    let error = |kind, words: &str| Error::new(kind, format!("{words} ({said})"));
    if is_datastore {
        let words = "the database is in Datastore mode, which this engine does not speak; make one in Native mode, and name it \
                     in the URL";
        return Trouble::Final(error(ErrorKind::Unsupported, words));
    }
    match code {
        // The transaction that a commit is was rolled back.
        "ABORTED" => Trouble::Busy(error(ErrorKind::Io, "others write the same at the same time")),
        "RESOURCE_EXHAUSTED" => {
            let words = "a quota is used up, or requests came faster than the database can grow; wait, or raise the quota, for \
                         which the project needs billing";
            Trouble::Busy(error(ErrorKind::Io, words))
        }
        "UNAUTHENTICATED" => {
            let words = "the service does not accept the credentials; set others by GOOGLE_APPLICATION_CREDENTIALS, or renew them";
            Trouble::Final(error(ErrorKind::Io, words))
        }
        "PERMISSION_DENIED" => Trouble::Final(error(ErrorKind::Io, denied(reason))),
        NOT_FOUND => {
            let words = "there is no such project or database; make it first (`gcloud firestore databases create`), or correct \
                         the URL";
            Trouble::Final(error(ErrorKind::NotFound, words))
        }
        "INVALID_ARGUMENT" | "OUT_OF_RANGE" | "UNIMPLEMENTED" | "FAILED_PRECONDITION" | "ALREADY_EXISTS" => {
            let words = "the service does not take the request; something else than Firestore, or an emulator of an older \
                         version, may answer";
            Trouble::Final(error(ErrorKind::Unsupported, words))
        }
        // What was sent may have been carried out: DEADLINE_EXCEEDED, UNAVAILABLE, INTERNAL, CANCELLED, UNKNOWN, and what is new.
        _ => Trouble::Open(error(ErrorKind::Io, "the service failed")),
    }
}

/// What to do where something is not permitted.
fn denied(reason: Option<&str>) -> &'static str {
    match reason.unwrap_or_default() {
        "SERVICE_DISABLED" => {
            "the Firestore API is not enabled in the project; `gcloud services enable firestore.googleapis.com` enables it"
        }
        "BILLING_DISABLED" => "the project has no billing account, which this database needs; set one",
        "CONSUMER_INVALID" => "there is no such project; correct the URL",
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT" => {
            "the credentials do not have the scope of Firestore; give the machine, or the login, the scope \
             https://www.googleapis.com/auth/datastore or cloud-platform"
        }
        _ => {
            "the credentials need the role roles/datastore.user there; for reading alone, open it read-only, which takes \
             roles/datastore.viewer"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: &str, reason: Option<&str>) -> Vec<u8> {
        let details =
            reason.map(|reason| format!(r#","details":[{{"reason":"{reason}"}}]"#)).unwrap_or_default();
        format!(r#"{{"error":{{"code":1,"message":"SECRET-x","status":"{code}"{details}}}}}"#).into_bytes()
    }

    #[test]
    fn each_refusal_names_its_remedy_and_repeats_nothing() {
        for (status, code, reason, words) in [
            (401, "UNAUTHENTICATED", None, "GOOGLE_APPLICATION_CREDENTIALS"),
            (403, "PERMISSION_DENIED", None, "roles/datastore.user"),
            (403, "PERMISSION_DENIED", Some("SERVICE_DISABLED"), "gcloud services enable"),
            (403, "PERMISSION_DENIED", Some("ACCESS_TOKEN_SCOPE_INSUFFICIENT"), "auth/datastore"),
            (404, "NOT_FOUND", None, "gcloud firestore databases create"),
            (400, "INVALID_ARGUMENT", None, "does not take"),
        ] {
            let plain = answer(code, reason);
            let streamed = [b"[", plain.as_slice(), b"]"].concat();
            for body in [plain, streamed] {
                let Failure { trouble: Trouble::Final(error), code: said } = refused(status, &body) else {
                    panic!("{status} {code} is final")
                };
                let text = error.to_string();
                assert!(said == code && text.contains(words) && text.contains(code), "{text}");
                assert!(!text.contains("SECRET"), "{text}");
            }
        }
        let datastore = br#"{"error":{"message":"not available for Firestore in Datastore Mode database","status":"FAILED_PRECONDITION"}}"#;
        let Trouble::Final(error) = refused(400, datastore).trouble else { panic!("it is final") };
        assert!(error.to_string().contains("Native mode"), "{error}");
    }

    #[test]
    fn what_may_have_taken_place_is_open_and_what_did_not_is_busy() {
        for (status, code) in [(409, "ABORTED"), (429, "RESOURCE_EXHAUSTED")] {
            assert!(matches!(refused(status, &answer(code, None)).trouble, Trouble::Busy(_)), "{code}");
        }
        for (status, code) in [
            (503, "UNAVAILABLE"),
            (504, "DEADLINE_EXCEEDED"),
            (500, "INTERNAL"),
            (499, "CANCELLED"),
            (500, "UNKNOWN"),
            (500, "DATA_LOSS"),
        ] {
            assert!(matches!(refused(status, &answer(code, None)).trouble, Trouble::Open(_)), "{code}");
        }
        // What stands between, and says nothing of the kind.
        assert!(matches!(refused(502, b"<html>").trouble, Trouble::Open(_)));
        assert!(matches!(refused(409, b"<html>").trouble, Trouble::Open(_)));
        assert!(matches!(refused(429, b"<html>").trouble, Trouble::Busy(_)));
        assert!(matches!(refused(403, b"<html>SECRET").trouble, Trouble::Final(_)));
    }
}
