//! The tokens that requests carry.
//!
//! Owns the getting of them, one at a time, and the keeping while they are valid. No error holds one, nor what was sent for it, nor
//! what the service that gives them says beyond its code.

use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, RequestBuilder};
use ring::rand::SystemRandom;
use ring::signature::RSA_PKCS1_SHA256;
use serde_json::{Value, json};

use super::credentials::{AuthorizedUser, ServiceAccount, Source};
use crate::backend::journal::objects::Trouble;
use crate::backend::locked::locked;
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind};

/// What the tokens are good for.
const SCOPE: &str = "https://www.googleapis.com/auth/datastore";
/// How long before its end a token is not used any more: a request takes a while to arrive.
const MARGIN: Duration = Duration::from_secs(60);
/// For how long a token is asked for.
const LIFETIME: i64 = 3600;
/// How long the giving of one may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// A token, and until when it is used, by the clock that nobody can set.
#[derive(Clone)]
struct Token {
    text: String,
    until: i64,
}

/// What gives tokens out.
pub(super) struct Tokens {
    source: Source,
    current: Mutex<Option<Token>>,
}

impl Tokens {
    pub(super) fn of(source: Source) -> Self {
        Self { source, current: Mutex::default() }
    }

    /// A token that is valid as far as can be told here, and another one than the one that was rejected.
    pub(super) async fn bearer(&self, http: &Client, rejected: Option<&str>) -> Result<String, Trouble> {
        if matches!(self.source, Source::Owner) {
            return Ok("owner".to_owned());
        }
        let kept = locked(&self.current).clone();
        let is_first = kept.is_none();
        if let Some(token) = kept
            && SystemClock.elapsed_micros() < token.until
            && rejected != Some(token.text.as_str())
        {
            return Ok(token.text);
        }
        let token = self.fetch(http, is_first).await?;
        *locked(&self.current) = Some(token.clone());
        Ok(token.text)
    }

    /// Whether another token can be had at all.
    pub(super) fn can_renew(&self) -> bool {
        !matches!(self.source, Source::Owner)
    }

    async fn fetch(&self, http: &Client, is_first: bool) -> Result<Token, Trouble> {
        let request = match &self.source {
            // Nobody asks.
            Source::Owner => return Err(Trouble::Final(failed("an emulator gives no tokens"))),
            Source::ServiceAccount(account) => {
                let body = format!(
                    "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={}",
                    assertion(account).ok_or_else(|| Trouble::Final(failed("the key cannot sign")))?
                );
                form(http, &account.token_uri, body)
            }
            Source::AuthorizedUser(user) => form(http, &user.token_uri, renewal(user)),
            Source::Machine(host) => {
                let path = "computeMetadata/v1/instance/service-accounts/default/token";
                http.get(format!("http://{host}/{path}?scopes={SCOPE}")).header("Metadata-Flavor", "Google")
            }
        };
        let began = SystemClock.elapsed_micros();
        let sent = request.timeout(DEADLINE).send().await;
        let Ok(answer) = sent else { return Err(self.unanswered(is_first)) };
        let status = answer.status().as_u16();
        let Ok(bytes) = answer.bytes().await else { return Err(self.unanswered(is_first)) };
        let said: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if !(200..300).contains(&status) {
            return Err(self.refused(status, &said));
        }
        let text = said.get("access_token").and_then(Value::as_str).filter(|text| is_token(text));
        let text = text.ok_or_else(|| Trouble::Busy(failed("what answers in place of it gives none")))?;
        let seconds = said.get("expires_in").and_then(Value::as_u64).unwrap_or_default();
        let lifetime = Duration::from_secs(seconds).saturating_sub(MARGIN);
        let until = began.saturating_add(i64::try_from(lifetime.as_micros()).unwrap_or(i64::MAX));
        Ok(Token { text: text.to_owned(), until })
    }

    /// Nobody answered, and so nothing that needs the token was sent.
    fn unanswered(&self, is_first: bool) -> Trouble {
        if is_first && matches!(self.source, Source::Machine(_)) {
            let reason = "there are no credentials: set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account's key, or log in \
                          by `gcloud auth application-default login`; this machine has no account of its own that could be asked for";
            return Trouble::Final(Error::new(ErrorKind::Io, reason));
        }
        Trouble::Busy(failed("what gives them cannot be reached, or does not answer; look at the network"))
    }

    fn refused(&self, status: u16, said: &Value) -> Trouble {
        let code = said.get("error").and_then(Value::as_str).filter(|code| is_code(code));
        let code = code.map_or_else(|| format!("status {status}"), |code| format!("status {status}, {code}"));
        if matches!(status, 429 | 500..=599) {
            return Trouble::Busy(failed(&format!("what gives them is busy ({code})")));
        }
        let remedy = match &self.source {
            Source::ServiceAccount(_) => {
                "the key of the service account is not accepted: it may be deleted or disabled, or this machine's clock is wrong; \
                 make another key, or set the clock"
            }
            Source::AuthorizedUser(_) => {
                "the login has expired or was revoked; log in again by `gcloud auth application-default login`"
            }
            Source::Machine(_) | Source::Owner => {
                "this machine has no account that may be used; give it a service account"
            }
        };
        Trouble::Final(failed(&format!("{remedy} ({code})")))
    }
}

fn failed(reason: &str) -> Error {
    Error::new(ErrorKind::Io, format!("no access token can be had: {reason}"))
}

/// Whether a text can stand in a header, as tokens do.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_code(text: &str) -> bool {
    (1..=60).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn form(http: &Client, url: &str, body: String) -> RequestBuilder {
    http.post(url).header("content-type", "application/x-www-form-urlencoded").body(body)
}

/// What a service account asks for a token with: a claim that is signed by its key.
fn assertion(account: &ServiceAccount) -> Option<String> {
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": account.key_id});
    let now = SystemClock.now_micros() / 1_000_000;
    let claims = json!({
        "iss": account.email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": now,
        "exp": now + LIFETIME,
    });
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encoded(&header), encoded(&claims));
    let mut signature = vec![0; account.key.public().modulus_len()];
    account.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
    Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// What somebody who has logged in asks for a token with.
fn renewal(user: &AuthorizedUser) -> String {
    let pairs = [
        ("client_id", &user.client_id),
        ("client_secret", &user.client_secret),
        ("refresh_token", &user.refresh_token),
    ];
    let pairs = pairs.map(|(name, value)| format!("{name}={}", escaped(value)));
    format!("grant_type=refresh_token&{}", pairs.join("&"))
}

/// A text as it stands in a form.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(escape).collect()
}
