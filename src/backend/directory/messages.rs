//! Reading messages: some of a conversation, one by its id, and one after another without owning them.
//!
//! Owns how little of a conversation is taken from the index for that, and how a reading that has begun to lend
//! messages goes on when a compaction has moved the rest.

use std::collections::HashSet;

use super::reads::{Need, ReadState, View};
use crate::backend::no_conversation;
use crate::codec::bytes::{to_u64, to_usize};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Entry, Index, Lists, Slot, id_hash};
use crate::model::{Action, Change, Conversation, Cursor, Message, MessageRef, Messages, Seq, Text, TextRef};
use crate::rules::{Listed, select};
use crate::rules::{Lookup, SeenReply, Step};
use crate::snapshot::fetch::Fetcher;
use smallvec::SmallVec;

/// How far the lending of a selection has come.
#[derive(Debug, Default)]
pub(super) struct Lending {
    count: usize,
    /// The conversation's newest event when it began. Its version would not do: one that was removed and began
    /// again counts anew.
    last_seq: Seq,
}

impl Lending {
    /// Begins, or goes on where it was. After another event other messages may stand there.
    fn go_on(&mut self, last_seq: Seq) -> Result<()> {
        if self.count > 0 && self.last_seq != last_seq {
            let reason =
                "the conversation was changed and compacted while its messages were read; read them again";
            return Err(Error::new(ErrorKind::Conflict, reason));
        }
        self.last_seq = last_seq;
        Ok(())
    }
}

/// What a selection by places alone means in a list.
fn plainly_selected<'e>(all: &'e [Entry], selection: &Messages) -> &'e [Entry] {
    let all = if let Some(Cursor::FromPlace(place)) = selection.cursor {
        all.get(to_usize(place)..).unwrap_or_default()
    } else {
        all
    };
    let count = selection.limit.map_or(all.len(), |limit| limit.min(all.len()));
    let part = if selection.takes_last() { all.get(all.len() - count..) } else { all.get(..count) };
    part.unwrap_or_default()
}

impl ReadState {
    /// Gives a conversation without its messages, and then those, with no more than one of them in memory. Says whether there is one.
    pub(super) fn in_pieces(
        &self,
        id: &str,
        begin: impl FnOnce(&Conversation) -> Result<()>,
        mut each: impl FnMut(Message) -> Result<()>,
    ) -> Result<bool> {
        let Some(head) = self.conversation_with(id, Need::Actions)? else { return Ok(false) };
        begin(&head)?;
        let read = self.read(id, Need::Everything, |view, fetcher| {
            fetcher.one_by_one(&view.lists().messages, |position| each(fetcher.message(position)?))
        })?;
        Ok(read.is_some())
    }

    /// Calls with the entries of a selection, and with the conversation's newest event.
    fn selected<T>(
        &self,
        id: &str,
        selection: &Messages,
        mut take: impl FnMut(&Fetcher<'_>, &[Entry], Seq) -> Result<T>,
    ) -> Result<T> {
        let is_of_places = matches!(selection.cursor, None | Some(Cursor::FromPlace(_)));
        let is_plain = is_of_places && selection.is_by_place();
        let look = |index: &Index, slot: &Slot, lists: &Lists| {
            let all = &*lists.messages;
            let entries = if is_plain { plainly_selected(all, selection) } else { all };
            let source = self.source_of(index, slot, entries);
            ((entries.to_vec(), slot.summary.last_seq), source)
        };
        let read = self.read_what(id, look, |(entries, last_seq), fetcher| {
            if is_plain {
                return take(fetcher, entries, *last_seq);
            }
            let places = select(&Listing { entries, fetcher }, selection)?;
            let chosen: Vec<_> = places.into_iter().filter_map(|at| entries.get(at).copied()).collect();
            take(fetcher, &chosen, *last_seq)
        })?;
        read.ok_or_else(|| no_conversation(id))
    }

    pub(crate) fn messages(&self, id: &str, selection: &Messages) -> Result<Vec<Message>> {
        self.selected(id, selection, |fetcher, entries, _| fetcher.messages(entries))
    }

    /// The last message that has this id.
    pub(crate) fn message(&self, id: &str, message_id: TextRef<'_>) -> Result<Option<Message>> {
        let hash = id_hash(message_id.as_wtf8());
        let look = |index: &Index, slot: &Slot, lists: &Lists| {
            let same = lists.messages.iter().filter(|entry| entry.id_hash() == hash);
            let entries: SmallVec<[_; 1]> = same.copied().collect();
            let source = self.source_of(index, slot, &entries);
            (entries, source)
        };
        let read = self.read_what(id, look, |entries, fetcher| {
            for entry in entries.iter().rev() {
                let message = fetcher.message(entry.position())?;
                if message_id == message.id {
                    return Ok(Some(message));
                }
            }
            Ok(None)
        })?;
        Ok(read.flatten())
    }

    /// Who has the ids of what these steps add to a conversation. Only those are read whose checksums are the same.
    pub(super) fn bearers(&self, id: &str, steps: &[&Step]) -> Result<Option<Lookup>> {
        let (mut messages, mut actions) = (HashSet::new(), HashSet::new());
        for step in steps {
            match step {
                Step::Ready(Change::AddMessage(message)) => drop(messages.insert(&message.id)),
                Step::Ready(Change::AddAction(action)) => drop(actions.insert(&action.id)),
                Step::Ready(_)
                | Step::EditMessage(..)
                | Step::RemoveMessage(_)
                | Step::EditAction(..)
                | Step::RemoveAction(_)
                | Step::AppendText { .. }
                | Step::FinishMessage(..) => {}
            }
        }
        let hashes =
            |ids: &HashSet<&Text>| ids.iter().map(|id| id_hash(id.as_wtf8())).collect::<HashSet<_>>();
        let (message_hashes, action_hashes) = (hashes(&messages), hashes(&actions));
        let look = |index: &Index, slot: &Slot, lists: &Lists| {
            let with = |entries: &[Entry], hashes: &HashSet<u32>| {
                // Mostly there is one, and then nothing is sooner done than to compare it.
                let only = if hashes.len() == 1 { hashes.iter().next() } else { None };
                let is_meant = |hash| only.map_or_else(|| hashes.contains(&hash), |only| *only == hash);
                let places = entries.iter().copied().enumerate();
                places.filter(|(_, entry)| is_meant(entry.id_hash())).collect::<Vec<_>>()
            };
            let found = (with(&lists.messages, &message_hashes), with(&lists.actions, &action_hashes));
            let source = self.source_of(index, slot, found.0.iter().chain(&found.1).map(|(_, entry)| entry));
            ((slot.summary.last_seq, found), source)
        };
        self.read_what(id, look, |(last_seq, (found_messages, found_actions)), fetcher| {
            let mut lookup = Lookup { last_seq: *last_seq, ..Lookup::default() };
            for (at, entry) in found_messages {
                let message = fetcher.message(entry.position())?;
                if messages.contains(&message.id) {
                    lookup.messages.entry(message.id.clone()).or_default().push((to_u64(*at), message));
                }
            }
            for (at, entry) in found_actions {
                let action = fetcher.action(entry.position())?;
                if actions.contains(&action.id) {
                    lookup.actions.entry(action.id.clone()).or_default().push((to_u64(*at), action));
                }
            }
            Ok(lookup)
        })
    }

    /// The messages of a conversation that these steps put text behind. One that has grown is not looked at: how long it
    /// has become is known.
    pub(super) fn replies(&self, id: &str, steps: &[&Step]) -> Result<Option<Lookup>> {
        let ids: Vec<&Text> = steps.iter().filter_map(|step| appended_to(step)).collect();
        let look = |index: &Index, slot: &Slot, lists: &Lists| {
            let (mut known, mut entries) = (Vec::new(), Vec::new());
            for message_id in &ids {
                match lists.reply(message_id.as_wtf8()) {
                    Some(reply) => known.push((*message_id, reply)),
                    None => {
                        let hash = id_hash(message_id.as_wtf8());
                        let same = lists.messages.iter().copied().enumerate();
                        entries.extend(same.filter(|(_, entry)| entry.id_hash() == hash));
                    }
                }
            }
            let source = self.source_of(index, slot, entries.iter().map(|(_, entry)| entry));
            ((slot.summary.last_seq, known, entries), source)
        };
        self.read_what(id, look, |(last_seq, known, entries), fetcher| {
            let mut lookup = Lookup { last_seq: *last_seq, ..Lookup::default() };
            for (at, entry) in entries {
                let message = fetcher.message(entry.position())?;
                if ids.contains(&&message.id) {
                    // Of several with one id the last is meant.
                    lookup.replies.insert(message.id.clone(), SeenReply::of(to_u64(*at), &message));
                }
            }
            for (message_id, reply) in known {
                let seen = SeenReply { at: to_u64(reply.at), length: reply.length, is_partial: true };
                lookup.replies.insert(Text::clone(message_id), seen);
            }
            Ok(lookup)
        })
    }

    /// Lends the messages of a selection, oldest first. No lock is held meanwhile.
    pub(super) fn lend_messages(
        &self,
        id: &str,
        selection: &Messages,
        lending: &mut Lending,
        each: &mut dyn FnMut(MessageRef<'_>),
    ) -> Result<()> {
        self.selected(id, selection, |fetcher, entries, last_seq| {
            lending.go_on(last_seq)?;
            let rest = entries.get(lending.count..).unwrap_or_default();
            lend_each(fetcher, rest, &mut lending.count, each)
        })
    }
}

impl View {
    /// The messages whose ids have the same hash as this one, with their places.
    pub(crate) fn messages_like<'v>(
        &'v self,
        fetcher: &'v Fetcher<'_>,
        id: &Text,
    ) -> impl Iterator<Item = (usize, Result<Message>)> + 'v {
        like(&self.lists().messages, id).map(|(at, entry)| (at, fetcher.message(entry.position())))
    }

    /// The actions whose ids have the same hash as this one, with their places.
    pub(crate) fn actions_like<'v>(
        &'v self,
        fetcher: &'v Fetcher<'_>,
        id: &Text,
    ) -> impl Iterator<Item = (usize, Result<Action>)> + 'v {
        like(&self.lists().actions, id).map(|(at, entry)| (at, fetcher.action(entry.position())))
    }
}

/// The entries whose ids have the same hash as this one, with their places.
fn like<'e>(entries: &'e [Entry], id: &Text) -> impl Iterator<Item = (usize, &'e Entry)> + use<'e> {
    let hash = id_hash(id.as_wtf8());
    entries.iter().enumerate().filter(move |(_, entry)| entry.id_hash() == hash)
}

fn appended_to(step: &Step) -> Option<&Text> {
    if let Step::AppendText { message_id, .. } = step { Some(message_id) } else { None }
}

/// Lends the messages of these entries, and counts each that was lent.
///
/// The only caller of `Fetcher::lend`, which then becomes part of this loop.
fn lend_each(
    fetcher: &Fetcher<'_>,
    entries: &[Entry],
    count: &mut usize,
    each: &mut dyn FnMut(MessageRef<'_>),
) -> Result<()> {
    fetcher.one_by_one(entries, |position| {
        fetcher.lend(position, &mut *each)?;
        *count += 1;
        Ok(())
    })
}

/// The messages of a conversation as a selection looks at them.
struct Listing<'l, 'b> {
    entries: &'l [Entry],
    fetcher: &'l Fetcher<'b>,
}

impl Listed for Listing<'_, '_> {
    fn count(&self) -> usize {
        self.entries.len()
    }

    fn find(&self, id: &Text) -> Result<Option<usize>> {
        let hash = id_hash(id.as_wtf8());
        for (at, _) in self.entries.iter().enumerate().rev().filter(|(_, entry)| entry.id_hash() == hash) {
            let mut is_found = false;
            self.look(at, &mut |message| is_found = message.id == *id)?;
            if is_found {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    fn look(&self, at: usize, look: &mut dyn FnMut(MessageRef<'_>)) -> Result<()> {
        let entry = self.entries.get(at).map_or(&[][..], std::slice::from_ref);
        lend_each(self.fetcher, entry, &mut 0, look)
    }
}
