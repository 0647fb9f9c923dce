//! A list of messages, as a selection sees it.

use crate::error::Result;
use crate::model::{Message, MessageRef, Text};

/// A conversation's messages, as far as a selection needs to see them.
pub(crate) trait Listed {
    /// How many there are.
    fn count(&self) -> usize;

    /// The place of the last one with this id.
    fn find(&self, id: &Text) -> Result<Option<usize>>;

    /// Lends the one at a place.
    fn look(&self, at: usize, look: &mut dyn FnMut(MessageRef<'_>)) -> Result<()>;
}

impl Listed for Vec<Message> {
    fn count(&self) -> usize {
        self.len()
    }

    fn find(&self, id: &Text) -> Result<Option<usize>> {
        Ok(self.iter().rposition(|message| message.id == *id))
    }

    fn look(&self, at: usize, look: &mut dyn FnMut(MessageRef<'_>)) -> Result<()> {
        self.get(at).into_iter().for_each(|message| look(MessageRef::from(message)));
        Ok(())
    }
}
