//! What bad input gets: credentials, clocks, regions, permissions, servers that do not answer or do not keep to conditions, and
//! buckets in which somebody else has been.

use std::process::{Command, Output};
use std::thread;

use aral_store::{ErrorKind, MessageStore, Messages};

use super::BINARY;
use crate::support::azurite::EMULATOR_KEY;
use crate::support::buckets::{self, Place};
use crate::support::recorded::Recorded;

/// A URL of each cloud at this port, without credentials.
fn urls(port: u16) -> [String; 3] {
    let endpoint = format!("endpoint=http://127.0.0.1:{port}&anonymous=true");
    [
        format!("s3://b/p?region=eu-central-1&{endpoint}"),
        format!("gs://b/p?{endpoint}"),
        format!("az://b/p?account=shop&{endpoint}"),
    ]
}

#[test]
fn a_refusal_of_the_service_is_told_at_once_with_its_remedy_and_no_secret() {
    // As the documentation of each prints them.
    let table = [
        (0, "403 Forbidden", "RequestTimeTooSkewed", ErrorKind::Io, "set this machine's clock right"),
        (0, "400 Bad Request", "ExpiredToken", ErrorKind::Io, "renew them"),
        (0, "403 Forbidden", "InvalidAccessKeyId", ErrorKind::Io, "AWS_ACCESS_KEY_ID"),
        (0, "403 Forbidden", "SignatureDoesNotMatch", ErrorKind::Io, "AWS_SECRET_ACCESS_KEY"),
        (0, "403 Forbidden", "AccessDenied", ErrorKind::Io, "the right to get"),
        (0, "404 Not Found", "NoSuchBucket", ErrorKind::NotFound, "make it first"),
        (0, "301 Moved Permanently", "PermanentRedirect", ErrorKind::Io, "AWS_REGION"),
        (0, "400 Bad Request", "AuthorizationHeaderMalformed", ErrorKind::Io, "AWS_REGION"),
        (1, "401 Unauthorized", "AuthenticationRequired", ErrorKind::Io, "GOOGLE_APPLICATION_CREDENTIALS"),
        (1, "403 Forbidden", "AccessDenied", ErrorKind::Io, "the right to get"),
        (1, "404 Not Found", "NoSuchBucket", ErrorKind::NotFound, "make it first"),
        (1, "400 Bad Request", "InvalidArgument", ErrorKind::Unsupported, "look at the endpoint"),
        (2, "403 Forbidden", "AuthenticationFailed", ErrorKind::Io, "AZURE_STORAGE_ACCOUNT_KEY"),
        (2, "401 Unauthorized", "InvalidAuthenticationInfo", ErrorKind::Io, "have expired"),
        (2, "403 Forbidden", "AuthorizationPermissionMismatch", ErrorKind::Io, "the right to get"),
        (2, "404 Not Found", "ContainerNotFound", ErrorKind::NotFound, "make it first"),
        (2, "409 Conflict", "ContainerBeingDeleted", ErrorKind::Io, "being removed"),
        (2, "409 Conflict", "PublicAccessNotPermitted", ErrorKind::Io, "AZURE_STORAGE_SAS_TOKEN"),
        (2, "400 Bad Request", "InvalidHeaderValue", ErrorKind::Unsupported, "look at the endpoint"),
    ];
    for (cloud, status, code, kind, remedy) in table {
        let server = Recorded::start(Some(Recorded::refusal(status, code)));
        let url = &urls(server.port)[cloud];
        for (sent, options) in
            [MessageStore::options(), MessageStore::options().read_only()].into_iter().enumerate()
        {
            let error = options.connect(url).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.kind(), kind, "{text}");
            // Of an answer that leads elsewhere the client keeps nothing.
            assert!(status.starts_with("301") || text.contains(code), "{text}");
            assert!(text.contains(remedy) && !text.contains("HIDDEN"), "{text}");
            // What will not be otherwise is not asked twice.
            assert_eq!(usize::try_from(server.requests()).unwrap(), sent + 1, "{text}");
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "several are waited for at the same time")]
fn a_service_that_cannot_be_reached_or_says_nothing_is_given_up_before_long() {
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let silent = Recorded::start(None);
    let urls = urls(nobody).into_iter().chain(urls(silent.port));
    let tries: Vec<_> =
        urls.map(|url| thread::spawn(move || MessageStore::connect(url).unwrap_err())).collect();
    for failed in tries {
        let error = failed.join().unwrap();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(error.message().contains("the network"), "{error}");
    }
    // Each try waits as long as it has to, and they are few because of that.
    assert!(silent.requests() <= 3 * 4, "{}", silent.requests());
}

/// Runs the command line as somebody who has set these variables, and no others of a cloud.
fn run(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars() {
        if ["AWS_", "AZURE_", "GOOGLE_", "STORAGE_"].iter().any(|cloud| name.starts_with(cloud)) {
            command.env_remove(name);
        }
    }
    command.envs(variables.iter().copied()).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Those of a cloud.
fn places(name: &str, scheme: &str) -> Vec<Place> {
    buckets::places(name).into_iter().filter(|place| place.url().starts_with(scheme)).collect()
}

#[test]
fn credentials_that_are_wrong_or_expired_or_for_reading_only_are_told_by_the_real_service() {
    for place in places("credentials", "az:") {
        let url = place.url();
        let store = MessageStore::connect(&url).unwrap();
        store.add_message("c1", "kept").unwrap();
        let wrong = "d3Jvbmc=";
        let failed = run(&[("AZURE_STORAGE_ACCOUNT_KEY", wrong)], &["-d", &url, "add", "c1", "x"]);
        let text = said(&failed);
        assert_eq!(failed.status.code(), Some(1), "{text}");
        assert!(text.contains("AZURE_STORAGE_ACCOUNT_KEY") && !text.contains(wrong), "{text}");

        let expired = place.token("rwdl", "2020-01-01T00:00:00Z").unwrap();
        let failed = run(&[("AZURE_STORAGE_SAS_TOKEN", &expired)], &["-d", &url, "add", "c1", "x"]);
        let text = said(&failed);
        assert_eq!(failed.status.code(), Some(1), "{text}");
        assert!(text.contains("expired") && !text.contains("sig="), "{text}");

        let reading = place.token("rl", "2100-01-01T00:00:00Z").unwrap();
        let reading = [("AZURE_STORAGE_SAS_TOKEN", &*reading)];
        let failed = run(&reading, &["-d", &url, "add", "c1", "x"]);
        let text = said(&failed);
        assert!(!failed.status.success() && text.contains("open the store read-only"), "{text}");
        let shown = run(&reading, &["-d", &url, "show", "c1"]);
        assert!(shown.status.success() && String::from_utf8_lossy(&shown.stdout).contains("kept"));
        assert_eq!(store.stats().unwrap().last_seq, 1);
        // The other ways to name the emulator.
        let (plain, rest) = url.split_once('?').unwrap();
        let endpoint = rest.split_once("endpoint=").unwrap().1.split('&').next().unwrap();
        let connection = format!(
            "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={EMULATOR_KEY};BlobEndpoint={endpoint}/devstoreaccount1;",
        );
        for variables in [
            &[("AZURE_STORAGE_CONNECTION_STRING", &*connection)][..],
            &[("AZURE_STORAGE_USE_EMULATOR", "true"), ("AZURITE_BLOB_STORAGE_URL", endpoint)],
        ] {
            let shown = run(variables, &["-d", plain, "show", "c1"]);
            assert!(shown.status.success(), "{}", said(&shown));
        }
    }
    if let Some(server) = buckets::guarded("right", "right-secret") {
        let url = server.url("aral", "p");
        for (key, secret, code, remedy) in [
            ("right", "wrong-secret", "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
            ("wrong", "right-secret", "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
            ("right", "right-secret", "NoSuchBucket", "make it first"),
        ] {
            let keys = [("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret)];
            let text = said(&run(&keys, &["-d", &url, "add", "c1", "x"]));
            assert!(text.contains(code) && text.contains(remedy) && !text.contains(secret), "{text}");
        }
    }
    for place in places("credentials", "gs:") {
        let url = place.url().replace("&anonymous=true", "");
        let token = [("GOOGLE_BEARER_TOKEN", "wrong-secret")];
        let text = said(&run(&token, &["-d", &url, "add", "c1", "x"]));
        assert!(text.contains("GOOGLE_APPLICATION_CREDENTIALS") && !text.contains("wrong"), "{text}");
        let token = [("GOOGLE_BEARER_TOKEN", "right")];
        assert!(run(&token, &["-d", &url, "add", "c1", "x"]).status.success());
        // As Google's own libraries take it: without credentials.
        let host = url.split_once("endpoint=http://").unwrap().1.to_owned();
        let (url, _) = url.split_once('?').unwrap();
        assert!(run(&[("STORAGE_EMULATOR_HOST", &host)], &["-d", url, "show", "c1"]).status.success());
    }
}

#[test]
fn who_may_only_read_reads_and_is_told_so_when_writing() {
    for place in places("reading", "gs:") {
        let store = MessageStore::connect(place.url()).unwrap();
        store.add_message("c1", "kept").unwrap();
        let error = MessageStore::connect(place.url_in("reading")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
        assert!(error.message().contains("open the store read-only"), "{error}");
        let reader = MessageStore::options().read_only().connect(place.url_in("reading")).unwrap();
        assert_eq!(reader.messages("c1", Messages::all()).unwrap().len(), 1);
    }
}

#[test]
fn a_bucket_that_keeps_what_is_in_it_takes_messages_and_says_why_it_is_not_compacted() {
    for place in places("kept", "gs:") {
        let url = place.url_in("kept");
        let store = MessageStore::connect(&url).unwrap();
        store.add_message("c1", "one").unwrap();
        let error = store.compact().unwrap_err();
        assert!(error.message().contains("retention policy") && error.message().contains("nothing is lost"));
        store.add_message("c1", "two").unwrap();
        store.close().unwrap();
        let again = MessageStore::connect(&url).unwrap();
        again.add_message("c1", "three").unwrap();
        assert_eq!(again.messages("c1", Messages::all()).unwrap().len(), 3);
        assert!(again.verify().unwrap().is_sound());
    }
}

#[test]
fn a_bucket_that_keeps_old_versions_or_locks_them_is_a_bucket_like_any_other() {
    for place in places("versions", "s3:") {
        for bucket in place.with_versions() {
            let url = place.url_in(&bucket);
            let store = MessageStore::connect(&url).unwrap();
            for n in 0..3 {
                store.add_message("c1", format!("{n}")).unwrap();
                store.compact().unwrap();
            }
            store.remove_conversation("c1").unwrap();
            store.add_message("c2", "x").unwrap();
            store.compact().unwrap();
            store.close().unwrap();
            let again = MessageStore::connect(&url).unwrap();
            assert!(again.verify().unwrap().is_sound());
            assert_eq!(again.messages("c2", Messages::all()).unwrap().len(), 1);
        }
    }
}

#[test]
fn an_object_that_somebody_altered_or_removed_is_named_and_nothing_is_built_on_it() {
    for place in buckets::places("altered") {
        let store = MessageStore::connect(place.url()).unwrap();
        for n in 0..3 {
            store.add_message("c1", format!("{n}")).unwrap();
        }
        store.close().unwrap();
        let second = "log/0000000000000002-0000000000000002.seg";
        for text in [Some("something else"), None] {
            place.by_hand(second, text);
            let error = MessageStore::connect(place.url()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains("0000000000000002"), "{error}");
        }
    }
}

#[test]
fn a_server_that_does_not_look_at_conditions_is_not_written_to() {
    for place in places("lax", "gs:") {
        let error = MessageStore::connect(place.url_in("lax")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains("conditions"), "{error}");
    }
    // It answers that it does not know what it is asked for.
    if let Some(server) = buckets::another_google() {
        let url = server.url("aral", "p");
        let error = MessageStore::connect(&url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains("conditions"), "{error}");
        let error = MessageStore::options().read_only().connect(&url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "nothing was made: {error}");
    }
}
