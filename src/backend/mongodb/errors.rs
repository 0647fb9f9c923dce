//! What went wrong with a request, and what can be done about it.
//!
//! Owns the telling apart of what took place, what may have, and what never will, and the words for it. What a server answers is not
//! repeated but for its code: it may hold what was to be written.

use mongodb::error::{Error as Cause, ErrorKind as CauseKind, WriteFailure};

use crate::backend::journal::objects::Trouble;
use crate::error::{Error, ErrorKind};

/// There is a document of this id already.
pub(super) const DUPLICATE: i32 = 11000;

const AWAY: &str = "is there a server at this address, does the network lead to it, and is the name after replicaSet= that of the replica set?";

fn io(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Io, reason)
}

/// A request that did not end as it should.
pub(super) fn trouble(cause: &Cause) -> Trouble {
    match &*cause.kind {
        CauseKind::Authentication { .. } => Trouble::Final(credentials()),
        CauseKind::Command(error) => of_code(error.code, &error.code_name),
        CauseKind::Write(WriteFailure::WriteError(error)) => {
            of_code(error.code, error.code_name.as_deref().unwrap_or_default())
        }
        CauseKind::Write(WriteFailure::WriteConcernError(error)) => unconfirmed(error.code),
        CauseKind::ServerSelection { message, .. } => Trouble::Busy(selection(message)),
        CauseKind::DnsResolve { .. } => Trouble::Final(io(
            "the server's name cannot be resolved; correct it, or look at the name service",
        )),
        CauseKind::InvalidTlsConfig { .. } => Trouble::Final(Error::invalid(
            "the certificates that the URL names cannot be used; look at tlsCAFile and tlsCertificateKeyFile",
        )),
        CauseKind::InvalidArgument { .. } => Trouble::Final(Error::invalid(
            "the driver cannot use the URL: a parameter has a wrong value, or two do not go together",
        )),
        CauseKind::IncompatibleServer { .. } | CauseKind::SessionsNotSupported => Trouble::Final(Error::new(
            ErrorKind::Unsupported,
            "the server is too old; it has to be MongoDB 5.0 or newer",
        )),
        // Connections break, and the driver gives none of its own errors an outcome.
        CauseKind::Io(_)
        | CauseKind::ConnectionPoolCleared { .. }
        | CauseKind::InvalidResponse { .. }
        | _ => Trouble::Open(io("the connection broke, or the server did not answer as it should")),
    }
}

/// What is said where nothing came in time.
pub(super) fn silence() -> Trouble {
    Trouble::Open(io("the server does not answer; has the replica set a majority of its members?"))
}

fn credentials() -> Error {
    let reason = "the server does not accept the user or the password; correct them, or say with authSource= in which database the user is \
                  (often admin)";
    Error::invalid(reason)
}

/// Why no server was chosen, from what the driver says of each.
fn selection(said: &str) -> Error {
    let said = said.to_ascii_lowercase();
    if said.contains("certificate") || said.contains("tls") || said.contains("handshake") {
        let reason = "no secure connection comes about: the server speaks no TLS, or its certificate does not prove its name; look at tls=, \
                      tlsCAFile= and the host's name";
        return Error::invalid(reason);
    }
    // Members that are there tell more than those that are away.
    let has_members =
        said.contains("secondary") || !said.contains("refused") && said.contains("replicasetnoprimary");
    if has_members {
        return io(
            "the replica set has no primary that can be reached: its members are away or electing one, the names in its \
             configuration do not lead to them from here, or the name after replicaSet= is another's",
        );
    }
    if said.contains("refused") {
        return io(format!("the server refuses connections: {AWAY}"));
    }
    io(format!("no server can be reached: {AWAY}"))
}

/// A write that a majority has not confirmed.
fn unconfirmed(code: i32) -> Trouble {
    match code {
        100 | 79 => Trouble::Final(Error::new(
            ErrorKind::Unsupported,
            "the server cannot have a majority confirm writes, or keep them in its journal",
        )),
        _ => Trouble::Open(io("a majority of the replica set has not confirmed what was written")),
    }
}

/// What a server's code means.
pub(super) fn of_code(code: i32, name: &str) -> Trouble {
    let is_name = name.len() <= 60 && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let said =
        if name.is_empty() || !is_name { format!("code {code}") } else { format!("code {code}, {name}") };
    match code {
        13 => Trouble::Final(Error::new(
            ErrorKind::ReadOnly,
            format!(
                "the user may not do this ({said}): writing takes the role readWrite on the database; for reading alone, open it read-only, \
                 which takes the role read"
            ),
        )),
        18 | 8000 => Trouble::Final(credentials()),
        // Not the primary, or not any more: it did not take place.
        10058 | 10107 | 13435 => Trouble::Busy(io(format!("the server is not the primary ({said})"))),
        112 | 246 => Trouble::Busy(io(format!("another request is under way ({said})"))),
        14031 => {
            Trouble::Final(Error::new(ErrorKind::NoSpace, format!("the server's disk is full ({said})")))
        }
        72 | 303 => Trouble::Final(Error::new(
            ErrorKind::Unsupported,
            format!("the server does not do what is asked of it ({said}): it has to be MongoDB 5.0 or newer"),
        )),
        121 => Trouble::Final(Error::new(
            ErrorKind::Unsupported,
            format!(
                "a collection of the store has a validator that refuses its documents ({said}); remove it"
            ),
        )),
        2 | 9 | 14 | 20 | 40 | 52 | 57 | 66 | 73 | 10334 | 17419 => {
            Trouble::Final(Error::new(ErrorKind::Failed, format!("the server refuses the request ({said})")))
        }
        _ => Trouble::Open(io(format!("the server could not do it, or not to the end ({said})"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_names_its_remedy() {
        for (code, words) in [
            (13, "the role readWrite"),
            (18, "authSource="),
            (14031, "disk is full"),
            (121, "validator"),
            (2, "refuses the request"),
        ] {
            let Trouble::Final(error) = of_code(code, "Name") else { panic!("{code} is final") };
            assert!(error.to_string().contains(words), "{error}");
        }
        let Trouble::Open(error) = of_code(91, "ShutdownInProgress secret") else { panic!("open") };
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(matches!(of_code(10107, ""), Trouble::Busy(_)));
        for (said, words) in [
            ("Topology: Unknown, Error: Connection refused (os error 111)", "refuses connections"),
            ("invalid peer certificate: UnknownIssuer", "tlsCAFile="),
            ("Topology: ReplicaSetNoPrimary, Servers: [...]", "no primary"),
            ("Topology: ReplicaSetNoPrimary, Type: RSSecondary, Error: Connection refused", "no primary"),
            ("timed out", "no server can be reached"),
        ] {
            assert!(selection(said).to_string().contains(words), "{said}");
        }
    }
}
