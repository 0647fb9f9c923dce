//! A file of JSON lines for each conversation: what most agents do today.
//!
//! Owns the adapter: open, write one line, sync, close. A new file's name is not synced, as nobody does.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::peer::{Answer, Peer, Syncs, held};
use crate::wire::Owned;
use crate::workload::{Digest, Row, Talk};

#[derive(Serialize, Deserialize)]
struct Line<T> {
    id: T,
    role: T,
    content: T,
    created_at: i64,
    metadata: serde_json::Map<String, serde_json::Value>,
}

/// A message as a line of JSON, without the end of the line.
pub(super) fn line(row: &Row) -> Outcome<Vec<u8>> {
    let line = Line {
        id: row.id.as_str(),
        role: row.role,
        content: row.content.as_str(),
        created_at: row.created_at,
        metadata: serde_json::Map::new(),
    };
    Ok(serde_json::to_vec(&line)?)
}

pub(super) fn read(line: &str) -> Outcome<Owned> {
    let line: Line<String> = serde_json::from_str(line)?;
    let metadata = serde_json::to_string(&line.metadata)?;
    Ok(Owned { id: line.id, role: line.role, content: line.content, created_at: line.created_at, metadata })
}

#[derive(Debug)]
pub(crate) struct Jsonl {
    dir: PathBuf,
    syncs: bool,
}

impl Jsonl {
    pub(crate) fn open(dir: &Path, syncs: Syncs) -> Outcome<Self> {
        let dir = dir.join("jsonl");
        fs::create_dir_all(&dir)?;
        Ok(Self { dir, syncs: syncs == Syncs::Each })
    }

    fn path(&self, talk: &Talk) -> PathBuf {
        self.dir.join(&talk.id)
    }

    fn each(&self, each: &mut dyn FnMut(&Owned)) -> Outcome<u64> {
        let mut count = 0;
        for entry in fs::read_dir(&self.dir)? {
            for line in BufReader::new(File::open(entry?.path())?).lines() {
                each(&read(&line?)?);
                count += 1;
            }
        }
        Ok(count)
    }
}

impl Peer for Jsonl {
    fn append(&self, row: &Row) -> Outcome<()> {
        self.append_batch(std::slice::from_ref(row))
    }

    fn append_batch(&self, rows: &[Row]) -> Outcome<()> {
        for of_talk in rows.chunk_by(|a, b| a.talk.number == b.talk.number) {
            let mut text = Vec::new();
            for row in of_talk {
                text.append(&mut line(row)?);
                text.push(b'\n');
            }
            let Some(first) = of_talk.first() else { continue };
            let mut file = OpenOptions::new().append(true).create(true).open(self.path(&first.talk))?;
            file.write_all(&text)?;
            if self.syncs {
                file.sync_data()?;
            }
        }
        Ok(())
    }

    fn digest(&self) -> Outcome<Digest> {
        let mut digest = Digest::default();
        self.each(&mut |message| digest.add(&message.id, &message.content))?;
        Ok(digest)
    }

    fn conversation(&self, talk: &Talk) -> Answer {
        let text = fs::read_to_string(self.path(talk))?;
        held(text.lines().map(read).collect::<Outcome<Vec<_>>>()?)
    }

    /// Reads from the end, in steps that double until there are lines enough.
    fn last(&self, talk: &Talk, count: usize) -> Answer {
        let mut file = File::open(self.path(talk))?;
        let length = file.metadata()?.len();
        let mut take = 4096.min(length);
        loop {
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(length - take))?;
            file.read_to_end(&mut bytes)?;
            let lines: Vec<&[u8]> =
                bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
            // The first line of a piece may be the end of one.
            if lines.len() > count || take == length {
                let from = lines.len().saturating_sub(count);
                let last = lines.iter().skip(from);
                return held(last.map(|line| read(std::str::from_utf8(line)?)).collect::<Outcome<Vec<_>>>()?);
            }
            take = (take * 2).min(length);
        }
    }

    fn scan(&self, each: &mut dyn FnMut(&str)) -> Outcome<Option<u64>> {
        Ok(Some(self.each(&mut |message| each(&message.content))?))
    }
}
