//! Edits: what to change of a message or an action.
//!
//! Owns which fields can be changed in place, and the change itself. An id is not among them: it is how the rest
//! of the world means the message.

use super::{Action, JsonObject, Message, Text, Timestamp};

/// What to change of a message; what is absent stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Edit {
    /// The new text.
    pub content: Option<Text>,
    /// The new metadata, in place of the old.
    pub metadata: Option<JsonObject>,
    /// Who says it.
    pub role: Option<Text>,
    /// Its time.
    pub created_at: Option<Timestamp>,
    /// The new fields without a name in the original's model, in place of the old.
    pub extra: Option<JsonObject>,
}

/// What to change of an action; what is absent stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ActionEdit {
    /// What kind of action.
    pub action_type: Option<Text>,
    /// The new data, in place of the old.
    pub data: Option<JsonObject>,
    /// The new metadata, in place of the old.
    pub metadata: Option<JsonObject>,
    /// Its time.
    pub created_at: Option<Timestamp>,
    /// The new fields without a name in the original's model, in place of the old.
    pub extra: Option<JsonObject>,
}

impl Edit {
    /// An edit that changes nothing yet.
    ///
    /// ```
    /// use aral_store::{Edit, MessageStore};
    /// let store = MessageStore::in_memory();
    /// let message = store.add_message("c1", "42")?;
    /// store.edit_message("c1", message.id, Edit::new().role("tool"))?;
    /// assert_eq!(store.conversation("c1")?.expect("it is there").messages[0].role, "tool");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the text.
    #[must_use]
    pub fn content(content: impl Into<Text>) -> Self {
        Self { content: Some(content.into()), ..Self::default() }
    }

    /// Replaces the metadata too.
    #[must_use]
    pub fn metadata(mut self, metadata: JsonObject) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Replaces the role too.
    #[must_use]
    pub fn role(mut self, role: impl Into<Text>) -> Self {
        self.role = Some(role.into());
        self
    }

    /// Replaces the time too.
    #[must_use]
    pub fn created_at(mut self, time: Timestamp) -> Self {
        self.created_at = Some(time);
        self
    }

    /// Replaces the fields without a name in the original's model too.
    #[must_use]
    pub fn extra(mut self, extra: JsonObject) -> Self {
        self.extra = Some(extra);
        self
    }

    /// Makes the changes.
    pub(crate) fn apply(&self, message: &mut Message) {
        replace(&mut message.content, self.content.as_ref());
        replace(&mut message.metadata, self.metadata.as_ref());
        replace(&mut message.role, self.role.as_ref());
        replace(&mut message.created_at, self.created_at.as_ref());
        replace(&mut message.extra, self.extra.as_ref());
    }
}

impl ActionEdit {
    /// An edit that changes nothing yet.
    ///
    /// ```
    /// use aral_store::{ActionEdit, JsonObject, MessageStore, NewAction};
    /// let store = MessageStore::in_memory();
    /// let action = store.add_action("c1", NewAction::new("call", JsonObject::EMPTY))?;
    /// store.edit_action("c1", action.id, ActionEdit::new().action_type("tool_call"))?;
    /// assert_eq!(store.actions("c1")?[0].action_type, "tool_call");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the data.
    #[must_use]
    pub fn data(data: JsonObject) -> Self {
        Self { data: Some(data), ..Self::default() }
    }

    /// Replaces the type too.
    #[must_use]
    pub fn action_type(mut self, action_type: impl Into<Text>) -> Self {
        self.action_type = Some(action_type.into());
        self
    }

    /// Replaces the metadata too.
    #[must_use]
    pub fn metadata(mut self, metadata: JsonObject) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Replaces the time too.
    #[must_use]
    pub fn created_at(mut self, time: Timestamp) -> Self {
        self.created_at = Some(time);
        self
    }

    /// Replaces the fields without a name in the original's model too.
    #[must_use]
    pub fn extra(mut self, extra: JsonObject) -> Self {
        self.extra = Some(extra);
        self
    }

    /// Makes the changes.
    pub(crate) fn apply(&self, action: &mut Action) {
        replace(&mut action.action_type, self.action_type.as_ref());
        replace(&mut action.data, self.data.as_ref());
        replace(&mut action.metadata, self.metadata.as_ref());
        replace(&mut action.created_at, self.created_at.as_ref());
        replace(&mut action.extra, self.extra.as_ref());
    }
}

fn replace<T: Clone>(old: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        old.clone_from(new);
    }
}
