//! Which conversations a reader wants listed.
//!
//! Owns the selection as a value, and what makes a place in a list that others may be changing.

use super::{Order, Seq, Summary, Timestamp};

/// A part of the list of conversations: in which order, behind which one, and how many.
///
/// Pages stay what they are while others append. In the order of creation a conversation that begins meanwhile comes on the last page. In the order of
/// activity one that changes meanwhile moves to the front: it is not listed a second time, and if it had not been
/// listed yet, it is found on the first page of the next listing.
///
/// ```
/// use aral_store::{Conversations, MessageStore, Order};
/// let store = MessageStore::in_memory();
/// for id in ["a", "b", "c"] {
///     store.add_message(id, "Hi!")?;
/// }
/// let page = store.conversations(Conversations::by(Order::Activity).first(2))?;
/// assert_eq!((&*page[0].id, &*page[1].id), ("c", "b"));
/// store.add_message("b", "Are you still there?")?;
/// let next = store.conversations(Conversations::by(Order::Activity).first(2).after(&page[1]))?;
/// assert_eq!((next.len(), &*next[0].id), (1, "a"));
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Conversations {
    /// The order.
    pub order: Order,
    /// Behind which conversation the part begins; with the first if absent.
    pub after: Option<ListCursor>,
    /// The most conversations to list; all if absent.
    pub limit: Option<usize>,
}

/// A place in a list of conversations: behind one of them.
///
/// Made from a [`Summary`], it is the place at which that was listed, also in the order of activity and when the
/// conversation has moved since. Made from an id, it is the place that the conversation has now.
///
/// ```
/// use aral_store::{Conversations, ErrorKind, MessageStore, Order};
/// let store = MessageStore::in_memory();
/// store.add_message("a", "1")?;
/// store.add_message("b", "2")?;
/// assert_eq!(store.conversations(Conversations::by(Order::Created).after("a"))?[0].id, "b");
/// let nowhere = store.conversations(Conversations::by(Order::Created).after("x"));
/// assert_eq!(nowhere.unwrap_err().kind(), ErrorKind::NotFound);
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListCursor {
    pub(crate) id: String,
    /// The key by which the order of activity sorted it when it was seen.
    pub(crate) seen: Option<(Seq, i64)>,
}

impl Conversations {
    /// All conversations in an order.
    #[must_use]
    pub fn by(order: Order) -> Self {
        Self { order, ..Self::default() }
    }

    /// Only so many.
    #[must_use]
    pub fn first(mut self, count: usize) -> Self {
        self.limit = Some(count);
        self
    }

    /// Only those behind a conversation.
    #[must_use]
    pub fn after(mut self, place: impl Into<ListCursor>) -> Self {
        self.after = Some(place.into());
        self
    }
}

impl From<Order> for Conversations {
    fn from(order: Order) -> Self {
        Self::by(order)
    }
}

impl ListCursor {
    /// The place of a conversation that was listed with this newest event and this last activity: what
    /// [`Summary`] says of it.
    #[must_use]
    pub fn seen(id: impl Into<String>, last_seq: Seq, last_activity: Timestamp) -> Self {
        Self { id: id.into(), seen: Some((last_seq, last_activity.approximate_unix_micros())) }
    }
}

impl From<&Summary> for ListCursor {
    fn from(summary: &Summary) -> Self {
        Self::seen(&summary.id, summary.last_seq, summary.last_activity)
    }
}

impl From<&str> for ListCursor {
    fn from(id: &str) -> Self {
        Self { id: id.to_owned(), seen: None }
    }
}

impl From<&String> for ListCursor {
    fn from(id: &String) -> Self {
        Self::from(id.as_str())
    }
}
