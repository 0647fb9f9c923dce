//! Who asks, and whom.
//!
//! Owns the finding of credentials where Google's own tools look for them (Application Default Credentials), of the address of
//! requests, and the emulator's. Sends nothing. No error repeats what is in a file of credentials.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use super::target::FirestoreUrl;
use crate::error::{Error, ErrorKind, Result};
use crate::vfs::{OpenMode, OsVfs, Vfs, read_all};

/// Google's own address.
const ADDRESS: &str = "https://firestore.googleapis.com";
/// Where tokens come from, unless a file says otherwise.
const TOKENS: &str = "https://oauth2.googleapis.com/token";
/// The variable that names a file.
const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// How large a file of credentials is at most.
const LARGEST_FILE: u64 = 1 << 20;

/// Where tokens come from.
pub(super) enum Source {
    /// Nowhere: an emulator takes anybody for the owner.
    Owner,
    ServiceAccount(Box<ServiceAccount>),
    AuthorizedUser(AuthorizedUser),
    /// The machine's own account, by the server that says so at this address.
    Machine(String),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner => "Owner",
            Self::ServiceAccount(_) => "ServiceAccount",
            Self::AuthorizedUser(_) => "AuthorizedUser",
            Self::Machine(_) => "Machine",
        })
    }
}

/// A service account, by its key.
pub(super) struct ServiceAccount {
    pub(super) email: String,
    pub(super) key_id: String,
    pub(super) key: ring::rsa::KeyPair,
    pub(super) token_uri: String,
}

/// Somebody who has logged in.
pub(super) struct AuthorizedUser {
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) refresh_token: String,
    pub(super) token_uri: String,
}

/// Who asks, and whom.
#[derive(Debug)]
pub(super) struct Setup {
    /// The address of requests, without a slash at its end.
    pub(super) address: String,
    pub(super) source: Source,
    /// The project that pays for the requests of somebody who has logged in.
    pub(super) quota_project: Option<String>,
}

/// What the URL, the environment and the machine say.
pub(super) fn find(target: &FirestoreUrl, environment: &dyn Fn(&str) -> Option<String>) -> Result<Setup> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    let emulator = set("FIRESTORE_EMULATOR_HOST").filter(|_| target.endpoint.is_none());
    if let Some(host) = emulator {
        let address = if host.contains("://") { host } else { format!("http://{host}") };
        let address = address.trim_end_matches('/').to_owned();
        return Ok(Setup { address, source: Source::Owner, quota_project: None });
    }
    let address = target.endpoint.clone().unwrap_or_else(|| ADDRESS.to_owned());
    if let Some(host) = address.strip_prefix("http://") {
        if target.credentials.is_none() {
            return Ok(Setup { address, source: Source::Owner, quota_project: None });
        }
        if !is_here(host) {
            let reason = "firestore: over http:// to another machine anybody on the way could read the token; use https://, or leave \
                          credentials= out, as for an emulator";
            return Err(Error::invalid(reason));
        }
    }
    let named = target.credentials.clone().or_else(|| set(VARIABLE).map(PathBuf::from));
    if let Some(path) = named {
        return read(&path).map(|(source, quota_project)| Setup { address, source, quota_project });
    }
    let folder = set("CLOUDSDK_CONFIG").or_else(|| set("HOME").map(|home| format!("{home}/.config/gcloud")));
    if let Some(folder) = folder {
        let path = Path::new(&folder).join("application_default_credentials.json");
        match read(&path) {
            Ok((source, quota_project)) => return Ok(Setup { address, source, quota_project }),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let host = set("GCE_METADATA_HOST").unwrap_or_else(|| "metadata.google.internal".to_owned());
    Ok(Setup { address, source: Source::Machine(host), quota_project: None })
}

/// Whether a host is this machine.
fn is_here(host: &str) -> bool {
    let host = host.split('/').next().unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The credentials in a file, and the project that pays.
fn read(path: &Path) -> Result<(Source, Option<String>)> {
    let failed = |error| Error::io("read", path, error);
    let file = OsVfs.open(path, OpenMode::Read).map_err(failed)?;
    let bytes = read_all(&*file, LARGEST_FILE).map_err(failed)?;
    let invalid = |reason: &str| Error::invalid(format!("firestore: {reason}")).at(path, None);
    let value: Value =
        serde_json::from_slice(&bytes).map_err(|_| invalid("the file of the credentials is no JSON"))?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let needed = |name: &str| text(name).ok_or_else(|| invalid(&format!("the credentials have no {name}")));
    let token_uri = text("token_uri").unwrap_or_else(|| TOKENS.to_owned());
    if !token_uri.starts_with("https://") && !token_uri.strip_prefix("http://").is_some_and(is_here) {
        return Err(invalid("the credentials' token_uri is no https:// URL"));
    }
    let source = match text("type").as_deref() {
        Some("service_account") => {
            let key = rsa(&needed("private_key")?);
            let key = key.ok_or_else(|| invalid("the credentials' private_key is no RSA key in PEM"))?;
            let (email, key_id) = (needed("client_email")?, text("private_key_id").unwrap_or_default());
            Source::ServiceAccount(Box::new(ServiceAccount { email, key_id, key, token_uri }))
        }
        Some("authorized_user") => Source::AuthorizedUser(AuthorizedUser {
            client_id: needed("client_id")?,
            client_secret: needed("client_secret")?,
            refresh_token: needed("refresh_token")?,
            token_uri,
        }),
        Some(_) => {
            let reason = "firestore: these credentials are of a type that is not spoken here; the key of a service account \
                          (service_account), a login (authorized_user, by `gcloud auth application-default login`) and the account of \
                          the machine are";
            return Err(Error::new(ErrorKind::Unsupported, reason).at(path, None));
        }
        None => return Err(invalid("the credentials have no type")),
    };
    Ok((source, text("quota_project_id")))
}

fn rsa(pem: &str) -> Option<ring::rsa::KeyPair> {
    match PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()? {
        PrivateKeyDer::Pkcs8(key) => ring::rsa::KeyPair::from_pkcs8(key.secret_pkcs8_der()).ok(),
        PrivateKeyDer::Pkcs1(key) => ring::rsa::KeyPair::from_der(key.secret_pkcs1_der()).ok(),
        PrivateKeyDer::Sec1(_) | _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "credentials are on the real file system")]
mod tests {
    use super::*;

    fn setup(url: &str, variables: &[(&str, &str)]) -> Result<Setup> {
        let target = FirestoreUrl::of(url.as_bytes()).unwrap();
        let set =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        find(&target, &set)
    }

    #[test]
    fn an_emulator_is_asked_where_there_is_one_and_never_gets_a_token() {
        for (url, variables) in [
            ("//p/(default)/x", &[("FIRESTORE_EMULATOR_HOST", "127.0.0.1:8080")][..]),
            ("//p/(default)/x", &[("FIRESTORE_EMULATOR_HOST", "http://127.0.0.1:8080/")]),
            ("//p/(default)/x?endpoint=http://127.0.0.1:8080", &[("FIRESTORE_EMULATOR_HOST", "other:1")]),
            ("//p/(default)/x?endpoint=http://127.0.0.1:8080", &[(VARIABLE, "/nowhere.json")]),
        ] {
            let setup = setup(url, variables).unwrap();
            assert_eq!(
                (&*setup.address, format!("{:?}", setup.source)),
                ("http://127.0.0.1:8080", "Owner".into())
            );
        }
        let error = setup("//p/(default)/x?endpoint=http://db.test:1&credentials=/k", &[]).unwrap_err();
        assert!(error.to_string().contains("https://"), "{error}");
        for (host, here) in
            [("localhost:1", true), ("[::1]:2/x", true), ("127.0.0.1", true), ("127.0.0.1.x:1", false)]
        {
            assert_eq!(is_here(host), here, "{host}");
        }
    }

    #[test]
    fn credentials_are_found_where_googles_own_tools_look_for_them() {
        let dir = tempfile::tempdir().unwrap();
        let user = r#"{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"r","quota_project_id":"q"}"#;
        std::fs::write(dir.path().join("application_default_credentials.json"), user).unwrap();
        let folder = dir.path().to_str().unwrap();
        let found = setup("//p/(default)/x", &[("CLOUDSDK_CONFIG", folder)]).unwrap();
        assert_eq!((&*found.address, found.quota_project.as_deref()), (ADDRESS, Some("q")));
        assert!(matches!(found.source, Source::AuthorizedUser(_)));
        // One that is named has to be there.
        let named = setup("//p/(default)/x", &[("CLOUDSDK_CONFIG", folder), (VARIABLE, "/nowhere.json")]);
        assert_eq!(named.unwrap_err().kind(), ErrorKind::NotFound);
        let machine = setup("//p/(default)/x", &[("HOME", "/nowhere"), ("GCE_METADATA_HOST", "")]).unwrap();
        assert!(matches!(machine.source, Source::Machine(host) if host == "metadata.google.internal"));
    }

    #[test]
    fn what_are_no_credentials_is_said_and_not_repeated() {
        let dir = tempfile::tempdir().unwrap();
        for (text, kind, words) in [
            ("SECRET", ErrorKind::InvalidInput, "no JSON"),
            (r#"{"x":"SECRET"}"#, ErrorKind::InvalidInput, "no type"),
            (r#"{"type":"external_account","x":"SECRET"}"#, ErrorKind::Unsupported, "authorized_user"),
            (r#"{"type":"authorized_user","client_id":"SECRET"}"#, ErrorKind::InvalidInput, "client_secret"),
            (r#"{"type":"service_account","private_key":"SECRET"}"#, ErrorKind::InvalidInput, "RSA key"),
            (
                r#"{"type":"authorized_user","token_uri":"http://a.test/SECRET"}"#,
                ErrorKind::InvalidInput,
                "https://",
            ),
        ] {
            let path = dir.path().join("key.json");
            std::fs::write(&path, text).unwrap();
            let error = setup(&format!("//p/(default)/x?credentials={}", path.display()), &[]).unwrap_err();
            assert!(error.kind() == kind && error.to_string().contains(words), "{error}");
            assert!(!error.to_string().contains("SECRET"), "{error}");
        }
    }
}
