//! The store as the pages read it.
//!
//! Owns when what others have written is taken in: before a page is made, and not while one is.

use std::ops::Deref;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use aral_store::{Error, ErrorKind, MessageStore, Seq};

use crate::exit::Failure;

pub(super) struct Reader {
    store: MessageStore,
    moment: RwLock<()>,
}

impl Reader {
    pub(super) fn of(store: MessageStore) -> Self {
        Self { store, moment: RwLock::new(()) }
    }

    /// Takes in what has come, once no page is being made that has to be of one moment, and gives the newest event.
    pub(super) fn refresh(&self) -> Result<Seq, Error> {
        let _moment = self.moment.write().unwrap_or_else(PoisonError::into_inner);
        self.store.refresh()
    }

    /// As long as this is held a directory stays as it is. What is in a database goes on all the same.
    pub(super) fn still(&self) -> RwLockReadGuard<'_, ()> {
        self.moment.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Reader {
    type Target = MessageStore;

    fn deref(&self) -> &MessageStore {
        &self.store
    }
}

/// What is said of a conversation that is not there.
pub(super) fn no_conversation() -> Failure {
    Error::new(ErrorKind::NotFound, "there is no such conversation").into()
}
