//! Finding the replies that nobody has finished.
//!
//! Owns the going over every message, which is what a backend does that has nothing better: that a reply is open is said in the message's
//! metadata alone.

use super::Backend;
use crate::error::{ErrorKind, Result};
use crate::model::{MessageRef, Messages, OpenReply, Order};

/// The replies that are begun and not finished, of a conversation or of all of them, in the order of the conversations and of their messages.
pub(super) fn scan(backend: &(impl Backend + ?Sized), id: Option<&str>) -> Result<Vec<OpenReply>> {
    if let Some(id) = id {
        return of_conversation(backend, id);
    }
    let mut found = Vec::new();
    for summary in backend.conversations(Order::Created, None)? {
        found.extend(of_conversation(backend, &summary.id)?);
    }
    Ok(found)
}

fn of_conversation(backend: &(impl Backend + ?Sized), id: &str) -> Result<Vec<OpenReply>> {
    let mut found = Vec::new();
    let lent = backend.for_each_message(id, &Messages::all(), &mut |message| {
        found.extend(message.is_partial().then(|| OpenReply::of(id, message)));
    });
    match lent {
        Ok(()) => Ok(found),
        // It is not there, or was removed since it was listed.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        // The rest was no longer there as it was. All at once, the messages are of one state.
        Err(error) if error.kind() == ErrorKind::Conflict => {
            let messages = backend.messages(id, &Messages::all())?;
            let open = messages.iter().filter(|message| message.is_partial());
            Ok(open.map(|message| OpenReply::of(id, MessageRef::from(message))).collect())
        }
        Err(error) => Err(error),
    }
}
