//! What a damaged database still has.
//!
//! Owns the one reading of its tables, row by row and by their numbers alone, since an index may be as damaged as anything: which events
//! prove themselves, whose the other rows are, and what cannot be read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use super::columns::{corrupt, id_at, number_at, time_at};
use super::connection::{Connection, Dialect, Row};
use super::events::{EVENT, with_event};
use super::outline::Outline;
use super::readable::{Gap, Numbered, all_readable, each_readable, readable};
use super::schema;
use super::tables::{ACTIONS, CONVERSATIONS, MESSAGES, TOMBSTONES, Table};
use crate::backend::erasing::UNFINISHED;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Loss, RemovalReason, Seq, Tombstone};

/// What a damaged database still has.
#[derive(Debug, Default)]
pub(super) struct Remains {
    pub(super) outline: Outline,
    /// The numbers of the events that used an idempotency key.
    pub(super) keyed: Vec<Seq>,
    /// The numbers of the conversations whose rows tell their ids.
    pub(super) heads: BTreeMap<String, Seq>,
    /// The numbers of the messages' rows, by their conversations' numbers; and those of the actions.
    pub(super) messages: HashMap<Seq, Vec<Seq>>,
    pub(super) actions: HashMap<Seq, Vec<Seq>>,
    pub(super) tombstones: BTreeMap<String, Tombstone>,
    /// Whether every event is there and proves itself, so that they say everything.
    pub(super) is_whole: bool,
    pub(super) lost: Vec<Loss>,
    pub(super) notes: Vec<String>,
}

/// The reading.
struct Reading<'r> {
    connection: &'r mut dyn Connection,
    names: HashSet<String>,
    remains: Remains,
    /// What cannot be read of the tables beside the events, in words.
    unread: Vec<String>,
    /// The highest number that a row has.
    highest: Seq,
}

/// Something that is lost of a database.
pub(super) fn loss(
    place: &Path,
    whose: Option<&str>,
    events: Option<(Seq, Seq)>,
    reason: impl Into<String>,
) -> Loss {
    Loss {
        path: place.to_owned(),
        offset: None,
        conversation_id: whose.map(str::to_owned),
        first_seq: events.map(|(first, _)| first),
        last_seq: events.map(|(_, last)| last),
        reason: reason.into(),
        named: Vec::new(),
        near: Vec::new(),
    }
}

/// Reads what can be read.
pub(super) fn read(connection: &mut dyn Connection, dialect: Dialect, place: &Path) -> Result<Remains> {
    let names = schema::names(connection, dialect).map_err(|error| {
        if error.kind() != ErrorKind::Corrupt {
            return error;
        }
        let what = error.message();
        corrupt(format!(
            "{what}; without its list of tables nothing of the database can be read: put a backup back"
        ))
    })?;
    if schema::version_by_names(&names, dialect) == 0 {
        return Err(Error::new(ErrorKind::NotFound, "there is no store in this database"));
    }
    if let Ok(Some(version)) =
        readable(connection, "SELECT schema_version FROM aral_meta", &[], |row| row.int(0))?
    {
        schema::check_version(version)?;
    }
    let remains = Remains { outline: Outline::empty(), ..Remains::default() };
    let mut reading = Reading { connection, names, remains, unread: Vec::new(), highest: 0 };
    let counted = reading.counted()?;
    let gaps = reading.events(counted)?;
    reading.rows(counted)?;
    reading.ends(counted);
    reading.beside()?;
    Ok(reading.judge(place, &gaps))
}

impl Reading<'_> {
    /// The number of the last event, as `aral_meta` counts them.
    fn counted(&mut self) -> Result<Option<Seq>> {
        let sql = "SELECT next_seq FROM aral_meta";
        match readable(self.connection, sql, &[], |row| number_at(row, 0))? {
            Ok(next) => Ok(next.map(|next| next.saturating_sub(1))),
            Err(error) => {
                self.unread.push(format!("aral_meta: {}", error.message()));
                Ok(None)
            }
        }
    }

    /// Up to which number a table is to be read. No count is believed that says more than the database has room for.
    fn until(&mut self, table: &Table, counted: Option<Seq>) -> Result<Seq> {
        let number = table.key_name();
        let sql = format!("SELECT {number} FROM {} ORDER BY {number} DESC LIMIT 1", table.name);
        let found = readable(self.connection, &sql, &[], |row| number_at(row, 0))?;
        let room = self.connection.size()? / 16;
        Ok(match found {
            Ok(highest) => highest.unwrap_or_default(),
            Err(_) => counted.unwrap_or(room).min(room.saturating_add(self.highest)),
        })
    }

    fn events(&mut self, counted: Option<Seq>) -> Result<Vec<Gap>> {
        const EVENTS: Table =
            Table { name: "aral_events", columns: &["seq"], key: 0, found_by: "seq", ..TOMBSTONES };
        if !self.names.contains(EVENTS.name) {
            let gap = Gap { first: 1, last: Seq::MAX, reason: "the table is missing".to_owned() };
            return Ok(vec![gap]);
        }
        let until = self.until(&EVENTS, counted)?;
        let Self { connection, remains, .. } = self;
        let events = Numbered { table: EVENTS.name, columns: EVENT, number: "seq" };
        let gaps = each_readable(&mut **connection, events, 1..=until, &mut |row| {
            if with_event(row, |_, view| Ok(view.key.is_some())).is_ok_and(|is_keyed| is_keyed) {
                remains.keyed.push(number_at(row, 0)?);
            }
            remains.outline.row(row)
        })?;
        remains.outline.ends();
        if let Some(gap) = gaps.last() {
            remains.outline.ends_before(gap.last.saturating_add(1).min(until + 1));
        }
        self.highest = self.highest.max(until);
        Ok(gaps)
    }

    /// The rows of the other tables.
    fn rows(&mut self, counted: Option<Seq>) -> Result<()> {
        let (mut heads, mut tombstones) = (BTreeMap::new(), BTreeMap::new());
        let mut last = 0;
        self.table(&CONVERSATIONS, "number, id_key, last_seq", counted, &mut |row| {
            last = last.max(number_at(row, 2).unwrap_or_default());
            heads.insert(id_at(row, 1)?, number_at(row, 0)?);
            Ok(())
        })?;
        self.highest = self.highest.max(last);
        let (mut messages, mut actions) = (HashMap::new(), HashMap::new());
        for (table, found) in [(&MESSAGES, &mut messages), (&ACTIONS, &mut actions)] {
            self.table(table, "seq, conversation", counted, &mut |row| {
                let seqs: &mut Vec<Seq> = found.entry(number_at(row, 1)?).or_default();
                seqs.push(number_at(row, 0)?);
                Ok(())
            })?;
        }
        self.table(&TOMBSTONES, "seq, id_key, removed_at", counted, &mut |row| {
            let removed_at = if row.is_null(2)? { None } else { Some(time_at(row, 2)?) };
            let (id, seq) = (id_at(row, 1)?, number_at(row, 0)?);
            tombstones.insert(id.clone(), Tombstone { id, seq, removed_at, reason: RemovalReason::Asked });
            Ok(())
        })?;
        let Remains { heads: all, messages: of_messages, actions: of_actions, tombstones: removed, .. } =
            &mut self.remains;
        (*all, *of_messages, *of_actions, *removed) = (heads, messages, actions, tombstones);
        Ok(())
    }

    /// Reads what can be read of a table.
    fn table(
        &mut self,
        table: &Table,
        columns: &str,
        counted: Option<Seq>,
        take: &mut dyn FnMut(&dyn Row) -> Result<()>,
    ) -> Result<()> {
        if !self.names.contains(table.name) {
            self.unread.push(format!("{}: the table is missing", table.name));
            return Ok(());
        }
        let (until, number) = (self.until(table, counted)?, table.key_name());
        self.highest = self.highest.max(until);
        let Self { connection, unread, .. } = self;
        let numbered = Numbered { table: table.name, columns, number };
        let gaps = each_readable(&mut **connection, numbered, 1..=until, &mut |row| {
            if let Err(error) = take(row) {
                unread.push(format!("{}, {number} {}: {}", table.name, number_at(row, 0)?, error.message()));
            }
            Ok(())
        })?;
        unread.extend(gaps.iter().map(|Gap { first, last, reason }| {
            format!(
                "{}, {number} {}: {reason}",
                table.name,
                if first == last {
                    first.to_string()
                } else {
                    format!("{first} to {last}, as many rows as there were")
                }
            )
        }));
        Ok(())
    }

    /// Tells events that are missing behind the last one. The count alone may be wrong; if a row is of such an event, or cannot be read, it
    /// is not.
    fn ends(&mut self, counted: Option<Seq>) {
        let outline = &mut self.remains.outline;
        let is_unread = !self.unread.is_empty() || !outline.damage.is_empty();
        match counted {
            Some(counted) if counted < outline.next_seq => {}
            Some(counted) if is_unread || self.highest >= outline.next_seq => {
                outline.ends_before(counted + 1);
            }
            Some(counted) => self.unread.push(format!(
                "aral_meta: next_seq is {}, and {} comes behind the last event",
                counted + 1,
                outline.next_seq
            )),
            None => outline.ends_before(self.highest + 1),
        }
    }

    /// What a store has beside conversations, and stays where it is.
    fn beside(&mut self) -> Result<()> {
        let note = "the history of what conversations were stays with the old store: the new one has them as they are now";
        self.remains.notes.push(note.to_owned());
        let unfinished = format!(
            "{UNFINISHED}; the new store does not go on with it: erase there, too, what was to be erased"
        );
        self.stays(("aral_erasing", "''"), "whether something was being erased is not known", |_| {
            unfinished.clone()
        })?;
        self.stays(
            ("aral_erasures", "''"),
            "whether it has receipts of what was erased is not known",
            |_| {
                "the receipts of what was erased stay with the old store, of which they are, in aral_erasures"
                    .to_owned()
            },
        )?;
        self.stays(("aral_consumers", "name"), "which consumers it has is not known", |name| {
            format!(
                "consumer {name:?} stays with the old store, whose events have other numbers; the new one gives it everything \
                 again, unless `aral-store consumers --reset {name} --from now` says otherwise"
            )
        })
    }

    /// Notes what stays of a table, once for all rows of which the column says the same, or that it cannot be read.
    fn stays(
        &mut self,
        (table, column): (&str, &str),
        unknown: &str,
        words: impl Fn(&str) -> String,
    ) -> Result<()> {
        if !self.names.contains(table) {
            return Ok(());
        }
        let sql = format!("SELECT CAST({column} AS TEXT) FROM {table} ORDER BY 1");
        match all_readable(self.connection, &sql, |row| Ok(row.text(0)?.to_owned()))? {
            Ok(mut names) => {
                names.dedup();
                self.remains.notes.extend(names.iter().map(|name| words(name)));
            }
            Err(error) => self.remains.notes.push(format!("{table}: {}; {unknown}", error.message())),
        }
        Ok(())
    }

    /// Says what is lost.
    fn judge(self, place: &Path, gaps: &[Gap]) -> Remains {
        let Self { mut remains, unread, .. } = self;
        remains.is_whole = remains.outline.damage.is_empty();
        for damage in &remains.outline.damage {
            let gap = gaps.iter().find(|gap| gap.first <= damage.last && damage.first <= gap.last);
            let why = gap.map(|gap| format!(": {}", gap.reason)).unwrap_or_default();
            let whose = remains.whose(damage.first, damage.last);
            let reason = format!("aral_events: {}{why}", damage.reason);
            remains.lost.push(loss(place, whose.as_deref(), Some((damage.first, damage.last)), reason));
        }
        if remains.is_whole {
            let note =
                |what| format!("{what}; nothing is lost by that, because the events are whole and say it");
            remains.notes.extend(unread.into_iter().map(note));
        } else {
            remains.lost.extend(unread.into_iter().map(|what| loss(place, None, None, what)));
        }
        remains
    }
}

impl Remains {
    /// The ids of all conversations that anything is left of, and the numbers that their rows have. Where every event is there, no row has
    /// a say in it.
    pub(super) fn numbers(&self) -> BTreeMap<String, Option<Seq>> {
        let mut numbers: BTreeMap<String, Option<Seq>> =
            self.outline.ids().into_iter().map(|(id, number)| (id.to_owned(), number)).collect();
        if self.is_whole {
            return numbers;
        }
        numbers.extend(self.heads.iter().map(|(id, number)| (id.clone(), Some(*number))));
        let known: HashSet<Seq> = numbers.values().flatten().copied().collect();
        for (number, seqs) in self.messages.iter().chain(&self.actions) {
            if known.contains(number) {
                continue;
            }
            // The row of the conversation is lost, and the event that it began with. Another of its events may tell whose these are.
            let mut unknown = numbers.keys().filter(|id| !self.heads.contains_key(*id));
            let is_of = |id: &&String| {
                let events = self.outline.events_of(id);
                seqs.iter().any(|seq| events.binary_search(seq).is_ok())
            };
            let id = unknown.find(is_of).cloned().unwrap_or_else(|| format!("recovered-{number}"));
            numbers.insert(id, Some(*number));
        }
        numbers
    }

    /// The one conversation that has rows of these events, if there is one.
    fn whose(&self, first: Seq, last: Seq) -> Option<String> {
        let rows = self.messages.iter().chain(&self.actions);
        let mut numbers: Vec<Seq> = rows
            .filter(|(_, seqs)| seqs.iter().any(|seq| (first..=last).contains(seq)))
            .map(|(number, _)| *number)
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        let [number] = numbers.as_slice() else { return None };
        self.heads.iter().find(|(_, head)| *head == number).map(|(id, _)| id.clone())
    }
}
