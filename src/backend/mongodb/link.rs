//! The way to a database.
//!
//! Owns the client, what it asks of every read and write, and how long an answer is waited for. What the driver sends again by itself, it
//! does only where the server takes it for the same.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::error::{Error as Cause, ErrorKind as CauseKind, Result as Outcome};
use mongodb::options::{
    Acknowledgment, ClientOptions, DatabaseOptions, ReadConcern, ReadPreference, SelectionCriteria,
    ServerMonitoringMode, WriteConcern,
};
use mongodb::{Client, Collection, Database};

use super::errors::{of_code, silence, trouble};
use super::target::{MongoUrl, invalid};
use crate::backend::journal::objects::{Answer, Trouble};
use crate::backend::pauses;
use crate::backend::runtime::Calls;
use crate::error::{Error, ErrorKind, Result};

/// How long a server may take to take a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a server that can be written to is looked for at once.
const SELECTION: Duration = Duration::from_secs(10);

/// How long one request may take altogether.
const LONGEST: Duration = Duration::from_secs(60);

/// How long a read may wait for a majority that confirms it.
const CONFIRMED: Duration = Duration::from_secs(20);

/// How many requests in a row end by waiting in vain before nothing is sent again.
const MOST_SLOW: u32 = 3;

/// A database.
pub(super) struct Link {
    pub(super) target: MongoUrl,
    place: PathBuf,
    /// Whether more than one server can be asked: a replica set, or the way to several.
    is_set: bool,
    /// Whether another server may have become the primary without this one's knowing of it yet.
    has_others: bool,
    database: Database,
    slow: AtomicU32,
    /// Last, since it carries out what the others leave.
    calls: Calls,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Link {
    /// Connects, and asks the server what it is.
    pub(super) fn open(target: &MongoUrl) -> Result<Self> {
        let (calls, place) = (Calls::new()?, PathBuf::from(target.to_string()));
        let connected = calls.wait(async {
            let options = options(target).await?;
            let failed = |cause: Cause| trouble(&cause).into_error();
            let client = Client::with_options(options).map_err(failed)?;
            // Whoever gives a user is asked for the password before anything else.
            let hello =
                client.database(&target.database).run_command(doc! { "hello": 1 }).await.map_err(failed)?;
            Ok((client, hello))
        });
        let given_up = || Error::new(ErrorKind::Failed, "the request was given up");
        let connected: Result<(Client, Document)> = connected.ok_or_else(given_up)?;
        let (client, hello) = connected.map_err(|error| error.at(&place, None))?;
        let is_set =
            hello.get_str("setName").is_ok() || hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid");
        let others = ["hosts", "passives", "arbiters"].map(|kind| hello.get_array(kind).map_or(0, Vec::len));
        let has_others = is_set && others.iter().sum::<usize>() != 1;
        let newest = hello.get_i32("maxWireVersion").unwrap_or_default();
        if newest < 13 {
            let reason = "the server is too old; it has to be MongoDB 5.0 or newer";
            return Err(Error::new(ErrorKind::Unsupported, reason).at(&place, None));
        }
        let options = DatabaseOptions::builder().write_concern(write_concern(is_set)).build();
        let database = client.database_with_options(&target.database, options);
        Ok(Self {
            target: target.clone(),
            place,
            is_set,
            has_others,
            database,
            slow: AtomicU32::new(0),
            calls,
        })
    }

    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    pub(super) fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(&self.target.collection(name))
    }

    /// What a read of one document asks for that has to show whatever was confirmed to anybody before. A set of one member has no other
    /// primary, and would take a tenth of a second to make sure of it.
    pub(super) fn fresh(&self) -> ReadConcern {
        if self.has_others && !self.target.reads_majority {
            ReadConcern::linearizable()
        } else {
            self.confirmed()
        }
    }

    /// What a read asks for that must not show what may be taken back.
    pub(super) fn confirmed(&self) -> ReadConcern {
        if self.is_set { ReadConcern::majority() } else { ReadConcern::local() }
    }

    pub(super) fn patience() -> Duration {
        CONFIRMED
    }

    /// Carries a request out.
    pub(super) fn ask<T: Send>(
        &self,
        request: impl Future<Output = Outcome<T>> + Send,
    ) -> Answer<Outcome<T>> {
        let answer = self.calls.wait(async { tokio::time::timeout(LONGEST, request).await });
        let given_up = || Trouble::Open(Error::new(ErrorKind::Failed, "the request was given up"));
        let Ok(outcome) = answer.ok_or_else(given_up)? else {
            self.slow.fetch_add(1, Ordering::SeqCst);
            return Err(silence());
        };
        match &outcome {
            Err(cause) if is_slow(cause) => drop(self.slow.fetch_add(1, Ordering::SeqCst)),
            Ok(_) | Err(_) => self.slow.store(0, Ordering::SeqCst),
        }
        Ok(outcome)
    }

    /// The same where every failure is trouble.
    pub(super) fn get<T: Send>(&self, request: impl Future<Output = Outcome<T>> + Send) -> Answer<T> {
        self.ask(request)?.map_err(|cause| trouble(&cause))
    }

    /// Has a command carried out that writes, and gives what it says of single documents: their places and codes.
    pub(super) fn write(&self, mut command: Document) -> Answer<Vec<(usize, i32)>> {
        let concern = if self.is_set {
            doc! { "w": "majority", "j": true }
        } else {
            doc! { "w": 1, "j": true }
        };
        command.insert("writeConcern", concern);
        let said = self.get(async { self.database.run_command(command).await })?;
        if let Ok(error) = said.get_document("writeConcernError") {
            let code = error.get_i32("code").unwrap_or_default();
            return Err(of_code(code, error.get_str("codeName").unwrap_or_default()));
        }
        let errors = said.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
        let errors = errors.iter().filter_map(|error| error.as_document());
        let number = |error: &Document, name: &str| error.get_i32(name).unwrap_or_default();
        Ok(errors
            .map(|error| (usize::try_from(number(error, "index")).unwrap_or_default(), number(error, "code")))
            .collect())
    }

    /// Waits a little before the next try, after so many; false if it is too late for one.
    pub(super) fn pause(&self, tries: u32) -> bool {
        if self.slow.load(Ordering::SeqCst) >= MOST_SLOW {
            self.slow.store(0, Ordering::SeqCst);
            return false;
        }
        pauses::pause(tries)
    }
}

fn is_slow(cause: &Cause) -> bool {
    matches!(*cause.kind, CauseKind::ServerSelection { .. })
}

fn write_concern(is_set: bool) -> WriteConcern {
    let w = if is_set { Acknowledgment::Majority } else { Acknowledgment::Nodes(1) };
    WriteConcern::builder().w(w).journal(true).build()
}

/// The client's settings: those of the URL, and what a store needs.
async fn options(target: &MongoUrl) -> Result<ClientOptions> {
    let mut options = ClientOptions::parse(&target.uri).await.map_err(|cause| match &*cause.kind {
        CauseKind::DnsResolve { .. } | CauseKind::InvalidTlsConfig { .. } => trouble(&cause).into_error(),
        // What the driver says may repeat a part of the URL.
        CauseKind::InvalidArgument { .. } | _ => {
            invalid("the driver cannot use it: a parameter has a wrong value, or two do not go together")
        }
    })?;
    options.app_name.get_or_insert_with(|| "aral-store".to_owned());
    options.connect_timeout.get_or_insert(CONNECT);
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    // Nothing carries out what a server would send between two requests.
    options.server_monitoring_mode = Some(ServerMonitoringMode::Poll);
    Ok(options)
}
