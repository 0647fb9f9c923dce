//! Making connections to a PostgreSQL server.
//!
//! Owns the settings that each session has, what is asked of a server, and the waiting for one that has gone away: a server
//! that was there before is waited for, one that never was is not.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::calls::Calls;
use super::connection::PostgresConnection;
use super::listener::{self, Heard, Listener};
use super::search::SEARCH;
use super::target::PostgresUrl;
use super::{errors, pooling, tls};
use crate::backend::deadline::Deadline;
use crate::backend::settings::Settings;
use crate::backend::sql::connection::{Connection, Connector, Dialect, Purpose, Wake};
use crate::backend::sql::syncs_each;
use crate::backend::sql::waiting::patience;
use crate::error::{Error, ErrorKind, Result};

/// How long a server may take to take a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How much longer an answer is waited for here than the server lets it take, so that the server says why.
const GRACE: Duration = Duration::from_secs(5);

/// How long a writer that says nothing may keep others from writing. One whose machine has vanished says nothing.
const SILENCE: Duration = Duration::from_secs(10);

/// How much longer than for others a reader waits for an answer, which may have to be computed from everything.
const READERS_WAIT: u32 = 10;

/// How long a statement may take that changes tables: it has to read all that is in them.
const MIGRATION: Duration = Duration::from_secs(6 * 60 * 60);

/// How a writer's statements are carried out: each on what is committed by then, and planned once, and by the indexes that each of them has. A plan that was made when a table held
/// little would read all of it when it holds much. A plan that has to read all of a table all the same, if only its one row, counts as one of
/// enormous cost then, for which the server would compile code each time, and that takes a fraction of a second.
const PLANS: [(&str, &str); 6] = [
    ("jit", "off"),
    ("default_transaction_isolation", "read committed"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// The oldest server that is known to do, as `server_version_num` says it.
const OLDEST: u32 = 130_000;

/// Makes connections to one database.
pub(super) struct PostgresConnector {
    target: PostgresUrl,
    place: PathBuf,
    config: Config,
    tls: MakeRustlsConnect,
    patience: Duration,
    syncs_each: bool,
    /// Whether a proxy is in between that takes no settings together with a connection.
    is_behind_proxy: AtomicBool,
    /// Whether the server has ever been there.
    has_answered: AtomicBool,
}

impl std::fmt::Debug for PostgresConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresConnector").field("place", &self.place).finish_non_exhaustive()
    }
}

impl PostgresConnector {
    pub(super) fn new(target: PostgresUrl, settings: &Settings) -> Result<Self> {
        let patience = patience(settings.wait);
        let mut config = Config::new();
        config
            .host(target.host.as_str())
            .port(target.port)
            .dbname(target.database.as_str())
            .application_name(target.application_name.as_str())
            .ssl_mode(tls::mode(target.tls))
            .connect_timeout(CONNECT)
            .tcp_user_timeout(patience)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3);
        if let Some(user) = &target.user {
            config.user(user);
        }
        // What every client of PostgreSQL takes it from, so that it need not stand where others may see it.
        let password = target.password.clone().or_else(|| std::env::var("PGPASSWORD").ok());
        if let Some(password) = password {
            config.password(password);
        }
        Ok(Self {
            place: target.to_string().into(),
            tls: tls::of(&target)?,
            config,
            target,
            patience,
            syncs_each: syncs_each(settings.sync),
            is_behind_proxy: AtomicBool::new(false),
            has_answered: AtomicBool::new(false),
        })
    }

    /// How long the server may take for a statement.
    fn limit(&self, purpose: Purpose) -> Duration {
        match purpose {
            Purpose::Read => self.patience * READERS_WAIT,
            Purpose::Write | Purpose::WriteDurably => self.patience,
            Purpose::Migrate => self.patience.max(MIGRATION),
        }
    }

    /// What a session begins with.
    fn set_up(&self, purpose: Purpose, is_direct: bool) -> String {
        let (schema, limit) = (&self.target.schema, self.limit(purpose).as_millis());
        let (patience, silence) = (self.patience.as_millis(), SILENCE.as_millis());
        let mut settings = vec![
            ("lock_timeout", patience.to_string(), "true"),
            ("statement_timeout", limit.to_string(), "true"),
            ("client_min_messages", "warning".to_owned(), "true"),
            (
                "client_connection_check_interval",
                "5s".to_owned(),
                "current_setting('server_version_num')::int >= 140000",
            ),
        ];
        if purpose != Purpose::Read {
            settings.push(("idle_in_transaction_session_timeout", silence.to_string(), "true"));
            // A server may ask for more than its own disk; it is held to no less.
            let (value, when) = if purpose == Purpose::Write && !self.syncs_each {
                ("off", "true")
            } else {
                ("on", "current_setting('synchronous_commit') = 'off'")
            };
            settings.push(("synchronous_commit", value.to_owned(), when));
        }
        if purpose == Purpose::Write {
            settings.extend(PLANS.map(|(name, value)| (name, value.to_owned(), "true")));
        }
        pooling::set_up(schema, !is_direct, &settings)
    }

    /// Connects once; whether another try may do better.
    fn try_connect(&self, purpose: Purpose) -> Result<Tried> {
        let is_direct = !self.is_behind_proxy.load(Ordering::SeqCst);
        let mut config = self.config.clone();
        if is_direct {
            config.options(pooling::options(&self.target.schema));
        }
        let (client, calls) = match self.dial(&config)? {
            Dialed::Connected(client, calls) => (client, calls),
            Dialed::Away(error) => return Ok(Tried::Away(error)),
            Dialed::Misunderstood(_) if is_direct => return self.look_between(purpose),
            Dialed::Misunderstood(error) => return Err(error),
        };
        let Some(answer) = calls.wait(CONNECT, client.simple_query(&self.set_up(purpose, is_direct))) else {
            return Ok(Tried::Away(self.no_answer()));
        };
        match answer {
            Ok(messages) => {
                if !pooling::has_schema(pooling::value(&messages, "path"), &self.target.schema) && is_direct {
                    return self.look_between(purpose);
                }
                check_server(&messages).map_err(|error| error.at(&self.place, None))?;
            }
            Err(error) => {
                let said = errors::of("set a session up", &self.place, &error);
                return if errors::is_away(&error) { Ok(Tried::Away(said)) } else { Err(said) };
            }
        }
        Ok(Tried::Connected(client, calls))
    }

    /// Finds out what a proxy does that takes no settings, and connects through it if that is all.
    fn look_between(&self, purpose: Purpose) -> Result<Tried> {
        let mut dialed = Vec::new();
        for _ in 0..2 {
            match self.dial(&self.config)? {
                Dialed::Connected(client, calls) => dialed.push((*client, calls)),
                Dialed::Away(error) => return Ok(Tried::Away(error)),
                Dialed::Misunderstood(error) => return Err(error),
            }
        }
        let [one, other] = dialed.as_slice() else { return Ok(Tried::Away(self.no_answer())) };
        match pooling::shares_sessions((one, other), CONNECT) {
            None => Ok(Tried::Away(self.no_answer())),
            Some(true) => Err(pooling::refused().at(&self.place, None)),
            Some(false) => {
                self.is_behind_proxy.store(true, Ordering::SeqCst);
                self.try_connect(purpose)
            }
        }
    }

    /// Connects, and sets nothing up.
    fn dial(&self, config: &Config) -> Result<Dialed> {
        self.dial_to_hear(config, Arc::default())
    }

    /// The same, with what the session is told without having asked.
    fn dial_to_hear(&self, config: &Config, heard: Arc<Heard>) -> Result<Dialed> {
        let calls = Calls::new()?;
        let Some(connected) = calls.wait(CONNECT + GRACE, config.connect(self.tls.clone())) else {
            return Ok(Dialed::Away(self.no_answer()));
        };
        let (client, driver) = match connected {
            Ok(connected) => connected,
            Err(error) => {
                let said = errors::of("connect", &self.place, &error);
                if errors::is_there(&error) {
                    self.has_answered.store(true, Ordering::SeqCst);
                }
                return if error.code() == Some(&SqlState::PROTOCOL_VIOLATION) {
                    Ok(Dialed::Misunderstood(said))
                } else if errors::is_away(&error) {
                    Ok(Dialed::Away(said))
                } else {
                    Err(said)
                };
            }
        };
        // What went wrong is told to whoever waits for an answer.
        calls.keep(listener::drive(driver, heard));
        Ok(Dialed::Connected(Box::new(client), calls))
    }

    fn no_answer(&self) -> Error {
        let reason = "cannot connect: the server did not answer; see whether it is there, and try again";
        Error::new(ErrorKind::Io, reason).at(&self.place, None)
    }
}

/// What came of a try to connect.
enum Tried {
    Connected(Box<Client>, Calls),
    /// The server is not there, or not yet.
    Away(Error),
}

/// What came of a call for a connection.
enum Dialed {
    Connected(Box<Client>, Calls),
    Away(Error),
    /// Whoever is there does not take what was asked for together with the connection.
    Misunderstood(Error),
}

/// Refuses a server that cannot keep a store.
fn check_server(messages: &[SimpleQueryMessage]) -> Result<()> {
    let value = |name| pooling::value(messages, name).unwrap_or_default();
    check_version(value("version"), value("encoding"))
}

fn check_version(version: &str, encoding: &str) -> Result<()> {
    let number: u32 = version.parse().unwrap_or_default();
    let reason = if number < OLDEST {
        format!(
            "the server is PostgreSQL {}, and a store needs {} or newer; upgrade it",
            number / 10_000,
            OLDEST / 10_000
        )
    } else if encoding != "UTF8" {
        format!(
            "the database has the encoding {encoding:.20}, and a store needs one that was made with ENCODING 'UTF8'"
        )
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Unsupported, reason))
}

impl Connector for PostgresConnector {
    fn dialect(&self) -> Dialect {
        Dialect {
            key: "BIGINT PRIMARY KEY",
            blob: "BYTEA",
            count_tables: "SELECT COUNT(*) FROM pg_catalog.pg_tables \
                           WHERE schemaname = current_schema() AND tablename = CAST(?1 AS TEXT)",
            search: &SEARCH,
            list_names: "SELECT CAST(relname AS TEXT) FROM pg_catalog.pg_class \
                         WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relkind IN ('r', 'i')",
        }
    }

    fn out_of_reach(&self) -> &'static [&'static str] {
        &[
            "the server's write-ahead log until it is written over, and its archive",
            "replicas of the server, and base backups",
            "the server's own log, if it is told to log what statements say",
            "the statistics of the server's planner, unless this user is its superuser",
        ]
    }

    fn place(&self) -> &Path {
        &self.place
    }

    fn listen(&self) -> Result<Option<Box<dyn Wake>>> {
        let heard = Arc::<Heard>::default();
        let (client, calls) = match self.dial_to_hear(&self.config, Arc::clone(&heard))? {
            Dialed::Connected(client, calls) => (*client, calls),
            Dialed::Away(error) | Dialed::Misunderstood(error) => return Err(error),
        };
        let at = (self.place.as_path(), self.target.schema.as_str());
        Ok(Some(Box::new(Listener::begin((client, calls), heard, at)?)))
    }

    fn connect(&self, purpose: Purpose) -> Result<Box<dyn Connection>> {
        let mut away = None;
        let connected = Deadline::after(self.patience).wait(|| match self.try_connect(purpose)? {
            Tried::Connected(client, calls) => Ok(Some((client, calls))),
            Tried::Away(error) if self.has_answered.load(Ordering::SeqCst) => {
                away = Some(error);
                Ok(None)
            }
            Tried::Away(error) => Err(error),
        })?;
        let Some((client, calls)) = connected else {
            return Err(away.unwrap_or_else(|| Error::new(ErrorKind::Io, "the server is away")));
        };
        self.has_answered.store(true, Ordering::SeqCst);
        let at = (self.place.as_path(), self.target.schema.as_str());
        Ok(Box::new(PostgresConnection::new(*client, calls, at, self.limit(purpose) + GRACE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_or_of_another_encoding_is_refused() {
        assert!(check_version("130004", "UTF8").is_ok());
        assert!(check_version("180000", "UTF8").is_ok());
        for (version, encoding, part) in
            [("120019", "UTF8", "PostgreSQL 12"), ("150001", "SQL_ASCII", "SQL_ASCII"), ("", "", "upgrade")]
        {
            let error = check_version(version, encoding).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.message().contains(part), "{error}");
        }
    }
}
