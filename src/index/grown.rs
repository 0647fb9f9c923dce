//! A message that text has been put behind since it was written as a whole.
//!
//! Owns where the pieces lie. The message itself stays where it is; it is known by its place there, so that nothing that
//! happens to other messages of the conversation touches this.

use super::position::{Entry, Position};

/// A message and the pieces behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Grown {
    /// Where the message was written as a whole.
    pub(crate) base: Position,
    /// Its id, once an event has said it since the conversation's file was read.
    pub(crate) id: Option<Box<[u8]>>,
    /// How many bytes its text has with all of them.
    pub(crate) length: u64,
    /// Where the events lie that put them there, in order.
    pub(crate) pieces: Vec<Entry>,
}
