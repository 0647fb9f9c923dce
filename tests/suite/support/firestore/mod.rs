//! A strict fake of Firestore, in this process, over real HTTP on loopback.
//!
//! Owns the answers to `documents:commit`, `documents:batchGet` and `documents:runQuery` of the REST API, version 1. It is written from the
//! public documentation and fails in each way that this names; each rule says from which page it is. **It is not the service**: what
//! passes on it has been held against what the documentation says, and against nothing else. What it does not know it refuses, so that
//! nothing passes because it is not looked at.

mod accounts;
mod faults;
mod http;
mod limits;
mod query;
mod status;
mod stored;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Value, json};

pub(crate) use accounts::{Accounts, EMAIL, LOGIN, Role};
pub(crate) use faults::{ALL, Fault, Faults, Said};
use http::{Request, Response};
pub(crate) use limits::{DOCUMENT, REQUEST, VALUE};
use status::{Refused, invalid};
use stored::Stock;

/// The only project.
pub(crate) const PROJECT: &str = "shop-1";
/// Its databases.
const DATABASES: [&str; 2] = ["(default)", "chats-2"];

/// What a request cost, as bills have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bill {
    pub(crate) requests: usize,
    pub(crate) reads: usize,
    pub(crate) writes: usize,
    pub(crate) deletes: usize,
}

/// What all connections share.
struct Inner {
    stocks: Mutex<BTreeMap<String, Stock>>,
    faults: Faults,
    accounts: Accounts,
    bill: Mutex<Bill>,
    key: ring::rsa::KeyPair,
    url: OnceLock<String>,
}

/// A service with one project.
pub(crate) struct Fake(Arc<Inner>);

/// The key of the service account. Nothing but these tests trusts it.
pub(crate) const KEY: &str = include_str!("../../../fixtures/firestore/service-account.pem");

impl Fake {
    /// One that takes anybody for the owner, as emulators do.
    pub(crate) fn emulator() -> Self {
        Self::start(true)
    }

    /// One that asks for tokens.
    pub(crate) fn with_accounts() -> Self {
        Self::start(false)
    }

    fn start(is_emulator: bool) -> Self {
        use rustls::pki_types::pem::PemObject;
        let pem = rustls::pki_types::PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
        let inner = Arc::new(Inner {
            stocks: Mutex::new(DATABASES.map(|name| (name.to_owned(), Stock::default())).into()),
            faults: Faults::none(),
            accounts: Accounts::new(is_emulator),
            bill: Mutex::default(),
            key: ring::rsa::KeyPair::from_pkcs8(pem.secret_pkcs8_der()).unwrap(),
            url: OnceLock::new(),
        });
        let answering = Arc::clone(&inner);
        let port = http::serve(Arc::new(move |request: &Request| answering.answer(request)));
        inner.url.set(format!("http://127.0.0.1:{port}")).unwrap();
        Self(inner)
    }

    /// Its address.
    pub(crate) fn address(&self) -> &str {
        self.0.url.get().unwrap()
    }

    /// The URL of a store in it.
    pub(crate) fn url(&self, prefix: &str) -> String {
        format!("firestore://{PROJECT}/(default)/{prefix}?endpoint={}", self.address())
    }

    /// The same without documents to query.
    pub(crate) fn bare_url(&self, prefix: &str) -> String {
        format!("{}&documents=none", self.url(prefix))
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.0.faults
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    /// What was asked for so far.
    pub(crate) fn bill(&self) -> Bill {
        *self.0.bill.lock().unwrap()
    }

    /// The documents of the first database, by the ends of their names, for whoever alters them by hand.
    pub(crate) fn alter(&self, act: impl FnOnce(&mut BTreeMap<String, stored::Stored>)) {
        act(&mut self.0.stocks.lock().unwrap().get_mut(DATABASES[0]).unwrap().documents);
    }

    /// Writes the file of the service account's credentials, or of the login's.
    #[expect(clippy::disallowed_methods, reason = "credentials are on the real file system")]
    pub(crate) fn write_credentials(&self, path: &Path, is_login: bool) {
        let token_uri = format!("{}/token", self.address());
        let value = if is_login {
            let [(id, its_id), (secret, its_secret), (refresh, its_refresh)] = LOGIN;
            json!({ "type": "authorized_user", id: its_id, secret: its_secret, refresh: its_refresh, "token_uri": token_uri })
        } else {
            json!({ "type": "service_account", "client_email": EMAIL, "private_key": KEY, "private_key_id": "k1", "token_uri": token_uri })
        };
        std::fs::write(path, value.to_string()).unwrap();
    }
}

/// What a path asks for.
struct Asked<'p> {
    database: &'p str,
    /// What stands before the verb.
    parent: &'p str,
    verb: &'p str,
}

impl<'p> Asked<'p> {
    fn of(path: &'p str) -> Option<(&'p str, Self)> {
        let (parent, verb) = path.strip_prefix("/v1/")?.rsplit_once(':')?;
        let (project, rest) = parent.strip_prefix("projects/")?.split_once("/databases/")?;
        let (database, rest) = rest.split_once("/documents")?;
        (rest.is_empty() || rest.starts_with('/')).then_some((project, Self { database, parent, verb }))
    }
}

impl Inner {
    fn answer(&self, request: &Request) -> Response {
        if request.path == "/token" || request.path.starts_with("/computeMetadata/") {
            return self.accounts.give(request, self.url.get().unwrap(), &self.key);
        }
        self.bill.lock().unwrap().requests += 1;
        self.faults.let_others_come(&request.body);
        let fault = self.faults.take(&request.path);
        let said = |said: Said| {
            let refused = said.refused();
            let body = if refused.code.is_empty() {
                refused.message.clone()
            } else {
                refused.to_value().to_string()
            };
            Response::Json(refused.http, body)
        };
        match fault {
            None => self.carry_out(request),
            Some(Fault::LostBefore) => Response::Silence,
            Some(Fault::LostAfter) => {
                self.carry_out(request);
                Response::Silence
            }
            Some(Fault::Twice) => {
                self.carry_out(request);
                self.carry_out(request)
            }
            Some(Fault::Answered(what, is_after)) => {
                if is_after {
                    self.carry_out(request);
                }
                said(what)
            }
        }
    }

    fn carry_out(&self, request: &Request) -> Response {
        let is_stream = !request.path.ends_with(":commit");
        match self.result(request) {
            Ok(answer) => Response::Json(200, answer.to_string()),
            Err(refused) => {
                let error = refused.to_value();
                // The methods that answer with a stream put an error into one, too.
                let error = if is_stream { json!([error]) } else { error };
                Response::Json(refused.http, error.to_string())
            }
        }
    }

    fn result(&self, request: &Request) -> Result<Value, Refused> {
        if request.body.len() > REQUEST {
            return Err(invalid(format!("Request payload size exceeds the limit: {REQUEST} bytes.")));
        }
        let asked = Asked::of(&request.path).filter(|_| request.method == "POST");
        let (project, asked) =
            asked.ok_or_else(|| Refused::new(404, "NOT_FOUND", "there is nothing of this name"))?;
        self.accounts.check(request, asked.verb == "commit")?;
        if project != PROJECT {
            let message = format!("Permission denied on resource project {project}.");
            return Err(Refused::new(403, "PERMISSION_DENIED", message).because("CONSUMER_INVALID"));
        }
        let mut stocks = self.stocks.lock().unwrap();
        let database = asked.database;
        let missing = || {
            let message = format!("The database {database} does not exist for project {project}");
            Refused::new(404, "NOT_FOUND", message)
        };
        let stock = stocks.get_mut(database).ok_or_else(missing)?;
        let body = serde_json::from_slice(&request.body)
            .map_err(|_| invalid("Invalid JSON payload received.".to_owned()))?;
        let name = format!("projects/{project}/databases/{database}");
        let answer = match asked.verb {
            "commit" => stock.commit(&name, &body)?,
            "batchGet" => Value::Array(stock.batch_get(&name, &body)?),
            "runQuery" => Value::Array(query::run(stock, asked.parent, &body)?),
            _ => return Err(Refused::new(404, "NOT_FOUND", "this fake does not know this method")),
        };
        self.charge(asked.verb, &body, &answer);
        Ok(answer)
    }

    /// Counts as the page on pricing does: "one for each document", and at least one for a query.
    fn charge(&self, verb: &str, body: &Value, answer: &Value) {
        let mut bill = self.bill.lock().unwrap();
        if verb == "commit" {
            let writes = body["writes"].as_array().map_or(&[][..], Vec::as_slice);
            let deletes = writes.iter().filter(|write| write.get("delete").is_some()).count();
            bill.deletes += deletes;
            bill.writes += writes.len() - deletes;
        } else {
            bill.reads += answer.as_array().map_or(1, Vec::len).max(1);
        }
    }
}

/// A fresh place for a store in the fake that the tests of a run share.
pub(crate) fn shared(name: &str) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static FAKE: OnceLock<Fake> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::SeqCst);
    FAKE.get_or_init(Fake::emulator).url(&format!("{name}-{number}"))
}
