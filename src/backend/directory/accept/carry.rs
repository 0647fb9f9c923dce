//! What the log has of a conversation, on top of a file that its owner accepts.
//!
//! Owns what each event does to what the file holds. Under an id that the file has, what the file says is what its
//! owner accepts; an event that adds something else under it is given back, to be kept apart.

use std::collections::HashSet;

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
    list: Vec<T>,
    /// The ids of those that the file has.
    of_file: HashSet<Text>,
}

impl<T: Item> Items<T> {
    fn of_file(list: Vec<T>) -> Self {
        let of_file = list.iter().map(|item| item.id().clone()).collect();
        Self { list, of_file }
    }

    /// Adds an item; gives it back if the file has another one under its id.
    fn add(&mut self, new: T) -> Option<T> {
        if self.of_file.contains(new.id()) {
            match self.list.iter().find(|item| item.id() == new.id()) {
                Some(found) if *found == new => return None,
                Some(_) => return Some(new),
                None => {}
            }
        }
        self.list.push(new);
        None
    }

    /// Puts an item in the place of the newest one with its id, or at the end.
    fn edit(&mut self, new: T) {
        match self.list.iter_mut().rev().find(|item| item.id() == new.id()) {
            Some(item) => *item = new,
            None => self.list.push(new),
        }
    }

    fn remove(&mut self, id: &Text) {
        if let Some(at) = self.list.iter().rposition(|item| item.id() == id) {
            self.list.remove(at);
        }
    }

    fn clear(&mut self) {
        self.list.clear();
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
            Change::EditMessage(new) => self.messages.edit(new),
            Change::EditAction(new) => self.actions.edit(new),
            Change::RemoveMessage(id) => self.messages.remove(&id),
            Change::RemoveAction(id) => self.actions.remove(&id),
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

    fn clear(&mut self) {
        self.messages.clear();
        self.actions.clear();
    }
}
