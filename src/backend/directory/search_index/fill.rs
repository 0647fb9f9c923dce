//! Making the index, and bringing it up to date.
//!
//! Owns what is taken in and in which order. Whoever is stopped leaves what is there, and the next one goes on: each conversation in it says
//! after which event it was so. It needs no lock of the store's, for it reads what everybody may read.

use std::path::Path;

use super::standing::{begins_with, conversations};
use crate::backend::directory::erase;
use crate::backend::directory::held::count;
use crate::backend::directory::messages::Lending;
use crate::backend::directory::reads::ReadState;
use crate::backend::directory::search_file::{About, Gathered, Known, SearchFile};
use crate::backend::directory::steady::steady;
use crate::backend::directory::{encrypted, open, root::existing_dir};
use crate::backend::settings::Settings;
use crate::backend::sqlite::hold;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Messages, SearchIndex, Seq};
use crate::snapshot::layout::{self, Layout};
use crate::vfs::{OpenMode, Vfs};

/// About how many bytes of text one transaction takes in.
const BYTES: usize = 16 << 20;

/// How often the store is opened again because a compaction has moved what is read.
const ATTEMPTS: usize = 10;

/// The index of the store in a directory; `None` if there is none that this software can use.
pub(crate) fn search_index(dir: &Path, settings: &Settings) -> Result<Option<SearchIndex>> {
    let layout = Layout::new(&existing_dir(&*settings.vfs, dir)?);
    let Some(file) = SearchFile::open_to_read(&*settings.vfs, &layout) else { return Ok(None) };
    let Some(about) = file.begin_reading()?.filter(|about| about.is_whole) else { return Ok(None) };
    told(&*settings.vfs, &layout, &about).map(Some)
}

/// Removes it. Whether there was one.
pub(crate) fn drop_search_index(dir: &Path, settings: &Settings) -> Result<bool> {
    let (vfs, layout) = (&*settings.vfs, Layout::new(&existing_dir(&*settings.vfs, dir)?));
    let is_there = layout::probe(vfs, &layout.search_index())?.is_some();
    let _held = hold(vfs, &layout.search_index())?;
    layout::remove_file(vfs, &layout.search_index())?;
    layout::remove_file(vfs, &layout.search_journal())?;
    Ok(is_there)
}

/// Brings the index of the store in a directory up to its newest event, making one if there is none.
pub(crate) fn make_search_index(dir: &Path, settings: Settings) -> Result<SearchIndex> {
    let layout = Layout::new(&existing_dir(&*settings.vfs, dir)?);
    if encrypted::is_locked(&settings, &layout)?
        || encrypted::for_reading(settings.clone(), &layout)?.vfs.sealing().is_some()
    {
        let reason = "an encrypted store has no index for searching, in which the words of its messages would stand as they are; \
                      a search reads every message";
        return Err(Error::new(ErrorKind::Unsupported, reason).at(layout.root(), None));
    }
    if layout::probe(&*settings.vfs, &layout.log())?.is_none() {
        let reason = "there is no log in this directory, and so nothing that an index could be beside";
        return Err(Error::new(ErrorKind::NotFound, reason).at(layout.root(), None));
    }
    let mut attempts = 0..ATTEMPTS;
    loop {
        match Filling::begin(&settings, &layout).and_then(Filling::fill) {
            Err(error) if error.kind() == ErrorKind::Corrupt && attempts.next().is_some() => {
                // Of the index, nothing is worth keeping.
                if error.place().is_some_and(|place| place.path == layout.search_index()) {
                    drop_search_index(dir, &settings)?;
                }
            }
            filled => return filled,
        }
    }
}

/// What is to be said of it to whoever verifies a store with this newest event; nothing if there is none, or all is well.
pub(in crate::backend::directory) fn note(vfs: &dyn Vfs, layout: &Layout, last_seq: Seq) -> Option<String> {
    let file = SearchFile::open_to_read(vfs, layout)?;
    let about = file.begin_reading().and_then(|about| file.check(about.as_ref()).map(|()| about));
    let what = match about {
        Err(error) if error.kind() == ErrorKind::Locked => return None,
        Err(error) => format!("is damaged, and is not used where that shows: {}", error.message()),
        Ok(None) => "was made by other software, and is not used".to_owned(),
        Ok(Some(about)) if !about.is_whole => "was begun and not finished, and is not used".to_owned(),
        Ok(Some(about)) => match last_seq.saturating_sub(about.indexed_seq) {
            0 => return None,
            behind => format!("is {} behind, and searches read the rest themselves", count(behind)),
        },
    };
    Some(format!("the index for searching {what}; `aral-store index` makes it anew or brings it up to date"))
}

fn told(vfs: &dyn Vfs, layout: &Layout, about: &About) -> Result<SearchIndex> {
    let bytes = layout::probe(vfs, &layout.search_index())?.map_or(0, |found| found.len);
    Ok(SearchIndex { last_seq: about.indexed_seq, bytes })
}

/// A store that is read, and the index that it goes into.
struct Filling<'f> {
    vfs: &'f dyn Vfs,
    layout: &'f Layout,
    reads: ReadState,
    file: SearchFile,
    /// The file's number, by which another one in its place shows.
    inode: u64,
    about: About,
    /// What the transaction has still to take in.
    gathered: Gathered,
}

impl<'f> Filling<'f> {
    fn begin(settings: &'f Settings, layout: &'f Layout) -> Result<Self> {
        let vfs = &*settings.vfs;
        let erasures = || erase::receipts(vfs, layout).map(|receipts| receipts.len());
        let before = erasures()?;
        let opened = steady(|| open::for_reading(vfs, layout))?;
        if !opened.report.damaged.is_empty() {
            let reason = "a damaged store gets no index for searching; see verify";
            return Err(Error::new(ErrorKind::InvalidInput, reason).at(layout.root(), None));
        }
        let reads = ReadState::new(std::sync::Arc::clone(&settings.vfs), layout.clone(), opened);
        // Order: what is read is durable before the index says that it is in it. Reversed, a power cut could take events away, and others get
        // their numbers.
        for segment in reads.segments().iter() {
            let synced = vfs.open(&segment.path, OpenMode::Read).and_then(|file| file.sync());
            synced.map_err(|error| Error::io("sync", &segment.path, error))?;
        }
        layout::sync_dir(vfs, &layout.log())?;
        let file = SearchFile::open_to_write(vfs, layout)?;
        let inode = layout::probe(vfs, &layout.search_index())?.map_or(0, |found| found.file_number);
        // Order: this behind the making of the file. What an erasure takes that begins later, it takes out of the file, too.
        if erasures()? != before {
            let reason = "something has been erased meanwhile; try again";
            return Err(Error::new(ErrorKind::Conflict, reason).at(layout.root(), None));
        }
        let store = reads.index().checkpoint().head().store_id;
        let about = About::new(store);
        Ok(Self { vfs, layout, reads, file, inode, about, gathered: Gathered::default() })
    }

    /// Makes sure that nobody is erasing anything, and that the file is still in its place.
    fn check(&self) -> Result<()> {
        let found = layout::probe(self.vfs, &self.layout.search_index())?;
        if found.is_some_and(|found| found.file_number == self.inode)
            && !erase::is_under_way(self.vfs, self.layout)?
        {
            return Ok(());
        }
        let reason =
            "the index for searching has been removed meanwhile, or something is being erased; try again";
        Err(Error::new(ErrorKind::Conflict, reason).at(&self.layout.search_index(), None))
    }

    fn fill(mut self) -> Result<SearchIndex> {
        self.check()?;
        match self.file.about()? {
            Ok(about) if about.is_same_store(&self.about) => self.about = about,
            Err(true) => {
                let reason =
                    "newer software has made this index for searching; remove it to have it made anew";
                return Err(
                    Error::new(ErrorKind::UnsupportedFormat, reason).at(&self.layout.search_index(), None)
                );
            }
            Ok(_) | Err(false) => self.file.begin_anew(&self.about)?,
        }
        let last_seq = self.reads.index().next_seq() - 1;
        if last_seq < self.about.reached_seq || self.about.is_whole && last_seq == self.about.indexed_seq {
            return told(self.vfs, self.layout, &self.about);
        }
        let Some(now) = conversations(&self.reads) else {
            let reason = "a damaged store gets no index for searching; see verify";
            return Err(Error::new(ErrorKind::InvalidInput, reason).at(self.layout.root(), None));
        };
        self.about.reached_seq = last_seq;
        self.file.begin_writing(&mut self.about)?;
        let mut known = self.file.known()?;
        for (id, last_seq) in &now {
            let known = known.remove(id);
            // One that has no event may be exchanged without one; so it is looked at by every search.
            if *last_seq == 0 {
                known.map_or(Ok(()), |known| self.file.remove(known.number))?;
                continue;
            }
            match known {
                Some(known) if known.last_seq == *last_seq => {}
                Some(known) if begins_with(&self.reads, id, &known) => self.take(id, known, *last_seq)?,
                known => {
                    known.map_or(Ok(()), |known| self.file.remove(known.number))?;
                    let number = self.file.add(id)?;
                    self.take(id, Known { number, last_seq: 0, messages: 0, fold: 0 }, *last_seq)?;
                }
            }
        }
        for known in known.into_values() {
            self.file.remove(known.number)?;
        }
        self.file.add_messages(&self.about, &mut self.gathered)?;
        self.check()?;
        self.file.finish(&mut self.about)?;
        told(self.vfs, self.layout, &self.about)
    }

    /// Takes in what a conversation has by now, behind what is known of it.
    fn take(&mut self, id: &str, known: Known, last_seq: Seq) -> Result<()> {
        let Self { reads, file, about, gathered, .. } = self;
        let (number, mut place, mut added) = (known.number, known.messages, Ok(()));
        let (mut lending, mut bytes) = (Lending::default(), 0);
        reads.lend_messages(id, &Messages::all().from_place(place), &mut lending, &mut |message| {
            let micros = message.created_at.approximate_unix_micros();
            match message.content.as_str() {
                Some(text) => gathered.add((number, place), micros, text),
                None => gathered.add((number, place), micros, &message.content.to_text().to_string_lossy()),
            }
            // However long a conversation is.
            if gathered.bytes >= BYTES && added.is_ok() {
                bytes += gathered.bytes;
                added = file.add_messages(about, gathered);
            }
            place += 1;
        })?;
        added?;
        let fold = reads.fold(id, place)?.unwrap_or_default();
        file.complete(&Known { number, last_seq, messages: place, fold })?;
        if bytes + gathered.bytes >= BYTES {
            self.end_transaction()?;
            self.file.begin_writing(&mut self.about)?;
        }
        Ok(())
    }

    fn end_transaction(&mut self) -> Result<()> {
        self.file.add_messages(&self.about, &mut self.gathered)?;
        self.check()?;
        self.file.commit()
    }
}
