//! What batches have to be judged on, read before.
//!
//! Owns the questions that are asked for it. None of them needs the answer to another one, so that over a network all of
//! them take one round trip, whatever the number of batches.

use std::collections::{BTreeSet, HashMap};

use super::columns::{ACTION, MESSAGE, action_at, corrupt, id_at, message_at, number_at, shown};
use super::connection::{Connection, EachOf, Row, Statement, Value};
use super::lists::lists;
use super::meta::{META, Meta};
use crate::error::{Error, Result};
use crate::model::{Action, Change, Message, Seq, Text};
use crate::rules::{ConversationState, KeyRecord, Lookups, Request, StateView, Step};

/// How a conversation stands, and its row.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) number: Seq,
    pub(super) state: ConversationState,
}

/// How the conversations and keys stand that some batches name.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) conversations: HashMap<String, Kept>,
    keys: HashMap<String, KeyRecord>,
    pub(super) lookups: Lookups,
}

impl StateView for Loaded {
    fn state(&self, id: &str) -> ConversationState {
        self.conversations.get(id).map(|kept| kept.state.clone()).unwrap_or_default()
    }

    fn find_key(&self, key: &str) -> Option<KeyRecord> {
        self.keys.get(key).cloned()
    }
}

const CONVERSATIONS: &str = "SELECT id_key, number, version, last_seq, messages, actions FROM aral_conversation_rows \
     WHERE id_key IN ({values})";
const KEYS: &str =
    "SELECT name, fingerprint, conversation_id, id, seq, version FROM aral_keys WHERE name IN ({values})";

/// What a question is about.
#[derive(Clone, Copy, Debug)]
enum Subject<'b> {
    /// The row that writers lock.
    Meta,
    Conversations,
    Keys,
    /// The messages of a conversation that have this id.
    Message(&'b str, &'b Text),
    Action(&'b str, &'b Text),
}

/// What is asked for some batches.
#[derive(Debug, Default)]
struct Questions<'b> {
    subjects: Vec<Subject<'b>>,
    statements: Vec<Statement<'b>>,
}

impl<'b> Questions<'b> {
    fn of(batches: &[&'b [Request]]) -> Self {
        let requests = || batches.iter().copied().flatten();
        let mut questions = Self::default();
        // Order: first, so that tables of a newer version are told by it and not by what they lack.
        questions.add(Subject::Meta, Statement::new(META, []));
        let ids = requests().map(|request| request.conversation_id.as_str()).collect();
        questions.by_many(Subject::Conversations, CONVERSATIONS, &ids);
        let keys = requests().filter_map(|request| request.key.as_deref()).collect();
        questions.by_many(Subject::Keys, KEYS, &keys);
        let mut asked = BTreeSet::new();
        for request in requests().filter(|request| request.looks()) {
            let Some(subject) = looked_for(request) else { continue };
            let (Subject::Message(id, item) | Subject::Action(id, item)) = subject else { continue };
            if asked.insert((matches!(subject, Subject::Message(..)), id, item.as_wtf8())) {
                let values = [Value::bytes(id.as_bytes()), Value::Text(shown(item))];
                questions.add(subject, Statement::new(items_with_id(subject), values));
            }
        }
        questions
    }

    fn add(&mut self, subject: Subject<'b>, statement: Statement<'b>) {
        self.subjects.push(subject);
        self.statements.push(statement);
    }

    /// Asks for rows by many values, some at a time.
    fn by_many(&mut self, subject: Subject<'b>, sql: &'static str, values: &BTreeSet<&'b str>) {
        let values: Vec<&str> = values.iter().copied().collect();
        for (names, values) in lists(&values) {
            let values: Vec<_> = values.into_iter().map(|value| Value::bytes(value.as_bytes())).collect();
            self.add(subject, Statement::new(sql.replace("{values}", &names), values));
        }
    }
}

/// What a request looks for by its id.
fn looked_for(request: &Request) -> Option<Subject<'_>> {
    let id = request.conversation_id.as_str();
    match &request.step {
        Step::EditMessage(item, _)
        | Step::FinishMessage(item, _)
        | Step::AppendText { message_id: item, .. }
        | Step::RemoveMessage(item)
        | Step::Ready(Change::AddMessage(Message { id: item, .. })) => Some(Subject::Message(id, item)),
        Step::EditAction(item, _)
        | Step::RemoveAction(item)
        | Step::Ready(Change::AddAction(Action { id: item, .. })) => Some(Subject::Action(id, item)),
        Step::Ready(_) => None,
    }
}

/// The question for the messages or actions that have an id, with their places, in order.
fn items_with_id(subject: Subject<'_>) -> String {
    let (columns, table) = match subject {
        Subject::Action(..) => (ACTION, "aral_action_rows a"),
        Subject::Message(..) | Subject::Meta | Subject::Conversations | Subject::Keys => {
            (MESSAGE, "aral_message_rows m")
        }
    };
    let name = if matches!(subject, Subject::Action(..)) { "a" } else { "m" };
    format!(
        "SELECT {name}.place, {columns} FROM {table} \
         WHERE {name}.conversation = (SELECT number FROM aral_conversation_rows WHERE id_key = ?1) \
         AND {name}.id = ?2 ORDER BY {name}.seq"
    )
}

/// What has been answered.
#[derive(Debug, Default)]
struct Answers {
    meta: Option<Meta>,
    loaded: Loaded,
    /// Why a row could not be read. The questions are answered to their end all the same, so that whoever asked can tell
    /// damage from a connection that failed.
    damage: Option<Error>,
}

impl Answers {
    fn add(&mut self, subject: Subject<'_>, row: &dyn Row) {
        if let Err(error) = self.try_add(subject, row) {
            self.damage.get_or_insert(error);
        }
    }

    fn try_add(&mut self, subject: Subject<'_>, row: &dyn Row) -> Result<()> {
        let lookups = &mut self.loaded.lookups;
        match subject {
            // Somebody may have brought newer software while this one ran, which this tells.
            Subject::Meta => self.meta = Some(Meta::at(row)?),
            Subject::Conversations => {
                let (id, kept) = conversation_at(row)?;
                self.loaded.conversations.insert(id, kept);
            }
            Subject::Keys => {
                let (name, record) = key_at(row)?;
                self.loaded.keys.insert(name, record);
            }
            Subject::Message(id, item) => {
                let message = message_at(row, 1)?;
                if message.id == *item {
                    let found = lookups.entry(id.to_owned()).or_default();
                    let at = number_at(row, 0)?;
                    found.messages.entry(item.clone()).or_default().push((at, message));
                }
            }
            Subject::Action(id, item) => {
                let action = action_at(row, 1)?;
                if action.id == *item {
                    let found = lookups.entry(id.to_owned()).or_default();
                    let at = number_at(row, 0)?;
                    found.actions.entry(item.clone()).or_default().push((at, action));
                }
            }
        }
        Ok(())
    }

    /// What the batches are judged on.
    fn into_loaded(mut self, subjects: &[Subject<'_>]) -> Result<(Meta, Loaded)> {
        for subject in subjects {
            // What was looked for and not found was looked for as well.
            let (id, item) = match subject {
                Subject::Message(id, item) | Subject::Action(id, item) => (*id, *item),
                Subject::Meta | Subject::Conversations | Subject::Keys => continue,
            };
            let last_seq = self.loaded.conversations.get(id).map(|kept| kept.state.last_seq);
            let found = self.loaded.lookups.entry(id.to_owned()).or_default();
            let Some(last_seq) = last_seq else { continue };
            found.last_seq = last_seq;
            if matches!(subject, Subject::Message(..)) {
                found.messages.entry(item.clone()).or_default();
            } else {
                found.actions.entry(item.clone()).or_default();
            }
        }
        let meta = self.meta.ok_or_else(|| corrupt("the table aral_meta has no row"))?;
        Ok((meta, self.loaded))
    }
}

fn conversation_at(row: &dyn Row) -> Result<(String, Kept)> {
    let state = ConversationState {
        exists: true,
        version: number_at(row, 2)?,
        last_seq: number_at(row, 3)?,
        messages: number_at(row, 4)?,
        actions: number_at(row, 5)?,
        damage: None,
    };
    Ok((id_at(row, 0)?, Kept { number: number_at(row, 1)?, state }))
}

fn key_at(row: &dyn Row) -> Result<(String, KeyRecord)> {
    let fingerprint = number_at(row, 1)?;
    let record = KeyRecord {
        fingerprint: u32::try_from(fingerprint)
            .map_err(|_| corrupt(format!("{fingerprint} is no fingerprint")))?,
        conversation_id: id_at(row, 2)?.into(),
        id: row.bytes(3)?.into(),
        seq: number_at(row, 4)?,
        version: number_at(row, 5)?,
    };
    Ok((id_at(row, 0)?, record))
}

/// Begins to write, and reads the row that is locked and what these batches have to be judged on.
pub(super) fn begin(connection: &mut dyn Connection, batches: &[&[Request]]) -> Result<(Meta, Loaded)> {
    let questions = Questions::of(batches);
    answered(&questions, |each| connection.begin_write_and_ask(&questions.statements, each))
}

/// Reads the same in a transaction that has begun.
pub(super) fn load(connection: &mut dyn Connection, batches: &[&[Request]]) -> Result<(Meta, Loaded)> {
    let questions = Questions::of(batches);
    answered(&questions, |each| connection.query_all(&questions.statements, each))
}

fn answered(
    questions: &Questions<'_>,
    ask: impl FnOnce(&mut EachOf<'_>) -> Result<()>,
) -> Result<(Meta, Loaded)> {
    let mut answers = Answers::default();
    let asked = ask(&mut |at, row| {
        questions.subjects.get(at).into_iter().for_each(|subject| answers.add(*subject, row));
        Ok(())
    });
    // What was wrong with an answer is why a later question could not be answered, and not the other way round.
    if let Some(damage) = answers.damage {
        return Err(damage);
    }
    asked?;
    answers.into_loaded(&questions.subjects)
}
