//! The URL of a store in a PostgreSQL database.
//!
//! Owns the reading of it. No error here repeats a part of the URL: where it was written wrongly, any part may be a piece of
//! the password.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// The longest name that PostgreSQL keeps whole.
const LONGEST_NAME: usize = 63;

/// How a connection is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tls {
    Disable,
    /// If the server offers it; nothing is proved.
    Prefer,
    /// Always; nothing is proved, unless there is a root certificate to prove it by.
    Require,
    /// Always, and the server has to prove its name.
    Verify,
}

/// A PostgreSQL database and the schema in it, as a URL names them:
/// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?schema=NAME&sslmode=MODE`.
///
/// Shown, and in every error, it is without the user and the password.
///
/// ```
/// use aral_store::StoreUrl;
/// let url = StoreUrl::of("postgres://app:secret@db.example.org/agents?schema=chat")?;
/// assert!(!format!("{url:?}").contains("secret"));
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) schema: String,
    pub(super) tls: Tls,
    pub(super) root_certificate: Option<PathBuf>,
    pub(super) application_name: String,
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port, database, schema) = (&self.host, self.port, &self.database, &self.schema);
        if host.contains(':') {
            write!(f, "postgres://[{host}]:{port}/{database}?schema={schema}")
        } else {
            write!(f, "postgres://{host}:{port}/{database}?schema={schema}")
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

fn invalid(reason: &str) -> Error {
    let form = "postgres://USER:PASSWORD@HOST:PORT/DATABASE?schema=NAME&sslmode=MODE, where special characters of the \
                user and the password are percent-encoded";
    Error::invalid(format!("postgres: {reason}; write {form}"))
}

impl PostgresUrl {
    /// Reads what stands behind `postgres:`.
    pub(crate) fn of(rest: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(rest).map_err(|_| invalid("the URL is not valid UTF-8"))?;
        let rest = text.strip_prefix("//").ok_or_else(|| invalid("two slashes are missing"))?;
        if rest.chars().any(|c| c.is_whitespace() || c.is_control() || c == '#') {
            return Err(invalid("there are blanks or a # in the URL"));
        }
        // The last one: a password that was not encoded may hold others, which must not become a part of the host.
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (Some(login), rest),
            None => (None, rest),
        };
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (address, database) = place.split_once('/').unwrap_or((place, ""));
        let (host, port) = address_of(address)?;
        let database = decoded(database)?;
        if !is_plain(&database) {
            return Err(invalid(
                "the name of the database is missing, or has characters that no name should have",
            ));
        }
        let (user, password) = match login {
            Some(login) => login_of(login)?,
            None => (None, None),
        };
        let mut target = Self {
            user,
            password,
            host,
            port,
            database,
            schema: "public".to_owned(),
            tls: Tls::Prefer,
            root_certificate: None,
            application_name: "aral-store".to_owned(),
        };
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) =
                parameter.split_once('=').ok_or_else(|| invalid("a parameter behind the ? has no value"))?;
            target.set(name, decoded(value)?)?;
        }
        Ok(target)
    }

    fn set(&mut self, name: &str, value: String) -> Result<()> {
        match name {
            "schema" if is_plain(&value) && !value.starts_with("pg_") => self.schema = value,
            "schema" => {
                let reason =
                    "the schema is a name of 1 to 63 letters, digits, and _ - . , not beginning with pg_";
                return Err(invalid(reason));
            }
            "sslmode" => self.tls = tls_of(&value)?,
            "sslrootcert" => self.root_certificate = Some(value.into()),
            "application_name" if value.len() <= LONGEST_NAME => self.application_name = value,
            _ => {
                let known = "what stands behind the ? is schema, sslmode, sslrootcert or application_name";
                return Err(invalid(known));
            }
        }
        Ok(())
    }
}

fn tls_of(mode: &str) -> Result<Tls> {
    match mode {
        "disable" => Ok(Tls::Disable),
        "prefer" => Ok(Tls::Prefer),
        "require" => Ok(Tls::Require),
        "verify-full" => Ok(Tls::Verify),
        _ => Err(invalid("sslmode is disable, prefer, require or verify-full")),
    }
}

fn login_of(login: &str) -> Result<(Option<String>, Option<String>)> {
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(decoded(password)?)),
        None => (login, None),
    };
    let user = decoded(user)?;
    Ok((Some(user).filter(|user| !user.is_empty()), password))
}

fn address_of(address: &str) -> Result<(String, u16)> {
    let bad = || invalid("the host is missing, or it is no name or address");
    let (host, port) = if let Some(rest) = address.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or_else(bad)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
        (host, port.strip_prefix(':'))
    } else {
        let (host, port) = address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port)));
        if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)) {
            return Err(bad());
        }
        (host, port)
    };
    let number = |port: &str| port.parse().map_err(|_| invalid("the port is no number that a port can have"));
    Ok((host.to_owned(), port.filter(|port| !port.is_empty()).map_or(Ok(5432), number)?))
}

/// Whether a name can be shown anywhere as it is.
fn is_plain(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
}

/// A part of a URL without its percent-encoding.
fn decoded(text: &str) -> Result<String> {
    let bad = || invalid("a % is not followed by two hexadecimal digits");
    let digit = |byte: Option<u8>| {
        let value = byte.and_then(|byte| char::from(byte).to_digit(16));
        value.and_then(|value| u8::try_from(value).ok()).ok_or_else(bad)
    };
    let (mut bytes, mut out) = (text.bytes(), Vec::with_capacity(text.len()));
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            out.push(high << 4 | low);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).map_err(|_| invalid("what is percent-encoded is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Result<PostgresUrl> {
        PostgresUrl::of(url.as_bytes())
    }

    #[test]
    fn a_url_is_taken_apart() {
        let target =
            of("//a%40b:p%3Aq%2F@db.example.org:6543/agents?schema=chat&sslmode=verify-full").unwrap();
        assert_eq!((target.user.as_deref(), target.password.as_deref()), (Some("a@b"), Some("p:q/")));
        assert_eq!((target.host.as_str(), target.port), ("db.example.org", 6543));
        assert_eq!((target.database.as_str(), target.schema.as_str()), ("agents", "chat"));
        assert_eq!(target.tls, Tls::Verify);
        let target = of("//[::1]/x").unwrap();
        assert_eq!(target.to_string(), "postgres://[::1]:5432/x?schema=public");
        assert_eq!((target.user, target.password, target.tls), (None, None, Tls::Prefer));
    }

    #[test]
    fn no_part_of_a_password_is_shown_however_the_url_is_written() {
        for url in
            ["//app:secret@db/x", "//app:se@cret:secret@db/x", "//app:a/secret@db/x", "//app:a?secret@db/x"]
        {
            let shown = format!("{:?}", of(url).unwrap());
            assert_eq!(shown, "PostgresUrl(postgres://db:5432/x?schema=public)", "{url}");
        }
        for url in [
            "app:secret@db/x",
            "//app:secret@",
            "//app:secret@db",
            "//app:secret/x",
            "//app:%secret@db/x",
            "//app:x#secret@db/x",
            "//app:x@db/x?secret",
            "//app:x@db/x?secret=1",
            "//app:x@db/x?sslmode=secret",
            "//app:x@db/x?schema=pg_secret",
            "//app:x@db:secret/x",
        ] {
            let error = of(url).unwrap_err().to_string();
            assert!(!error.contains("secret") && error.contains("HOST"), "{url}: {error}");
        }
    }
}
