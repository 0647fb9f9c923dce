//! Requests to Firestore's API over HTTP, version 1, in JSON.
//!
//! Owns the sending of one, its deadlines, TLS, and the token that it carries. Sends nothing twice, save what was refused for its token:
//! whether that is right only the journal knows.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client as Http, ClientBuilder};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use super::credentials::Setup;
use super::errors::{self, Failure};
use super::tokens::Tokens;
use crate::backend::journal::objects::Trouble;
use crate::backend::runtime::Calls;
use crate::error::{Error, ErrorKind, Result};

/// How long a service may take to take a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// How long it may say nothing while an answer is due. The service gives up by itself after a minute.
const SILENCE: Duration = Duration::from_secs(30);

/// How long one request may take altogether, however large it is.
const LONGEST: Duration = Duration::from_secs(300);

/// The way to a database.
pub(super) struct Client {
    http: Http,
    tokens: Tokens,
    address: String,
    quota_project: Option<String>,
    calls: Calls,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Client {
    /// The way to a database. Nothing is asked of it yet.
    pub(super) fn new(setup: Setup) -> Result<Self> {
        let builder = ClientBuilder::new()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .timeout(LONGEST)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .tls_backend_preconfigured(encryption()?)
            .user_agent(concat!("aral-store/", env!("CARGO_PKG_VERSION")));
        // An emulator is near, and no proxy knows the way to it.
        let builder = if setup.address.starts_with("http://") { builder.no_proxy() } else { builder };
        let failed = |error| Error::new(ErrorKind::Io, format!("cannot prepare connections: {error}"));
        let http = builder.build().map_err(failed)?;
        let (address, quota_project) = (setup.address, setup.quota_project);
        Ok(Self { http, tokens: Tokens::of(setup.source), address, quota_project, calls: Calls::new()? })
    }

    /// Sends a request, and gives the answer to it.
    pub(super) fn send(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let body = body.to_string();
        let answer = self.calls.wait(self.exchange(path, &body));
        answer.unwrap_or_else(|| {
            Err(Trouble::Open(Error::new(ErrorKind::Failed, "the request was given up")).into())
        })
    }

    async fn exchange(&self, path: &str, body: &str) -> Result<Value, Failure> {
        let mut rejected: Option<String> = None;
        loop {
            let token = self.tokens.bearer(&self.http, rejected.as_deref()).await?;
            let request =
                self.http.post(format!("{}/v1/{}", self.address, encoded(path))).bearer_auth(&token);
            let request = match &self.quota_project {
                Some(project) => request.header("x-goog-user-project", project),
                None => request,
            };
            let request = request.header("content-type", "application/json").body(body.to_owned());
            let answer = request.send().await.map_err(|error| errors::unanswered(error.is_connect()))?;
            let status = answer.status().as_u16();
            let bytes = answer.bytes().await.map_err(|_| errors::unanswered(false))?;
            match status {
                200 => {
                    return serde_json::from_slice(&bytes).map_err(|_| errors::garbled("it is no JSON"));
                }
                // A token that has expired by the service's clock, or was revoked: nothing took place.
                401 if rejected.is_none() && self.tokens.can_renew() => rejected = Some(token),
                _ => return Err(errors::refused(status, &bytes)),
            }
        }
    }
}

/// A path as it stands in an address. Its last colon parts the verb from it, and others may be in ids.
fn encoded(path: &str) -> String {
    let (parent, verb) = path.rsplit_once(':').unwrap_or((path, ""));
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~/()".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    let parent: String = parent.bytes().map(escape).collect();
    format!("{parent}:{verb}")
}

/// What proves a server's name, by the certificates that the system trusts.
fn encryption() -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let failed = |error| Error::new(ErrorKind::Failed, format!("cannot set TLS up: {error}"));
    Ok(builder.map_err(failed)?.with_root_certificates(roots).with_no_client_auth())
}
