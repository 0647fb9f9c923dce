//! The URL of a store in a MongoDB database.
//!
//! Owns the reading of it, as far as the driver does not: the database, the prefix of the collections, and which parameters a store can do with. No
//! error here repeats a part of the URL: where it was written wrongly, any part may be a piece of the password.

use std::fmt;

use crate::error::{Error, Result};

/// With what the names of the store's collections begin.
const PREFIX: &str = "aral_";

/// Parameters that the driver reads. Their names are compared as the driver does it, whatever their case.
const OF_THE_DRIVER: [&str; 21] = [
    "appname",
    "authmechanism",
    "authmechanismproperties",
    "authsource",
    "connecttimeoutms",
    "directconnection",
    "loadbalanced",
    "maxidletimems",
    "maxpoolsize",
    "minpoolsize",
    "replicaset",
    "retryreads",
    "retrywrites",
    "serverselectiontimeoutms",
    "srvmaxhosts",
    "srvservicename",
    "ssl",
    "tls",
    "tlscafile",
    "tlscertificatekeyfile",
    "tlsinsecure",
];

/// A MongoDB database and the collections in it, as a URL names them: `mongodb://USER:PASSWORD@HOST,HOST/DATABASE?replicaSet=NAME` or
/// `mongodb+srv://…`, and what other parameters of the driver there are.
///
/// Shown, and in every error, it is without the user, the password and the parameters.
///
/// ```
/// use aral_store::StoreUrl;
/// let url = StoreUrl::of("mongodb://app:secret@db.example.org/agents?collectionPrefix=chat_")?;
/// assert_eq!(format!("{url:?}"), "Mongodb(mongodb://db.example.org/agents?collectionPrefix=chat_)");
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct MongoUrl {
    /// For the driver: all of it but the prefix.
    pub(super) uri: String,
    /// Whether the hosts are looked up.
    is_srv: bool,
    hosts: String,
    pub(super) database: String,
    pub(super) prefix: String,
    /// Whether a read may show what the primary of a moment ago had confirmed.
    pub(super) reads_majority: bool,
}

impl fmt::Display for MongoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_srv { "mongodb+srv" } else { "mongodb" };
        write!(f, "{scheme}://{}/{}", self.hosts, self.database)?;
        if self.prefix == PREFIX { Ok(()) } else { write!(f, "?collectionPrefix={}", self.prefix) }
    }
}

impl fmt::Debug for MongoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

pub(super) fn invalid(reason: &str) -> Error {
    let form = "mongodb://USER:PASSWORD@HOST:PORT/DATABASE?replicaSet=NAME, where special characters of the user and the password are \
                percent-encoded";
    Error::invalid(format!("mongodb: {reason}; write {form}"))
}

fn is_name(text: &str, most: usize) -> bool {
    !text.is_empty()
        && text.len() <= most
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

impl MongoUrl {
    /// Reads what stands behind `mongodb:` or `mongodb+srv:`.
    pub(crate) fn of(rest: &[u8], is_srv: bool) -> Result<Self> {
        let text = std::str::from_utf8(rest).map_err(|_| invalid("the URL is not valid UTF-8"))?;
        let rest = text.strip_prefix("//").ok_or_else(|| invalid("two slashes are missing"))?;
        if rest.chars().any(|c| c.is_whitespace() || c.is_control() || c == '#') {
            return Err(invalid("there are blanks or a # in the URL"));
        }
        // The last one: a password that was not encoded may hold others, which must not become a part of the hosts.
        let (login, behind) = match rest.rsplit_once('@') {
            Some((login, behind)) => (Some(login), behind),
            None => (None, rest),
        };
        if login.is_some_and(|login| login.contains(['/', '?', '@']) || login.matches(':').count() > 1) {
            return Err(invalid(
                "the user and the password are to be percent-encoded: @ is %40, / is %2F, ? is %3F, : is %3A",
            ));
        }
        let (place, parameters) = behind.split_once('?').unwrap_or((behind, ""));
        let (hosts, database) = place.split_once('/').unwrap_or((place, ""));
        let is_of_hosts = |c: char| c.is_ascii_alphanumeric() || ".-_:,[]%".contains(c);
        if hosts.is_empty() || !hosts.chars().all(is_of_hosts) {
            return Err(invalid("the host is missing, or has characters that no host's name has"));
        }
        if !is_name(database, 60) {
            let reason = "the name of the database is missing behind the hosts, or is not of 1 to 60 letters, digits, - and _";
            return Err(invalid(reason));
        }
        let (mut prefix, mut reads_majority) = (PREFIX.to_owned(), false);
        let mut for_driver = Vec::new();
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) =
                parameter.split_once('=').ok_or_else(|| invalid("a parameter behind the ? has no value"))?;
            match name.to_ascii_lowercase().as_str() {
                "collectionprefix" if is_name(value, 60) => prefix = value.to_owned(),
                "collectionprefix" => {
                    return Err(invalid("collectionPrefix is of 1 to 60 letters, digits, - and _"));
                }
                name if OF_THE_DRIVER.contains(&name) || name.starts_with("tlsallowinvalid") => {
                    for_driver.push(parameter);
                }
                name => {
                    strong_enough(name, value)?;
                    reads_majority |= (name, value) == ("readconcernlevel", "majority");
                }
            }
        }
        let (scheme, login) = (
            if is_srv { "mongodb+srv" } else { "mongodb" },
            login.map_or(String::new(), |login| format!("{login}@")),
        );
        let parameters = for_driver.join("&");
        Ok(Self {
            uri: format!("{scheme}://{login}{hosts}/{database}?{parameters}"),
            is_srv,
            hosts: hosts.to_owned(),
            database: database.to_owned(),
            prefix,
            reads_majority,
        })
    }

    /// The name of a collection.
    pub(super) fn collection(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// What the store asks for anyway may be asked for in the URL, too, and nothing weaker.
fn strong_enough(name: &str, value: &str) -> Result<()> {
    let enough: &[&str] = match name {
        "w" => &["majority"],
        "journal" => &["true"],
        "readconcernlevel" => &["majority", "linearizable"],
        "readpreference" => &["primary"],
        _ => {
            let known = "what stands behind the ? is collectionPrefix, or one of replicaSet, authSource, authMechanism, directConnection, tls, \
                         tlsCAFile, tlsCertificateKeyFile, appName, retryWrites, serverSelectionTimeoutMS, and what else the documentation names";
            return Err(invalid(known));
        }
    };
    if enough.contains(&value) {
        return Ok(());
    }
    Err(invalid(
        "the store writes with w=majority and journal=true and reads from the primary; leave w, journal, readConcernLevel and readPreference out",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn what_the_driver_needs_is_handed_on_and_nothing_that_is_secret_is_shown() {
        let url = MongoUrl::of(
            b"//app:secret%40@h1:27017,h2/db?replicaSet=rs0&collectionPrefix=x_&w=majority&authSource=admin",
            false,
        )
        .unwrap();
        assert_eq!(url.uri, "mongodb://app:secret%40@h1:27017,h2/db?replicaSet=rs0&authSource=admin");
        assert_eq!(url.to_string(), "mongodb://h1:27017,h2/db?collectionPrefix=x_");
        assert_eq!(url.collection("messages"), "x_messages");
        let url = MongoUrl::of(b"//h.example.org/db", true).unwrap();
        assert_eq!((url.to_string(), &*url.prefix), ("mongodb+srv://h.example.org/db".to_owned(), "aral_"));
    }

    #[test]
    fn everything_else_is_refused_without_being_repeated() {
        for bad in [
            "",
            "//",
            "//secret",
            "//secret/",
            "h/secret",
            "//a:secret@x@h/db",
            "//a:se/cret@h/db",
            "//a:b:secret@h/db",
            "//h/secret db",
            "//h/db?secret",
            "//h/db?secret=1",
            "//h/db?w=1",
            "//h/db?journal=false",
            "//h/db?readPreference=secondary",
            "//h/db?collectionPrefix=secret.",
            "//h/db?collectionPrefix=",
            "//h/db#secret",
            "//h secret/db",
        ] {
            let error = MongoUrl::of(bad.as_bytes(), false).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
