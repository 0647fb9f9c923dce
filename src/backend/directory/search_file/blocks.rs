//! Which messages of the index are of which time, in blocks of their numbers.
//!
//! Owns the table of blocks. Messages have their numbers in the order in which they were taken in, which is mostly that of their times, and
//! need not be. A block says between which times those of its numbers are, so that a search for the newest can tell without looking at them
//! that all the others are older; and how long their texts are.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use rusqlite::{OptionalExtension, params};

use super::{About, SearchFile};
use crate::codec::bytes::to_usize;
use crate::error::{Error, Result};

pub(super) const TABLE: &str = "
    CREATE TABLE block (number INTEGER PRIMARY KEY, oldest INTEGER NOT NULL, newest INTEGER NOT NULL, lengths BLOB NOT NULL);";

/// A block of numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::backend::directory) struct Block {
    number: i64,
    /// No message of it is older, or newer. One that was taken out may have been.
    pub(in crate::backend::directory) oldest: i64,
    pub(in crate::backend::directory) newest: i64,
}

/// All blocks.
#[derive(Debug)]
pub(in crate::backend::directory) struct Blocks {
    size: i64,
    /// In order.
    blocks: Vec<Block>,
    /// Of each block the lengths of its texts, once somebody asks.
    lengths: OnceLock<Vec<Vec<u8>>>,
}

impl Blocks {
    /// The block that a message is in.
    pub(in crate::backend::directory) fn of(&self, message: i64) -> Block {
        let number = message.div_euclid(self.size);
        let found = self.place(number).ok().and_then(|at| self.blocks.get(at)).copied();
        found.unwrap_or(Block { number, oldest: i64::MIN, newest: i64::MAX })
    }

    /// The highest number of a message that is in a block before this one of which this holds, and how many blocks lie between.
    pub(in crate::backend::directory) fn before(
        &self,
        block: Block,
        holds: impl Fn(&Block) -> bool,
    ) -> Option<(i64, i64)> {
        let (Ok(at) | Err(at)) = self.place(block.number);
        let found = self.blocks.get(..at)?.iter().rev().find(|block| holds(block))?;
        Some((found.number * self.size + (self.size - 1), block.number - found.number - 1))
    }

    /// The byte for how long a message's text is.
    pub(in crate::backend::directory) fn length(&self, message: i64) -> u8 {
        let lengths = || {
            let at = self.place(message.div_euclid(self.size)).ok()?;
            let within = usize::try_from(message.rem_euclid(self.size)).ok()?;
            self.lengths.get()?.get(at)?.get(within).copied()
        };
        lengths().unwrap_or_default()
    }

    fn place(&self, number: i64) -> std::result::Result<usize, usize> {
        self.blocks.binary_search_by_key(&number, |block| block.number)
    }
}

/// What is to be said of the blocks of messages that are taken in.
#[derive(Debug, Default)]
pub(super) struct Additions(BTreeMap<i64, (Block, Vec<(usize, u8)>)>);

impl Additions {
    pub(super) fn add(&mut self, size: i64, (message, micros, length): (i64, i64, u8)) {
        let number = message.div_euclid(size);
        let new = Block { number, oldest: micros, newest: micros };
        let (block, lengths) = self.0.entry(number).or_insert((new, Vec::new()));
        (block.oldest, block.newest) = (block.oldest.min(micros), block.newest.max(micros));
        lengths.extend(usize::try_from(message.rem_euclid(size)).ok().map(|at| (at, length)));
    }
}

impl SearchFile {
    /// The blocks, of the state that is being read.
    pub(in crate::backend::directory) fn blocks(&self, about: &About) -> Result<Arc<Blocks>> {
        // It changes with whatever others write.
        let version = self.first("PRAGMA data_version", |row| row.get::<_, i64>(0))?.unwrap_or_default();
        if let Some((_, blocks)) = self.blocks.borrow().as_ref().filter(|(of, _)| *of == version) {
            return Ok(Arc::clone(blocks));
        }
        let sql = "SELECT number, oldest, newest FROM block ORDER BY number";
        let mut statement = self.done(self.connection.prepare_cached(sql))?;
        let rows = statement
            .query_map((), |row| Ok(Block { number: row.get(0)?, oldest: row.get(1)?, newest: row.get(2)? }));
        let blocks = self.done(rows.and_then(Iterator::collect))?;
        let blocks = Arc::new(Blocks { size: about.block, blocks, lengths: OnceLock::new() });
        *self.blocks.borrow_mut() = Some((version, Arc::clone(&blocks)));
        Ok(blocks)
    }

    /// Has the blocks know how long the texts are.
    pub(in crate::backend::directory) fn read_lengths(&self, blocks: &Blocks) -> Result<()> {
        if blocks.lengths.get().is_some() {
            return Ok(());
        }
        let mut statement =
            self.done(self.connection.prepare_cached("SELECT lengths FROM block ORDER BY number"))?;
        let rows = statement.query_map((), |row| row.get::<_, Vec<u8>>(0));
        let lengths: Vec<Vec<u8>> = self.done(rows.and_then(Iterator::collect))?;
        // They are of the same state, or there would be others.
        if lengths.len() == blocks.blocks.len() {
            blocks.lengths.get_or_init(|| lengths);
        }
        Ok(())
    }

    /// Writes down what is to be said of messages that have been taken in.
    pub(super) fn note(&self, size: i64, additions: Additions) -> Result<()> {
        let get = "SELECT oldest, newest, lengths FROM block WHERE number = ?1";
        let put = "INSERT OR REPLACE INTO block (number, oldest, newest, lengths) VALUES (?1, ?2, ?3, ?4)";
        for (number, (block, added)) in additions.0 {
            let known = self.connection.prepare_cached(get).and_then(|mut asked| {
                let take = |row: &rusqlite::Row<'_>| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?))
                };
                asked.query_row([number], take).optional()
            });
            let (oldest, newest, mut lengths) =
                self.done(known)?.unwrap_or((block.oldest, block.newest, Vec::new()));
            lengths.resize(to_usize(u64::try_from(size).unwrap_or_default()), 0);
            for (at, length) in added {
                if let Some(place) = lengths.get_mut(at) {
                    *place = length;
                }
            }
            let values = params![number, oldest.min(block.oldest), newest.max(block.newest), lengths];
            self.done(self.connection.prepare_cached(put).and_then(|mut put| put.execute(values)))?;
        }
        Ok(())
    }

    /// Takes out the blocks of which no message is left.
    pub(super) fn forget_empty(&self, about: &About) -> Result<()> {
        let sql = "DELETE FROM block WHERE NOT EXISTS (SELECT 1 FROM message \
                   WHERE message.number BETWEEN block.number * ?1 AND block.number * ?1 + (?1 - 1))";
        self.done(self.connection.execute(sql, [about.block])).map(drop)
    }

    /// Finds a message of another time than its block says, which a search could miss.
    pub(super) fn check_blocks(&self, about: &About) -> Result<()> {
        let sql = "SELECT COUNT(*) FROM message LEFT JOIN block ON block.number = message.number / ?1 \
                   WHERE block.number IS NULL OR micros NOT BETWEEN oldest AND newest";
        let wrong: i64 = self.done(self.connection.query_row(sql, [about.block], |row| row.get(0)))?;
        if wrong == 0 {
            return Ok(());
        }
        Err(Error::corrupt(&self.path, 0, "messages are of other times than their blocks say"))
    }
}
