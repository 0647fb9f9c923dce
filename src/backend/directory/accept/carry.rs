//! What the log has of a conversation, on top of a file that its owner accepts.
//!
//! Owns what each event does to what the file holds. Under an id that the file has, what the file says is what its
//! owner accepts; an event that adds something else under it, or makes something else of it, is given back, to be kept
//! apart, and so is the removal of what was.

use std::collections::HashSet;

use crate::codec::bytes::to_usize;
use crate::model::{Action, Change, Conversation, Message, Text};

/// A message or an action.
trait Item: PartialEq {
    fn id(&self) -> &Text;
}

impl Item for Message {
    fn id(&self) -> &Text {
        &self.id
    }
}

impl Item for Action {
    fn id(&self) -> &Text {
        &self.id
    }
}

/// The messages or the actions of a conversation.
struct Items<T> {
    /// The file's before all others.
    list: Vec<T>,
    /// How many of them are the file's.
    from_file: usize,
    /// The ids of those, and of some that are not there any more.
    of_file: HashSet<Text>,
    /// The ids under which something was given back.
    apart: HashSet<Text>,
}

impl<T: Item> Items<T> {
    fn of_file(list: Vec<T>) -> Self {
        let of_file = list.iter().map(|item| item.id().clone()).collect();
        Self { from_file: list.len(), list, of_file, apart: HashSet::new() }
    }

    /// Adds an item; gives it back if the file has another one under its id.
    fn add(&mut self, new: T) -> Option<T> {
        if self.of_file.contains(new.id()) {
            match self.list.iter().take(self.from_file).find(|item| item.id() == new.id()) {
                Some(found) if *found == new => return None,
                Some(_) => return Some(self.set_apart(new)),
                None => {}
            }
        }
        self.list.push(new);
        None
    }

    /// Puts an item in the place of the newest one with its id, or at the end; gives it back if that is the file's and
    /// another one.
    fn edit(&mut self, new: T) -> Option<T> {
        let at = self.list.iter().rposition(|item| item.id() == new.id());
        match at.and_then(|at| Some((at, self.list.get_mut(at)?))) {
            Some((at, item)) if at < self.from_file => {
                if *item == new {
                    return None;
                }
                return Some(self.set_apart(new));
            }
            Some((_, item)) => *item = new,
            None => self.list.push(new),
        }
        None
    }

    /// Removes the newest item with an id; gives the id back if what had it may have been given back before.
    fn remove(&mut self, id: Text) -> Option<Text> {
        let at = self.list.iter().rposition(|item| *item.id() == id)?;
        if at < self.from_file {
            if self.apart.contains(&id) {
                return Some(id);
            }
            self.from_file -= 1;
        }
        self.list.remove(at);
        None
    }

    fn set_apart(&mut self, item: T) -> T {
        self.apart.insert(item.id().clone());
        item
    }

    fn clear(&mut self) {
        self.list.clear();
        self.from_file = 0;
        self.of_file.clear();
        self.apart.clear();
    }
}

/// A file's conversation while events are carried over to it.
pub(super) struct Carry {
    /// Without its items.
    head: Conversation,
    messages: Items<Message>,
    actions: Items<Action>,
}

impl Carry {
    pub(super) fn over(mut conversation: Conversation) -> Self {
        let messages = Items::of_file(std::mem::take(&mut conversation.messages));
        let actions = Items::of_file(std::mem::take(&mut conversation.actions));
        Self { head: conversation, messages, actions }
    }

    pub(super) fn conversation(&self) -> &Conversation {
        &self.head
    }

    pub(super) fn into_conversation(self) -> Conversation {
        Conversation { messages: self.messages.list, actions: self.actions.list, ..self.head }
    }

    /// Does what an event did to what the file was then; gives it back if it cannot be done without taking something
    /// else away.
    pub(super) fn event(&mut self, change: Change) -> Option<Change> {
        match change {
            Change::AddMessage(new) => return self.messages.add(new).map(Change::AddMessage),
            Change::AddAction(new) => return self.actions.add(new).map(Change::AddAction),
            Change::EditMessage(new) => return self.messages.edit(new).map(Change::EditMessage),
            Change::EditAction(new) => return self.actions.edit(new).map(Change::EditAction),
            Change::AppendText { message_id, offset, text } => {
                return self.append_text(message_id, offset, text);
            }
            Change::RemoveMessage(id) => return self.messages.remove(id).map(Change::RemoveMessage),
            Change::RemoveAction(id) => return self.actions.remove(id).map(Change::RemoveAction),
            Change::Clear | Change::Remove { .. } => self.clear(),
            Change::SetTitle(title) => self.head.title = title,
            Change::SetMetadata(metadata) => self.head.metadata = metadata,
            Change::SetCreatedAt(created_at) => self.head.created_at = created_at,
            Change::SetExtra(extra) => self.head.extra = extra,
            // The conversation counts its versions on.
            Change::SetVersion(_) => {}
            Change::Create { title, created_at, metadata, extra }
            | Change::Reset { title, created_at, metadata, extra } => {
                self.clear();
                let id = std::mem::take(&mut self.head.id);
                self.head = Conversation { title, metadata, extra, ..Conversation::new(&id, created_at) };
            }
        }
        None
    }

    /// Puts text behind that of a message, unless the message is the file's and has another text, or is not there.
    fn append_text(&mut self, message_id: Text, offset: u64, text: Text) -> Option<Change> {
        let messages = &mut self.messages;
        let at = messages.list.iter().rposition(|message| message.id == message_id);
        let found = at.and_then(|at| Some((at < messages.from_file, messages.list.get_mut(at)?)));
        let start = to_usize(offset);
        match found {
            // The file may have it already.
            Some((true, message))
                if message
                    .content
                    .as_wtf8()
                    .get(start..)
                    .is_some_and(|rest| rest.starts_with(text.as_wtf8())) =>
            {
                return None;
            }
            Some((_, message)) if message.content.len() == start => message.content.push(&text),
            Some(_) | None => {
                messages.apart.insert(message_id.clone());
                return Some(Change::AppendText { message_id, offset, text });
            }
        }
        None
    }

    fn clear(&mut self) {
        self.messages.clear();
        self.actions.clear();
    }
}
