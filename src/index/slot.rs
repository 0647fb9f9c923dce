//! One conversation in the index.
//!
//! Owns how each kind of event changes a conversation's summary and lists.

use std::sync::Arc;

use super::Misfit;
use super::grown::Grown;
use super::position::{Entry, Position, hash_of};
use crate::codec::bytes::MAX_NUMBER;
use crate::codec::payload::{ChangeView, EventView, TimeView, reason_of};
use crate::model::{Conversation, JsonObject, RemovalReason, Seq, Summary, Text, Timestamp, Version};

/// A conversation that has been touched: changed since the checkpoint, or read.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// What a list shows.
    pub(crate) summary: Summary,
    /// Its place in the checkpoint; none if it is not the conversation there.
    pub(crate) ordinal: Option<usize>,
    /// Whether it exists; a removed one is kept to hide the checkpoint's.
    pub(crate) exists: bool,
    /// Whether its file could not be read when it was last to be written, so that nothing may be added to it.
    pub(crate) is_held: bool,
    /// When it came to be, to tell a conversation from an earlier one of the same id.
    pub(crate) born: Seq,
    pub(crate) body: Body,
    /// Where its metadata stands.
    pub(crate) metadata: HeadSource,
    /// Where its unknown fields stand.
    pub(crate) extra: HeadSource,
    /// What happened since a running compaction looked; kept only while one runs.
    pub(crate) since: Vec<Op>,
    /// Whether it began or ended since that compaction looked.
    pub(crate) is_new_since: bool,
}

/// A conversation's messages and actions.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// Its file has not been read; these came after the file.
    Deferred(Vec<Op>),
    /// All of it is known.
    Loaded(Lists),
    /// It was removed, at this time if the event says so, for this reason.
    Ended(Option<Timestamp>, RemovalReason),
}

/// Where everything lies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    pub(crate) messages: Vec<Entry>,
    pub(crate) actions: Vec<Entry>,
    /// What the file said of the conversation itself.
    pub(crate) base: Option<Arc<Base>>,
    /// The messages that text was put behind since they were written as a whole. There are hardly ever any.
    pub(crate) grown: Vec<Grown>,
}

/// What a conversation's file says of the conversation itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Base {
    pub(crate) metadata: JsonObject,
    pub(crate) extra: JsonObject,
}

/// Where a part of the conversation's head stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HeadSource {
    /// In its snapshot file.
    Snapshot,
    /// In this event.
    Event(Position),
    /// Nowhere: it has none.
    Empty,
}

/// What an event does to the lists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    AddMessage(Entry),
    EditMessage(u64, Entry),
    RemoveMessage(u64, u32),
    AddAction(Entry),
    EditAction(u64, Entry),
    RemoveAction(u64, u32),
    Clear,
    /// Text of an event is put behind a message's, which has so many bytes then. Both numbers are short: any more would make
    /// each operation longer.
    AppendText {
        at: u32,
        length: u32,
        entry: Entry,
    },
}

fn misfit(what: &str, summary: &Summary) -> Misfit {
    Misfit(format!("{what} conversation {:?}", summary.id))
}

impl Lists {
    /// Whether any of it lies in the conversation's file.
    pub(crate) fn are_in_file(&self) -> bool {
        self.messages.iter().chain(&self.actions).any(|entry| entry.position().segment().is_none())
    }

    /// Carries an operation out.
    pub(crate) fn apply(&mut self, op: Op) -> Result<(), Misfit> {
        let found = match op {
            Op::AddMessage(entry) => {
                // By an eighth and not to the double: most of the index is these lists.
                if self.messages.len() == self.messages.capacity() {
                    self.messages.reserve_exact(self.messages.len() / 8 + 4);
                }
                self.messages.push(entry);
                true
            }
            Op::AddAction(entry) => {
                self.actions.push(entry);
                true
            }
            Op::EditMessage(at, entry) => {
                self.forget_grown(at);
                replace(&mut self.messages, at, entry)
            }
            Op::EditAction(at, entry) => replace(&mut self.actions, at, entry),
            Op::RemoveMessage(at, hash) => {
                self.forget_grown(at);
                remove(&mut self.messages, at, hash)
            }
            Op::RemoveAction(at, hash) => remove(&mut self.actions, at, hash),
            Op::AppendText { at, length, entry } => self.append_text(u64::from(at), u64::from(length), entry),
            Op::Clear => {
                self.grown = Vec::new();
                self.messages = Vec::new();
                self.actions = Vec::new();
                true
            }
        };
        if found { Ok(()) } else { Err(Misfit("an event is about something that is not there".to_owned())) }
    }
}

fn replace(list: &mut [Entry], at: u64, entry: Entry) -> bool {
    let target = usize::try_from(at).ok().and_then(|at| list.get_mut(at));
    target.filter(|old| old.id_hash() == entry.id_hash()).map(|old| *old = entry).is_some()
}

fn remove(list: &mut Vec<Entry>, at: u64, hash: u32) -> bool {
    let at = usize::try_from(at).ok().filter(|at| list.get(*at).is_some_and(|entry| entry.id_hash() == hash));
    at.map(|at| list.remove(at)).is_some()
}

impl Slot {
    /// A conversation as the checkpoint has it.
    pub(crate) fn of_checkpoint(summary: Summary, ordinal: usize, is_intact: bool) -> Self {
        Self {
            summary,
            ordinal: Some(ordinal),
            exists: is_intact,
            is_held: false,
            born: 0,
            body: Body::Deferred(Vec::new()),
            metadata: HeadSource::Snapshot,
            extra: HeadSource::Snapshot,
            since: Vec::new(),
            is_new_since: false,
        }
    }

    /// A conversation that does not exist.
    pub(crate) fn absent(id: &str, time: Timestamp) -> Self {
        let head = Conversation::new(id, time);
        let summary = Summary {
            id: head.id,
            title: head.title,
            created_at: time,
            messages: 0,
            actions: 0,
            version: 0,
            last_activity: time,
            last_seq: 0,
        };
        Self {
            ordinal: None,
            exists: false,
            body: Body::Loaded(Lists::default()),
            metadata: HeadSource::Empty,
            extra: HeadSource::Empty,
            is_new_since: true,
            ..Self::of_checkpoint(summary, 0, false)
        }
    }

    /// Whether its content rests on its file: one that was begun anew since, or ended, needs none.
    pub(crate) fn needs_file(&self) -> bool {
        let is_of_file = match &self.body {
            Body::Deferred(_) => true,
            Body::Ended(..) => false,
            Body::Loaded(lists) => lists.base.is_some(),
        };
        self.exists && self.ordinal.is_some() && is_of_file
    }

    /// A copy without its lists.
    pub(crate) fn clone_head(&self) -> Self {
        Self { summary: self.summary.clone(), body: Body::Deferred(Vec::new()), since: Vec::new(), ..*self }
    }

    /// Makes it begin, in place of whatever had its id.
    fn begin(&mut self, time: Timestamp, seq: Seq) {
        *self = Self { exists: true, born: seq, ..Self::absent(&self.summary.id, time) };
    }

    /// Carries an event out that lies at a position.
    pub(crate) fn apply(
        &mut self,
        view: &EventView<'_>,
        seq: Seq,
        position: Position,
        records: bool,
    ) -> Result<(), Misfit> {
        self.begin_if_needed(view, seq, position)?;
        self.change(view, position, records)?;
        self.summary.version += u64::from(self.exists);
        self.summary.last_seq = seq;
        Ok(())
    }

    fn begin_if_needed(&mut self, view: &EventView<'_>, seq: Seq, position: Position) -> Result<(), Misfit> {
        let time = |time: TimeView| time.to_timestamp().map_err(|bad| Misfit(bad.0));
        match &view.change {
            ChangeView::Create { title, created_at, .. } => {
                if self.exists {
                    return Err(misfit("an event creates again", &self.summary));
                }
                self.begin(time(*created_at)?, seq);
                self.set_title(title)?;
                self.metadata = HeadSource::Event(position);
                self.extra = HeadSource::Event(position);
            }
            ChangeView::Reset { created_at, .. } if !self.exists => self.begin(time(*created_at)?, seq),
            ChangeView::AddMessage(message) if !self.exists => self.begin(time(message.created_at)?, seq),
            ChangeView::AddAction(action) if !self.exists => self.begin(time(action.created_at)?, seq),
            ChangeView::Remove
            | ChangeView::RemoveAt(_)
            | ChangeView::RemoveFor { .. }
            | ChangeView::Reset { .. } => {}
            ChangeView::SetTitle(_)
            | ChangeView::SetMetadata(_)
            | ChangeView::AddMessage(_)
            | ChangeView::EditMessage { .. }
            | ChangeView::AppendText { .. }
            | ChangeView::RemoveMessage { .. }
            | ChangeView::AddAction(_)
            | ChangeView::EditAction { .. }
            | ChangeView::RemoveAction { .. }
            | ChangeView::SetCreatedAt(_)
            | ChangeView::SetExtra(_)
            | ChangeView::SetVersion(_)
            | ChangeView::Clear => {
                if !self.exists {
                    return Err(misfit("an event is about the absent", &self.summary));
                }
            }
        }
        Ok(())
    }

    fn one_less(&self, count: u64) -> Result<u64, Misfit> {
        count.checked_sub(1).ok_or_else(|| misfit("an event takes from the empty", &self.summary))
    }

    fn set_title(&mut self, title: &[u8]) -> Result<(), Misfit> {
        let title = Text::from_wtf8(title.to_vec()).map_err(|_| misfit("a bad title for", &self.summary))?;
        self.summary.title =
            if title.is_empty() { Conversation::default_title(&self.summary.id) } else { title };
        Ok(())
    }

    /// Makes it not exist any more, as of a removal that says when and why.
    fn end(&mut self, removal: &ChangeView<'_>) -> Result<(), Misfit> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else says anything of a removal")]
        let (time, reason) = match removal {
            ChangeView::RemoveAt(time) => (Some(*time), RemovalReason::Asked),
            ChangeView::RemoveFor { removed_at, reason } => {
                (*removed_at, reason_of(*reason).map_err(|bad| Misfit(bad.0))?)
            }
            _ => (None, RemovalReason::Asked),
        };
        let removed_at = time.map(TimeView::to_timestamp).transpose().map_err(|bad| Misfit(bad.0))?;
        let absent = Self::absent(&self.summary.id, self.summary.created_at);
        *self = Self { body: Body::Ended(removed_at, reason), ..absent };
        Ok(())
    }

    /// Makes it have this version once the event has been counted.
    fn raise_version(&mut self, version: Version) -> Result<(), Misfit> {
        if version <= self.summary.version || version > MAX_NUMBER {
            return Err(misfit("an event takes versions back of", &self.summary));
        }
        self.summary.version = version - 1;
        Ok(())
    }

    /// Makes it empty, with the head that the event at a position gives it.
    fn begin_anew(&mut self, time: Timestamp, position: Position) {
        (self.summary.created_at, self.summary.last_activity) = (time, time);
        (self.summary.messages, self.summary.actions) = (0, 0);
        (self.metadata, self.extra) = (HeadSource::Event(position), HeadSource::Event(position));
        // Nothing of its file counts any more, so it need not be read either.
        self.body = Body::Loaded(Lists::default());
        self.is_held = false;
    }

    fn change(&mut self, view: &EventView<'_>, position: Position, records: bool) -> Result<(), Misfit> {
        let time = |time: TimeView| time.to_timestamp().map_err(|bad| Misfit(bad.0));
        let op = match &view.change {
            ChangeView::Create { .. } => return Ok(()),
            ChangeView::SetTitle(title) => return self.set_title(title),
            ChangeView::SetMetadata(_) => {
                self.metadata = HeadSource::Event(position);
                return Ok(());
            }
            ChangeView::SetExtra(_) => {
                self.extra = HeadSource::Event(position);
                return Ok(());
            }
            ChangeView::SetCreatedAt(created_at) => {
                self.summary.created_at = time(*created_at)?;
                return Ok(());
            }
            ChangeView::Reset { title, created_at, .. } => {
                self.set_title(title)?;
                self.begin_anew(time(*created_at)?, position);
                Op::Clear
            }
            ChangeView::SetVersion(version) => return self.raise_version(*version),
            ChangeView::Remove | ChangeView::RemoveAt(_) | ChangeView::RemoveFor { .. } => {
                return self.end(&view.change);
            }
            ChangeView::AddMessage(message) => {
                self.summary.messages += 1;
                self.summary.last_activity = time(message.created_at)?;
                Op::AddMessage(Entry::new(position, hash_of(message.id)))
            }
            ChangeView::EditMessage { at, message } => {
                Op::EditMessage(*at, Entry::new(position, hash_of(message.id)))
            }
            ChangeView::AppendText { .. } => {
                Op::piece(&view.change, position).ok_or_else(|| misfit("too much text in", &self.summary))?
            }
            ChangeView::RemoveMessage { at, id } => {
                self.summary.messages = self.one_less(self.summary.messages)?;
                Op::RemoveMessage(*at, hash_of(*id))
            }
            ChangeView::AddAction(action) => {
                self.summary.actions += 1;
                self.summary.last_activity = time(action.created_at)?;
                Op::AddAction(Entry::new(position, hash_of(action.id)))
            }
            ChangeView::EditAction { at, action } => {
                Op::EditAction(*at, Entry::new(position, hash_of(action.id)))
            }
            ChangeView::RemoveAction { at, id } => {
                self.summary.actions = self.one_less(self.summary.actions)?;
                Op::RemoveAction(*at, hash_of(*id))
            }
            ChangeView::Clear => {
                (self.summary.messages, self.summary.actions) = (0, 0);
                Op::Clear
            }
        };
        if records {
            self.since.push(op);
        }
        match &mut self.body {
            Body::Deferred(ops) => {
                ops.push(op);
                Ok(())
            }
            Body::Loaded(lists) => lists.take(op, &view.change),
            Body::Ended(..) => Err(misfit("an event is about the absent", &self.summary)),
        }
    }

    /// Completes it with what its file holds, which is as it was recorded.
    pub(crate) fn load(&mut self, mut lists: Lists) -> Result<(), Misfit> {
        if let Body::Deferred(ops) = &self.body {
            for op in ops {
                lists.apply(*op)?;
            }
            self.body = Body::Loaded(lists);
        }
        self.is_held = false;
        Ok(())
    }
}
