//! Who may do what, and the tokens that say so.
//!
//! Owns the giving of tokens in the three ways that Google's documentation has ("Using OAuth 2.0 for Server to Server Applications",
//! "Refreshing an access token", "About VM metadata"), and what a request is told whose token is missing, unknown, expired, or another's.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use super::http::{Request, Response};
use super::status::Refused;

/// What a token permits: the roles of the page "Security for server client libraries".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// roles/datastore.user
    User,
    /// roles/datastore.viewer
    Viewer,
    /// None in this project.
    Stranger,
}

/// The accounts, and what they have got.
#[derive(Debug)]
pub(crate) struct Accounts {
    /// Whether anybody is the owner, as an emulator has it.
    is_emulator: bool,
    tokens: Mutex<HashMap<String, bool>>,
    role: Mutex<Role>,
    given: AtomicU64,
    is_revoked: Mutex<bool>,
}

/// The only service account.
pub(crate) const EMAIL: &str = "store@shop-1.iam.gserviceaccount.com";
/// The only login.
pub(crate) const LOGIN: [(&str, &str); 3] =
    [("client_id", "id.apps"), ("client_secret", "s/e+c=r&e t"), ("refresh_token", "1//refresh")];

impl Accounts {
    pub(crate) fn new(is_emulator: bool) -> Self {
        Self {
            is_emulator,
            tokens: Mutex::default(),
            role: Mutex::new(Role::User),
            given: AtomicU64::new(0),
            is_revoked: Mutex::default(),
        }
    }

    /// Gives the accounts another role.
    pub(crate) fn appoint(&self, role: Role) {
        *self.role.lock().unwrap() = role;
    }

    /// Lets every token end that was given so far.
    pub(crate) fn expire(&self) {
        self.tokens.lock().unwrap().values_mut().for_each(|is_valid| *is_valid = false);
    }

    /// Gives no tokens any more.
    pub(crate) fn revoke(&self) {
        *self.is_revoked.lock().unwrap() = true;
        self.expire();
    }

    /// How many tokens were given.
    pub(crate) fn given(&self) -> u64 {
        self.given.load(Ordering::SeqCst)
    }

    /// Whether a request may do what it is about to.
    pub(crate) fn check(&self, request: &Request, writes: bool) -> Result<(), Refused> {
        let token = request.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
        let denied = |reason| {
            let refused = Refused::new(403, "PERMISSION_DENIED", "Missing or insufficient permissions.");
            Err(if let Some(reason) = reason { refused.because(reason) } else { refused })
        };
        let Some(token) = token else { return denied(None) };
        if self.is_emulator {
            return if token == "owner" { Ok(()) } else { denied(None) };
        }
        match self.tokens.lock().unwrap().get(token) {
            None => {
                Err(Refused::new(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."))
            }
            Some(false) => {
                Err(Refused::new(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
                    .because("ACCESS_TOKEN_EXPIRED"))
            }
            Some(true) => match *self.role.lock().unwrap() {
                Role::Stranger => denied(Some("IAM_PERMISSION_DENIED")),
                Role::Viewer if writes => denied(Some("IAM_PERMISSION_DENIED")),
                Role::Viewer | Role::User => Ok(()),
            },
        }
    }

    /// Answers who asks for a token.
    pub(crate) fn give(&self, request: &Request, own_url: &str, key: &ring::rsa::KeyPair) -> Response {
        let refused = |code: &str| {
            Response::Json(400, json!({ "error": code, "error_description": "SECRET words" }).to_string())
        };
        if *self.is_revoked.lock().unwrap() {
            return refused("invalid_grant");
        }
        if request.method == "POST" {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let field = |name: &str| {
                body.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")).map(unescaped))
            };
            let is_right = match field("grant_type").as_deref() {
                Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => {
                    field("assertion").is_some_and(|assertion| is_signed(&assertion, own_url, key))
                }
                Some("refresh_token") => {
                    LOGIN.iter().all(|(name, value)| field(name).as_deref() == Some(*value))
                }
                _ => return refused("unsupported_grant_type"),
            };
            if !is_right {
                return refused("invalid_grant");
            }
        }
        let token = format!("ya29.{:04}", self.given.fetch_add(1, Ordering::SeqCst));
        self.tokens.lock().unwrap().insert(token.clone(), true);
        Response::Json(
            200,
            json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" }).to_string(),
        )
    }
}

/// Whether a claim is the service account's, of now, for these tokens, and signed by its key with RS256.
#[expect(clippy::disallowed_methods, reason = "a server beside the test has a clock of its own")]
fn is_signed(assertion: &str, own_url: &str, key: &ring::rsa::KeyPair) -> bool {
    let Some((signed, signature)) = assertion.rsplit_once('.') else { return false };
    let Some((header, claims)) = signed.split_once('.') else { return false };
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let parsed = |text: &str| {
        decoded(text).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()).unwrap_or_default()
    };
    let (header, claims) = (parsed(header), parsed(claims));
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
    let is_of_key =
        decoded(signature).is_some_and(|signature| public.verify(signed.as_bytes(), &signature).is_ok());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let (from, until) =
        (claims["iat"].as_u64().unwrap_or_default(), claims["exp"].as_u64().unwrap_or_default());
    is_of_key
        && header["alg"] == "RS256"
        && claims["iss"] == EMAIL
        && claims["aud"] == format!("{own_url}/token")
        && claims["scope"] == "https://www.googleapis.com/auth/datastore"
        && from.abs_diff(now) < 300
        && (from..=from + 3600).contains(&until)
}

/// A field of a form as it was meant.
fn unescaped(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                out.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
            }
            byte => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
