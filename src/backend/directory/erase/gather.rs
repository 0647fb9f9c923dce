//! What there is of something that is to be erased.
//!
//! Owns the finding of its texts and events: in the present state, in the log and in every chapter. A text is noted as the log has
//! it and as the JSON files do.

use std::collections::BTreeSet;

use crate::backend::directory::history::history;
use crate::backend::directory::reads::{Need, ReadState};
use crate::backend::erasing::forks_of;
use crate::codec::bytes::to_u64;
use crate::codec::erasure::{OWN_WORDS, Salt, Traces, of_conversation, of_event, ranges};
use crate::error::{ErrorKind, Result};
use crate::model::{Conversation, Erasure, Event, HistoryBase, Message, Order, PastEvent, Seq};
use crate::snapshot::chapter::Chapter;
use crate::snapshot::chapter_list;
use crate::snapshot::rewrite::{Erased, Part, parts};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) traces: Traces,
    pub(super) untold: u64,
    pub(super) messages: u64,
    pub(super) actions: u64,
    seqs: BTreeSet<Seq>,
    /// Whether anything of it was found at all.
    pub(super) is_known: bool,
}

impl Gathered {
    fn note(&mut self, salt: &Salt, bytes: &[u8]) {
        if !bytes.is_empty() && !self.traces.note(salt, bytes) {
            self.untold += 1;
        }
    }

    /// The numbers of its events, as ranges.
    pub(super) fn ranges(&self) -> Vec<(Seq, Seq)> {
        ranges(&self.seqs)
    }

    fn event(&mut self, salt: &Salt, seq: Seq, event: &Event, what: &Erasure) {
        let erased = erased(what, Seq::MAX);
        if !erased.is_of(seq, &event.conversation_id, &event.change) {
            return;
        }
        self.is_known = true;
        self.seqs.insert(seq);
        of_event(event, what.message_id.is_none(), &mut |bytes| self.note(salt, bytes));
    }

    fn base(&mut self, salt: &Salt, base: &HistoryBase, what: &Erasure) {
        if base.conversation.id == what.conversation_id {
            self.conversation(salt, &base.conversation, what);
        }
    }

    fn conversation(&mut self, salt: &Salt, conversation: &Conversation, what: &Erasure) {
        let means = |message: Option<&Message>| match (&what.message_id, message) {
            (None, _) => true,
            (Some(id), Some(message)) => message.id == *id,
            (Some(_), None) => false,
        };
        self.is_known |= what.message_id.is_none() || conversation.messages.iter().any(|of| means(Some(of)));
        of_conversation(conversation, &means, &mut |bytes| self.note(salt, bytes));
    }
}

/// What is erased, up to an event.
pub(super) fn erased(what: &Erasure, through: Seq) -> Erased {
    Erased { conversation: what.conversation_id.clone(), message: what.message_id.clone(), through }
}

/// Finds all that there is. What cannot be read is passed over: it goes all the same, and its texts are not among the traces.
pub(super) fn gather(reads: &ReadState, what: &Erasure, salt: &Salt) -> Result<Gathered> {
    let (id, mut found) = (&what.conversation_id, Gathered::default());
    match reads.conversation(id) {
        Ok(Some(now)) => {
            let meant =
                now.messages.iter().filter(|of| what.message_id.as_ref().is_none_or(|id| of.id == *id));
            found.messages = to_u64(meant.count());
            found.actions = if what.message_id.is_none() { to_u64(now.actions.len()) } else { 0 };
            found.conversation(salt, &now, what);
        }
        Ok(None) => {}
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            found.is_known = true;
            found.untold += 1;
        }
        Err(error) => return Err(error),
    }
    match history(reads, id) {
        Ok(past) => {
            past.base.iter().for_each(|base| found.base(salt, base, what));
            past.events.iter().for_each(|past| found.event(salt, past.seq, &past.event, what));
            found.is_known |= what.message_id.is_none() && past.removed.is_some();
        }
        Err(error) if error.kind() == ErrorKind::Corrupt => found.untold += 1,
        Err(error) => return Err(error),
    }
    for named in chapter_list::list(&*reads.vfs, &reads.layout)? {
        let read = Chapter::open(&*reads.vfs, &named).and_then(|chapter| {
            let Some(entry) = chapter.entry(id)? else { return Ok(()) };
            found.is_known |= what.message_id.is_none();
            if let Some(offset) = entry.base {
                found.base(salt, &chapter.base(offset)?, what);
            }
            chapter.events(&entry)?.iter().for_each(|past| found.event(salt, past.seq, &past.event, what));
            Ok(())
        });
        match read {
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::UnsupportedFormat) => {
                found.untold += 1;
            }
            read => read?,
        }
    }
    Ok(found)
}

/// The forks of a conversation, and their forks.
pub(super) fn forks(reads: &ReadState, id: &str) -> Result<Vec<String>> {
    let mut from = Vec::new();
    // Not within the loop's head: the index would be held while conversations are read, which may have to change it.
    let listed = reads.index().summaries(Order::Created, None);
    for summary in listed {
        let head = match reads.conversation_with(&summary.id, Need::Actions) {
            Err(error) if error.kind() == ErrorKind::Corrupt => continue,
            read => read?,
        };
        from.extend(head.and_then(|head| Some((head.forked_from()?.conversation_id, summary.id))));
    }
    Ok(forks_of(&from, id))
}

/// Forgets the traces of what is in others too, which nobody asked to erase: they would be found there.
pub(super) fn forget_others(
    reads: &ReadState,
    what: &Erased,
    traces: &mut Traces,
    salt: &Salt,
) -> Result<()> {
    let mut forget = |bytes: &[u8]| traces.forget(salt, bytes);
    forget(OWN_WORDS);
    let is_erased = |last_seq: Seq, id: &str, of: Option<&Message>| match of {
        Some(message) => what.is_message(last_seq, id, message),
        None => what.message.is_none() && id == what.conversation && last_seq <= what.through,
    };
    let listed = reads.index().summaries(Order::Created, None);
    for summary in listed {
        let now = match reads.conversation(&summary.id) {
            Err(error) if error.kind() == ErrorKind::Corrupt => continue,
            read => read?,
        };
        if let Some(now) = now {
            // What is there now was not erased.
            of_conversation(&now, &|_| true, &mut forget);
        }
    }
    for named in chapter_list::list(&*reads.vfs, &reads.layout)? {
        let read = Chapter::open(&*reads.vfs, &named).and_then(|chapter| {
            parts(&chapter, |part| {
                match part {
                    Part::Base(base) => {
                        let (id, last_seq) = (base.conversation.id.as_str(), base.last_seq);
                        of_conversation(&base.conversation, &|of| !is_erased(last_seq, id, of), &mut forget);
                    }
                    Part::Batch(events) => {
                        for PastEvent { seq, event, .. } in &events {
                            if !what.is_of(*seq, &event.conversation_id, &event.change) {
                                of_event(event, true, &mut forget);
                            }
                        }
                    }
                }
                Ok(())
            })
        });
        match read {
            // What cannot be read is of others, and was told as damage: a check finds in it at most too much.
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::UnsupportedFormat) => {}
            read => read?,
        }
    }
    Ok(())
}
