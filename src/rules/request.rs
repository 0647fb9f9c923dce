//! A mutation with nothing left open.
//!
//! Owns the form in which a mutation is validated, and the receipt that it gets.

use std::mem::take;

use crate::model::{
    ActionEdit, Change, Durability, Edit, Event, JsonObject, Receipt, Seq, Text, UniqueIds, Version,
};

/// A mutation with every id, time and title filled in, and its texts within the limits.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) conversation_id: String,
    pub(crate) step: Step,
    pub(crate) key: Option<String>,
    /// CRC-32 of what was asked for, without the parts that the store fills in.
    pub(crate) fingerprint: u32,
    pub(crate) expect: Option<Expected>,
    /// Off where nothing is added, and where the store made the id up.
    pub(crate) unique_ids: UniqueIds,
}

/// How a store has to stand for a mutation to be carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expected {
    /// Its conversation has this version.
    Version(Version),
    /// The event becomes the one with this number. Only who copies a store asks for that: where somebody else has written
    /// meanwhile, nothing may happen.
    Seq(Seq),
}

impl Request {
    /// An event of another store as something to do. What is edited or removed is found by its id: its place may be
    /// another one here.
    pub(crate) fn of_event(event: Event) -> Self {
        let Event { conversation_id, change, key, fingerprint } = event;
        let step = match change {
            Change::EditMessage(message) => {
                let edit = Edit {
                    content: Some(message.content),
                    metadata: Some(message.metadata),
                    role: Some(message.role),
                    created_at: Some(message.created_at),
                    extra: Some(message.extra),
                };
                Step::EditMessage(message.id, Box::new(edit))
            }
            Change::EditAction(action) => {
                let edit = ActionEdit {
                    action_type: Some(action.action_type),
                    data: Some(action.data),
                    metadata: Some(action.metadata),
                    created_at: Some(action.created_at),
                    extra: Some(action.extra),
                };
                Step::EditAction(action.id, Box::new(edit))
            }
            Change::AppendText { message_id, offset, text } => {
                Step::AppendText { message_id, offset: Some(offset), text }
            }
            Change::RemoveMessage(id) => Step::RemoveMessage(id),
            Change::RemoveAction(id) => Step::RemoveAction(id),
            other @ (Change::Create { .. }
            | Change::SetTitle(_)
            | Change::SetMetadata(_)
            | Change::AddMessage(_)
            | Change::AddAction(_)
            | Change::Clear
            | Change::Remove { .. }
            | Change::SetVersion(_)
            | Change::Reset { .. }
            | Change::SetCreatedAt(_)
            | Change::SetExtra(_)) => Step::Ready(other),
        };
        let unique_ids = UniqueIds::Off;
        Self { conversation_id, step, key, fingerprint, expect: None, unique_ids }
    }

    /// A batch of events of another store, the first of which has to become the event with this number.
    pub(crate) fn of_events(events: Vec<Event>, first_seq: Seq) -> Vec<Self> {
        let mut batch: Vec<Self> = events.into_iter().map(Self::of_event).collect();
        if let Some(first) = batch.first_mut() {
            first.expect = Some(Expected::Seq(first_seq));
        }
        batch
    }

    /// Whether it looks for something by its id.
    pub(crate) fn looks(&self) -> bool {
        self.unique_ids != UniqueIds::Off || !matches!(self.step, Step::Ready(_))
    }

    /// The receipt of it as the event with this number, which left its conversation with this version: it names the
    /// conversation, and what of it the event was about: a message, an action, or all of it. Takes both ids out, in
    /// place: a mutation is long, and a batch has many.
    pub(crate) fn take_receipt(&mut self, seq: Seq, version: Version, durability: Durability) -> Receipt {
        let subject = match &mut self.step {
            Step::Ready(Change::AddMessage(message)) => Some(take(&mut message.id)),
            Step::Ready(Change::AddAction(action)) => Some(take(&mut action.id)),
            Step::Ready(change) => change.subject().cloned(),
            Step::EditMessage(id, _)
            | Step::FinishMessage(id, _)
            | Step::AppendText { message_id: id, .. }
            | Step::RemoveMessage(id)
            | Step::EditAction(id, _)
            | Step::RemoveAction(id) => Some(take(id)),
        };
        let conversation_id = take(&mut self.conversation_id);
        let id = subject.unwrap_or_else(|| Text::from(&conversation_id));
        Receipt { seq, conversation_id, id, version, durability }
    }
}

/// What is to be done. Edits are rare, and longer than everything else.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// This, whatever the state, if it is possible at all.
    Ready(Change),
    EditMessage(Text, Box<Edit>),
    RemoveMessage(Text),
    EditAction(Text, Box<ActionEdit>),
    RemoveAction(Text),
    AppendText {
        message_id: Text,
        offset: Option<u64>,
        text: Text,
    },
    FinishMessage(Text, Box<Finish>),
}

/// How a reply is finished.
#[derive(Clone, Debug)]
pub(crate) struct Finish {
    /// How many bytes of text it must have.
    pub(crate) length: Option<u64>,
    /// What goes into its metadata besides.
    pub(crate) metadata: JsonObject,
}

/// Whether all that a batch does to a conversation is to put text behind messages of it, of which little has to be known then.
pub(crate) fn only_appends_text(batch: &[Request], conversation_id: &str) -> bool {
    let mut of_it = batch.iter().filter(|request| request.conversation_id == conversation_id);
    of_it.all(|request| matches!(request.step, Step::AppendText { .. }))
}
