//! What went wrong with a request, and what can be done about it.
//!
//! Owns the telling apart of what took place, what may have, and what never will, and the words for it, for each cloud. What a service answers is
//! not repeated but for its code: it may hold keys and what was signed with them.

use object_store::Error as Cause;

use super::target::Cloud;
use crate::backend::journal::objects::Trouble;
use crate::error::{Error, ErrorKind};

/// What a request was to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Act {
    Read,
    /// On condition that there is none.
    Create,
    /// On condition that it is as it was read.
    Replace,
    Delete,
}

/// Whether a write was refused because its condition did not hold.
pub(super) fn is_refusal(cloud: Cloud, act: Act, cause: &Cause) -> bool {
    let code = code_in(&cause.to_string());
    if by_code(cloud, code.as_deref().unwrap_or_default()).is_some() {
        return false;
    }
    let is_conflict = matches!(cause, Cause::AlreadyExists { .. });
    match act {
        // Azure has many conflicts that say nothing of a condition.
        Act::Create if is_conflict && cloud == Cloud::Azure => {
            code.is_none_or(|code| code == "BlobAlreadyExists")
        }
        Act::Create => is_conflict || matches!(cause, Cause::Precondition { .. }),
        // What is gone is not as it was read.
        Act::Replace => matches!(cause, Cause::Precondition { .. } | Cause::NotFound { .. }),
        Act::Read | Act::Delete => false,
    }
}

/// Whether there is no such object, where there is a bucket.
pub(super) fn is_absence(cause: &Cause) -> bool {
    let Cause::NotFound { .. } = cause else { return false };
    code_in(&cause.to_string()).is_none_or(|code| !matches!(&*code, "NoSuchBucket" | "ContainerNotFound"))
}

/// A request that did not end as it should.
pub(super) fn trouble(cloud: Cloud, act: Act, cause: &Cause) -> Trouble {
    let text = cause.to_string();
    let (status, code) = (status_in(&text), code_in(&text));
    let said = said(status, code.as_deref());
    // The service gave up waiting for the rest of the request, and may have all of it by then.
    let is_late = status == Some(408) || code.as_deref() == Some("RequestTimeout");
    let error = |kind, reason: String| Error::new(kind, reason);
    if let Some((kind, remedy)) = by_code(cloud, code.as_deref().unwrap_or_default()) {
        return Trouble::Final(error(kind, format!("the service refuses the request ({said}): {remedy}")));
    }
    let is_for_token = text.contains("token request") || text.contains("AssumeRole");
    match (status, cause) {
        (Some(400..=428 | 430..=499), _) if is_for_token => {
            let reason = format!(
                "no token is given out for the credentials ({said}): renew them, and look whether this machine's clock is right"
            );
            Trouble::Final(error(ErrorKind::Io, reason))
        }
        (_, Cause::Unauthenticated { .. }) => {
            let reason =
                format!("the service does not accept the credentials ({said}): {}", credentials(cloud));
            Trouble::Final(error(ErrorKind::Io, reason))
        }
        (_, Cause::PermissionDenied { .. }) => Trouble::Final(forbidden(act, &said)),
        (_, Cause::NotFound { .. }) => {
            let remedy = bucket(cloud);
            Trouble::Final(error(ErrorKind::NotFound, format!("there is no such bucket ({said}): {remedy}")))
        }
        (_, Cause::NotImplemented { .. } | Cause::NotSupported { .. }) | (Some(501), _) => {
            let reason = format!(
                "the service does not know conditional requests, without which it cannot be written to ({said})"
            );
            Trouble::Final(error(ErrorKind::Unsupported, reason))
        }
        (_, Cause::AlreadyExists { .. }) => {
            Trouble::Busy(error(ErrorKind::Io, format!("another request is under way ({said})")))
        }
        (Some(429 | 503), _) => Trouble::Busy(error(ErrorKind::Io, format!("the service is busy ({said})"))),
        (Some(300..=399), _) => Trouble::Final(error(ErrorKind::Io, elsewhere(cloud, &said))),
        (Some(400..=499), _) if !is_late => {
            let reason = format!(
                "the service does not understand the request ({said}): it does not speak as {} does, or not with conditions on \
                 writes, without which it cannot be written to; look at the endpoint",
                name(cloud)
            );
            Trouble::Final(error(ErrorKind::Unsupported, reason))
        }
        _ if text.contains("incorrectly configured region") => {
            Trouble::Final(error(ErrorKind::Io, elsewhere(cloud, &said)))
        }
        _ => Trouble::Open(error(ErrorKind::Io, unreachable(cloud, &said))),
    }
}

fn unreachable(cloud: Cloud, said: &str) -> String {
    let what = match cloud {
        Cloud::S3 => "the network, the endpoint and the region, and at where the credentials come from",
        Cloud::Gcs => "the network and the endpoint, and at where the credentials come from",
        Cloud::Azure => {
            "the network, the endpoint and the account's name, and at where the credentials come from"
        }
    };
    format!("the service cannot be reached, or does not answer ({said}); look at {what}")
}

fn elsewhere(cloud: Cloud, said: &str) -> String {
    let remedy = match cloud {
        Cloud::S3 => "the bucket is in another region; set AWS_REGION, or ?region= in the URL",
        Cloud::Gcs | Cloud::Azure => "it is somewhere else; look at the endpoint",
    };
    format!("the service refuses the request ({said}): {remedy}")
}

fn forbidden(act: Act, said: &str) -> Error {
    if act == Act::Read {
        let reason = format!(
            "the service refuses the request ({said}): the credentials need the right to get and list objects there, and to put \
             and delete them if the store is to be written"
        );
        return Error::new(ErrorKind::Io, reason);
    }
    let reason = format!(
        "the service refuses to write ({said}): the credentials need the right to get, put, delete and list objects there; with \
         the rights to get and list alone, open the store read-only"
    );
    Error::new(ErrorKind::ReadOnly, reason)
}

fn name(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::S3 => "S3",
        Cloud::Gcs => "Google Cloud Storage",
        Cloud::Azure => "Azure's blob storage",
    }
}

/// What to do where a bucket is missing.
fn bucket(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::S3 => "make it first, or correct its name or the region",
        Cloud::Gcs => "make it first, or correct its name",
        Cloud::Azure => "make it first, or correct its name or the account's",
    }
}

/// What to do where the credentials are not right.
fn credentials(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::S3 => {
            "the credentials are not right; correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what stands for them"
        }
        Cloud::Gcs => {
            "the credentials are not right, or have expired; correct the file that GOOGLE_APPLICATION_CREDENTIALS names, or what \
             stands for it"
        }
        Cloud::Azure => {
            "the credentials are not right, or have expired, or this machine's clock is not; correct AZURE_STORAGE_ACCOUNT_KEY or \
             AZURE_STORAGE_SAS_TOKEN, or what stands for them, and set the clock right"
        }
    }
}

/// What a service says in one word, where it means the same for every request: what can be done.
fn by_code(cloud: Cloud, code: &str) -> Option<(ErrorKind, &'static str)> {
    let remedy = match code {
        "RequestTimeTooSkewed" => (ErrorKind::Io, "set this machine's clock right"),
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "InvalidToken" => {
            (ErrorKind::Io, "the credentials have expired; renew them")
        }
        "SignatureDoesNotMatch"
        | "InvalidAccessKeyId"
        | "AuthFailure"
        | "InvalidClientTokenId"
        | "AuthenticationFailed"
        | "AuthenticationRequired"
        | "InvalidAuthenticationInfo"
        | "NoAuthenticationInformation"
        | "PublicAccessNotPermitted" => (ErrorKind::Io, credentials(cloud)),
        // It answers the same for several reasons.
        "AuthorizationFailure" => {
            let remedy = "the credentials are not right, or have expired, or lack a right, or the account takes no requests from this \
                          network; correct AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or what stands for them";
            (ErrorKind::Io, remedy)
        }
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            (ErrorKind::Io, "the bucket is in another region; set AWS_REGION, or ?region= in the URL")
        }
        "NoSuchBucket" | "ContainerNotFound" | "InvalidBucketName" | "InvalidResourceName" => {
            return Some((ErrorKind::NotFound, missing(cloud)));
        }
        "ContainerBeingDeleted" | "ContainerDisabled" | "AccountIsDisabled" | "AccountProblem" => {
            (ErrorKind::Io, "the bucket or the account is being removed, or switched off; look there")
        }
        "LeaseIdMissing" | "LeaseIdMismatchWithBlobOperation" | "LeaseLost" => {
            (ErrorKind::Io, "somebody holds a lease on an object of the store; release it")
        }
        // Object lock of S3 lets everything be written: it keeps the versions before.
        _ if ["Retention", "Immutable", "ActiveHold"].iter().any(|word| code.contains(word)) => {
            let remedy = "a retention policy or a hold keeps objects there from being replaced and removed, which a compaction \
                          does; nothing is lost: take it off, or go on without compactions";
            (ErrorKind::Io, remedy)
        }
        _ => return None,
    };
    Some(remedy)
}

fn missing(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::S3 => "there is no such bucket; make it first, or correct its name or the region",
        Cloud::Gcs => "there is no such bucket; make it first, or correct its name",
        Cloud::Azure => "there is no such container; make it first, or correct its name or the account's",
    }
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
    // Of one of several that are removed at once the service says it in another place.
    let single = text.split_once("status code: ");
    let (_, behind) = single.or_else(|| text.split_once("(code: "))?;
    behind.get(..3)?.parse().ok()
}

/// The code in what the service says, if it is one: in XML, or of a token's service in JSON.
fn code_in(text: &str) -> Option<String> {
    let between = |before: &str, after: char| {
        let (_, behind) = text.split_once(before)?;
        behind.split_once(after).map(|(code, _)| code)
    };
    let code = between("<Code>", '<')
        .or_else(|| between("\"error\":\"", '"'))
        .or_else(|| between("\"error\": \"", '"'));
    code.filter(|code| is_code(code)).map(str::to_owned)
}

fn is_code(code: &str) -> bool {
    !code.is_empty()
        && code.len() <= 60
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Cause {
        let text = format!(
            "Error performing PUT http://h/b/k in 1ms - Server returned non-2xx status code: {status} X: {body}"
        );
        let (path, source) = ("k".to_owned(), text.into());
        match status {
            401 => Cause::Unauthenticated { path, source },
            403 => Cause::PermissionDenied { path, source },
            404 => Cause::NotFound { path, source },
            409 => Cause::AlreadyExists { path, source },
            412 => Cause::Precondition { path, source },
            _ => Cause::Generic { store: "S3", source },
        }
    }

    fn coded(status: u16, code: &str) -> Cause {
        answer(
            status,
            &format!("<Error><Code>{code}</Code><AWSAccessKeyId>KEY</AWSAccessKeyId><X>SECRET</X></Error>"),
        )
    }

    #[test]
    fn each_refusal_names_its_remedy_and_shows_no_key() {
        use Cloud::{Azure, Gcs, S3};
        for (cloud, status, code, kind, words) in [
            (S3, 403, "SignatureDoesNotMatch", ErrorKind::Io, "AWS_SECRET_ACCESS_KEY"),
            (S3, 403, "InvalidAccessKeyId", ErrorKind::Io, "AWS_SECRET_ACCESS_KEY"),
            (S3, 403, "RequestTimeTooSkewed", ErrorKind::Io, "clock"),
            (S3, 403, "AccessDenied", ErrorKind::ReadOnly, "open the store read-only"),
            (S3, 400, "ExpiredToken", ErrorKind::Io, "renew"),
            (S3, 301, "PermanentRedirect", ErrorKind::Io, "AWS_REGION"),
            (S3, 400, "AuthorizationHeaderMalformed", ErrorKind::Io, "AWS_REGION"),
            (S3, 404, "NoSuchBucket", ErrorKind::NotFound, "make it first"),
            (S3, 501, "NotImplemented", ErrorKind::Unsupported, "conditional"),
            (S3, 400, "InvalidArgument", ErrorKind::Unsupported, "conditions"),
            (Gcs, 401, "AuthenticationRequired", ErrorKind::Io, "GOOGLE_APPLICATION_CREDENTIALS"),
            (Gcs, 401, "", ErrorKind::Io, "GOOGLE_APPLICATION_CREDENTIALS"),
            (Gcs, 403, "AccessDenied", ErrorKind::ReadOnly, "open the store read-only"),
            (Gcs, 403, "RetentionPolicyNotMet", ErrorKind::Io, "nothing is lost"),
            (Gcs, 403, "ObjectUnderActiveHold", ErrorKind::Io, "nothing is lost"),
            (Gcs, 404, "NoSuchBucket", ErrorKind::NotFound, "make it first"),
            (Azure, 403, "AuthenticationFailed", ErrorKind::Io, "AZURE_STORAGE_ACCOUNT_KEY"),
            (Azure, 403, "AuthorizationFailure", ErrorKind::Io, "have expired"),
            (Azure, 401, "InvalidAuthenticationInfo", ErrorKind::Io, "AZURE_STORAGE_SAS_TOKEN"),
            (Azure, 403, "AuthorizationPermissionMismatch", ErrorKind::ReadOnly, "open the store read-only"),
            (Azure, 404, "ContainerNotFound", ErrorKind::NotFound, "make it first"),
            (Azure, 409, "BlobImmutableDueToPolicy", ErrorKind::Io, "nothing is lost"),
            (Azure, 409, "BlobImmutableDueToLegalHold", ErrorKind::Io, "nothing is lost"),
            (Azure, 409, "ContainerBeingDeleted", ErrorKind::Io, "being removed"),
            (Azure, 412, "LeaseIdMissing", ErrorKind::Io, "lease"),
            (Azure, 400, "InvalidHeaderValue", ErrorKind::Unsupported, "endpoint"),
        ] {
            for act in [Act::Create, Act::Replace, Act::Delete] {
                let cause = coded(status, code);
                assert!(!is_refusal(cloud, act, &cause), "{code} is no condition");
                let Trouble::Final(error) = trouble(cloud, act, &cause) else {
                    panic!("{status} {code} is final")
                };
                let text = error.to_string();
                assert!(text.contains(words) && text.contains(&status.to_string()), "{text}");
                assert_eq!(error.kind(), kind, "{text}");
                assert!(!text.contains("KEY<") && !text.contains("SECRET<"), "{text}");
                assert!(!text.contains(">SECRET"), "{text}");
            }
        }
    }

    #[test]
    fn what_is_not_a_refusal_may_have_taken_place_or_may_later() {
        for cloud in [Cloud::S3, Cloud::Gcs, Cloud::Azure] {
            let of = |cause| trouble(cloud, Act::Create, &cause);
            assert!(matches!(of(coded(503, "SlowDown")), Trouble::Busy(_)));
            assert!(matches!(of(coded(429, "TooManyRequests")), Trouble::Busy(_)));
            assert!(matches!(of(answer(500, "")), Trouble::Open(_)));
            assert!(matches!(of(answer(408, "")), Trouble::Open(_)));
            assert!(matches!(of(coded(400, "RequestTimeout")), Trouble::Open(_)));
            let lost = Cause::Generic { store: "S3", source: "error sending request".into() };
            let Trouble::Open(error) = of(lost) else { panic!("nobody knows what became of it") };
            assert!(error.to_string().contains("network"), "{error}");
        }
    }

    #[test]
    fn a_condition_that_does_not_hold_is_told_from_every_other_refusal() {
        use Cloud::{Azure, Gcs, S3};
        for (cloud, act, status, code, is) in [
            (S3, Act::Create, 412, "PreconditionFailed", true),
            (S3, Act::Create, 409, "ConditionalRequestConflict", true),
            (S3, Act::Replace, 412, "PreconditionFailed", true),
            (S3, Act::Replace, 409, "ConditionalRequestConflict", false),
            (S3, Act::Replace, 404, "NoSuchKey", true),
            (S3, Act::Replace, 404, "NoSuchBucket", false),
            (Gcs, Act::Create, 412, "PreconditionFailed", true),
            (Gcs, Act::Replace, 412, "PreconditionFailed", true),
            (Azure, Act::Create, 409, "BlobAlreadyExists", true),
            (Azure, Act::Create, 409, "ContainerBeingDeleted", false),
            (Azure, Act::Create, 409, "AccountBeingCreated", false),
            (Azure, Act::Replace, 412, "ConditionNotMet", true),
            (Azure, Act::Replace, 404, "ContainerNotFound", false),
        ] {
            assert_eq!(is_refusal(cloud, act, &coded(status, code)), is, "{cloud:?} {act:?} {code}");
        }
        assert!(is_absence(&coded(404, "BlobNotFound")) && is_absence(&answer(404, "")));
        assert!(!is_absence(&coded(404, "ContainerNotFound")) && !is_absence(&coded(404, "NoSuchBucket")));
    }

    #[test]
    fn credentials_for_which_there_is_no_token_are_named_as_what_is_wrong() {
        let text = "Error performing token request: Error performing POST https://h/token in 1ms - Server returned non-2xx \
                    status code: 400 Bad Request: {\"error\":\"invalid_grant\",\"error_description\":\"SECRET\"}";
        let cause = Cause::Generic { store: "GCS", source: text.into() };
        let Trouble::Final(error) = trouble(Cloud::Gcs, Act::Read, &cause) else { panic!("it is final") };
        let text = error.to_string();
        assert!(
            text.contains("invalid_grant") && text.contains("clock") && !text.contains("SECRET"),
            "{text}"
        );
    }

    #[test]
    fn one_of_several_that_cannot_be_removed_has_a_status_as_well() {
        let text = "Bulk delete request failed for key k: This operation is not permitted (code: 409)";
        let cause = Cause::Generic { store: "MicrosoftAzure", source: text.into() };
        let trouble = trouble(Cloud::Azure, Act::Delete, &cause);
        assert!(trouble.into_error().to_string().contains("status 409"));
    }
}
