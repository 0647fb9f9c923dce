//! The cursors of consumers, as objects.
//!
//! Owns `consumers/`: an object for each, replaced on the condition that it is as it was read, and the lease by which one process at a
//! time has it: until a time, which it moves on as long as it lives. A clock that is wrong makes two have it, and then only the newer one
//! moves it on.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::chain::Journal;
use super::cursor_object::{CursorObject, all, encode, name_of, read};
use super::events::Source;
use super::objects::{Found, Objects};
use super::tries::{self, Made};
use super::unread;
use crate::backend::cursors::{Cursors, HeldCursor, KeptConsumer};
use crate::backend::follow::Follower;
use crate::clock::{Clock, random_id};
use crate::codec::cursor::CursorFile;
use crate::codec::segment::{StoreId, hex_of};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ConsumerCursor, Seq};

/// For how long one that was killed counts as reading.
const LEASE: Duration = Duration::from_secs(30);

/// How often one that lives says so.
const RENEWED: Duration = Duration::from_secs(10);

/// The cursors of a store of objects.
#[derive(Debug)]
pub(super) struct ObjectCursors {
    pub(super) journal: Arc<Journal>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) is_read_only: bool,
}

impl Cursors for ObjectCursors {
    fn list(&self) -> Result<Vec<KeptConsumer>> {
        let now = self.clock.now_micros();
        let kept = |(name, said): (String, Result<CursorObject>)| {
            let holder = said.as_ref().ok().filter(|object| object.held_until > now);
            let holder = holder.map(|object| object.by.clone());
            KeptConsumer { name, cursor: said.map(|object| object.file.cursor), holder }
        };
        let objects = &*self.journal.objects;
        Ok(all(objects, &unread::names(objects)?)?.into_iter().map(kept).collect())
    }

    fn follow(&self, from: Seq) -> Result<Follower> {
        let mut source = Source::of_consumer(Arc::clone(&self.journal), from);
        Ok(Follower::new(move || source.next()))
    }

    fn first_kept(&self) -> Result<Seq> {
        self.journal.advance()?;
        // Order: the decisions behind the state. One that is newer than it keeps nothing that is older than the state's own.
        let unread = match unread::read(&*self.journal.objects) {
            Err(error) if error.kind() == ErrorKind::Corrupt => None,
            read => read?,
        };
        let covered = self.journal.state().checkpoint.head().covered_seq;
        Ok(unread.map_or(covered + 1, |unread| unread.begin().1))
    }

    fn hold(&self, name: &str) -> Result<Box<dyn HeldCursor>> {
        if self.is_read_only {
            let reason = "a consumer's cursor is kept beside the store, which was opened for reading; open it for writing";
            return Err(Error::new(ErrorKind::ReadOnly, reason).at(self.journal.objects.place(), None));
        }
        unread::begin(&*self.journal.objects, name, &|| self.newest())?;
        let held = HeldObject {
            objects: Arc::clone(&self.journal.objects),
            clock: Arc::clone(&self.clock),
            name: name.to_owned(),
            store_id: self.journal.state().store_id(),
            token: random_id(),
        };
        held.take()?;
        let renewal = held.clone().renewed_by_a_thread()?;
        Ok(Box::new(Held { held, _renewal: renewal }))
    }
}

impl ObjectCursors {
    /// The place behind what the newest checkpoint covers.
    fn newest(&self) -> Result<(u64, Seq)> {
        self.journal.reload()?;
        let state = self.journal.state();
        let head = state.checkpoint.head();
        Ok((head.first_segment, head.covered_seq + 1))
    }
}

/// A consumer that somebody has.
#[derive(Clone, Debug)]
struct HeldObject {
    objects: Arc<dyn Objects>,
    clock: Arc<dyn Clock>,
    name: String,
    store_id: StoreId,
    /// What this holder is known by.
    token: [u8; 16],
}

impl HeldObject {
    fn object_name(&self) -> String {
        name_of(&self.name)
    }

    fn find(&self) -> Result<Option<Found>> {
        tries::get(&*self.objects, &self.object_name())
    }

    fn said(&self, found: &Found) -> Result<CursorObject> {
        read(&*self.objects, &self.object_name(), found)
    }

    fn is_mine(&self, object: &CursorObject) -> bool {
        object.file.holder == hex_of(&self.token)
    }

    /// A cursor that is this holder's from now on.
    fn mine(&self, cursor: ConsumerCursor, before: Option<&CursorObject>) -> CursorObject {
        let lease = i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX);
        CursorObject {
            file: CursorFile::new(&self.store_id, &self.token, cursor),
            is_removed: false,
            turn: before.map_or(0, |before| before.turn + 1),
            held_until: self.clock.now_micros().saturating_add(lease),
            by: format!("process {}", std::process::id()),
        }
    }

    /// Refuses what somebody else has by now.
    fn must_be_free(&self, object: &CursorObject) -> Result<()> {
        let left = object.held_until.saturating_sub(self.clock.now_micros());
        if object.is_removed || self.is_mine(object) || left <= 0 {
            return Ok(());
        }
        let left = Duration::from_micros(u64::try_from(left).unwrap_or_default()).as_secs() + 1;
        let reason = format!(
            "consumer {:?} is read by {}, and by one at a time; one that was killed counts as reading for {left} s more",
            self.name, object.by
        );
        Err(Error::new(ErrorKind::Locked, reason).at(self.objects.place(), None))
    }

    /// Refuses what another process has begun or taken since. Who found no such consumer has taken none, and the other one may have
    /// acknowledged.
    fn must_be_mine(&self, object: &CursorObject) -> Result<()> {
        if object.is_removed || self.is_mine(object) {
            return Ok(());
        }
        let reason = format!(
            "consumer {:?} was begun or taken over by another process meanwhile; begin again to go on behind what it acknowledges",
            self.name
        );
        Err(Error::new(ErrorKind::Locked, reason).at(self.objects.place(), None))
    }

    fn replace(&self, object: &CursorObject, found: &Found) -> Result<bool> {
        tries::replace(&*self.objects, &self.object_name(), &encode(object), &found.version)
    }

    /// Takes the lease of a consumer, if there is one of that name.
    fn take(&self) -> Result<()> {
        loop {
            let Some(found) = self.find()? else { return Ok(()) };
            let object = match self.said(&found) {
                // Whoever puts it somewhere else makes it anew.
                Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(()),
                said => said?,
            };
            self.must_be_free(&object)?;
            if object.is_removed {
                return Ok(());
            }
            let mut mine = self.mine(object.file.cursor, Some(&object));
            // Which store it counts stays as it is.
            mine.file.store.clone_from(&object.file.store);
            if self.replace(&mine, &found)? {
                return Ok(());
            }
        }
    }

    /// Replaces what is this holder's; nothing if it is not any more.
    fn change(&self, change: impl Fn(&CursorObject) -> CursorObject) -> Result<Changed> {
        loop {
            let Some(found) = self.find()? else { return Ok(Changed::Gone) };
            let object = self.said(&found)?;
            if object.is_removed {
                return Ok(Changed::Gone);
            }
            if !self.is_mine(&object) {
                return Ok(Changed::Theirs(object.by));
            }
            if self.replace(&change(&object), &found)? {
                return Ok(Changed::Done);
            }
        }
    }

    /// Moves the lease on as long as what is returned lives.
    fn renewed_by_a_thread(self) -> Result<Sender<()>> {
        let (renewal, ended) = channel();
        let place = self.objects.place().to_owned();
        let renew = move || {
            while ended.recv_timeout(RENEWED) == Err(RecvTimeoutError::Timeout) {
                // Who cannot renew it may lose it, which shows when the cursor is moved.
                let renewed = self.change(|object| CursorObject {
                    file: object.file.clone(),
                    ..self.mine(object.file.cursor, Some(object))
                });
                drop(renewed);
            }
        };
        let started = std::thread::Builder::new().name("aral-store consumer".to_owned()).spawn(renew);
        started.map(|_| renewal).map_err(|error| Error::io("start a thread for", &place, error))
    }
}

/// What came of a change.
enum Changed {
    Done,
    Gone,
    Theirs(String),
}

/// A cursor whose lease is held.
#[derive(Debug)]
struct Held {
    held: HeldObject,
    /// Ends the renewing of the lease when it goes.
    _renewal: Sender<()>,
}

impl HeldCursor for Held {
    fn read(&mut self) -> Result<Option<ConsumerCursor>> {
        let Some(found) = self.held.find()? else { return Ok(None) };
        let object = self.held.said(&found)?;
        if object.is_removed {
            return Ok(None);
        }
        self.held.must_be_mine(&object)?;
        if object.file.store == hex_of(&self.held.store_id) {
            return Ok(Some(object.file.cursor));
        }
        let reason = "the consumer counts the events of another store, which this one has taken the place of; say where it is to go on \
                      with `aral-store consumers --reset NAME --from start|now|SEQ`";
        Err(Error::new(ErrorKind::Conflict, reason).at(self.held.objects.place(), None))
    }

    fn claim(&mut self, cursor: ConsumerCursor) -> Result<()> {
        let held = &self.held;
        let before = loop {
            let Some(found) = held.find()? else {
                let mine = encode(&held.mine(cursor, None));
                match tries::create(&*held.objects, &held.object_name(), &mine, &|there| there == mine)? {
                    Made::Mine => break None,
                    Made::Theirs(_) => continue,
                }
            };
            let before = held.said(&found).ok();
            if let Some(before) = &before {
                held.must_be_free(before)?;
                held.must_be_mine(before)?;
            }
            if held.replace(&held.mine(cursor, before.as_ref()), &found)? {
                break before;
            }
        };
        let was = before.filter(|before| !before.is_removed).map(|before| before.file.cursor.acknowledged);
        // Order: the cursor first. Who decides behind this sees it.
        if was.is_none_or(|was| cursor.acknowledged < was) { unread::touch(&*held.objects) } else { Ok(()) }
    }

    fn advance(&mut self, cursor: ConsumerCursor) -> Result<()> {
        let held = &self.held;
        match held.change(|before| held.mine(cursor, Some(before)))? {
            Changed::Done => Ok(()),
            Changed::Gone => Err(Error::new(ErrorKind::NotFound, "this consumer was removed meanwhile")),
            Changed::Theirs(by) => {
                let by = if by.is_empty() { "another process" } else { by.as_str() };
                let reason = format!(
                    "this consumer has been taken over by {by}, which is given again what was not acknowledged until then; nothing more \
                     can be acknowledged here"
                );
                Err(Error::new(ErrorKind::Locked, reason))
            }
        }
        .map_err(|error| error.at(held.objects.place(), None))
    }

    fn remove(&mut self) -> Result<()> {
        let held = &self.held;
        let removed = |before: &CursorObject| CursorObject {
            is_removed: true,
            held_until: 0,
            by: String::new(),
            ..held.mine(before.file.cursor, Some(before))
        };
        // One that nobody can read goes, too.
        if let Some(found) = held.find()?
            && held.said(&found).is_err_and(|error| error.kind() == ErrorKind::Corrupt)
            && held.replace(&removed(&held.mine(ConsumerCursor::new(0, None), None)), &found)?
        {
            return Ok(());
        }
        match held.change(removed)? {
            Changed::Done => Ok(()),
            Changed::Gone | Changed::Theirs(_) => {
                Err(Error::new(ErrorKind::NotFound, "there is no such consumer")
                    .at(held.objects.place(), None))
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The next one need not wait until the lease ends by itself.
        let released = self.held.change(|before| CursorObject {
            file: CursorFile { holder: hex_of(&[0; 16]), ..before.file.clone() },
            turn: before.turn + 1,
            held_until: 0,
            by: String::new(),
            is_removed: false,
        });
        drop(released);
    }
}
