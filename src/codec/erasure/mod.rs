//! Receipts of erasures: what was erased, and how to prove that nothing of it is left.
//!
//! Owns the JSON of a receipt, specified in docs/format.md, section "Erasures", and of the intent that makes an erasure go on after a
//! crash. Neither has a text in it; the intent has the ids. Knows no files.

mod sha256;

mod texts;

mod traces;

use std::path::PathBuf;

use serde_json::{Map, Value, json};

pub(crate) use texts::{OWN_WORDS, of_conversation, of_event, ranges};
pub(crate) use traces::{Salt, Trace, Traces, digest};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{ErasureReport, KeptReceipt, Seq, Text};

/// The longest receipt that is read.
pub(crate) const MAX_RECEIPT: u64 = 256 << 20;

const KIND: &str = "aral_store_erasure";

/// What was erased, without naming it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Record {
    /// The store's identity.
    pub(crate) store: String,
    /// When it was done.
    pub(crate) time: String,
    pub(crate) salt: Salt,
    /// The digest of the conversation's id.
    pub(crate) conversation: String,
    /// That of the message's.
    pub(crate) message: Option<String>,
    pub(crate) messages: u64,
    pub(crate) actions: u64,
    /// The events that were about it, as far as the log and the history had them.
    pub(crate) events: Vec<(Seq, Seq)>,
    /// The newest event that is erased with it.
    pub(crate) through: Seq,
    /// Files that were rewritten or removed.
    pub(crate) files: Vec<String>,
    /// Places that hold something of it and are not the store's own.
    pub(crate) not_erased: Vec<String>,
    /// How many texts were too short to be told from others.
    pub(crate) untold: u64,
    pub(crate) traces: Traces,
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
        text.extend([digit(byte >> 4), digit(byte & 15)]);
    }
    text
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// The salted digest of an id.
pub(crate) fn hashed(salt: &Salt, id: &[u8]) -> String {
    hex(&digest(salt, id))
}

impl Record {
    /// What is told of an erasure that is done, but for the places.
    pub(crate) fn report(&self) -> ErasureReport {
        ErasureReport {
            messages: self.messages,
            actions: self.actions,
            events: self.events.clone(),
            untold: self.untold,
            receipt: self.encode(),
            ..ErasureReport::default()
        }
    }

    /// What a receipt that is kept somewhere says, or what is wrong with it.
    pub(crate) fn kept(path: PathBuf, text: Result<String>) -> KeptReceipt {
        match text.and_then(|text| Ok((Self::decode(&text)?, text))) {
            Err(error) => {
                KeptReceipt { path, damage: Some(error.message().to_owned()), ..KeptReceipt::default() }
            }
            Ok((record, text)) => KeptReceipt {
                path,
                damage: None,
                time: record.time.parse().ok(),
                checksum: record.checksum(),
                store: record.store,
                conversation: record.conversation,
                message: record.message,
                messages: record.messages,
                actions: record.actions,
                events: record.events,
                through: record.through,
                files: record.files,
                not_erased: record.not_erased,
                untold: record.untold,
                receipt: text.trim_end().to_owned(),
            },
        }
    }

    fn checksum(&self) -> String {
        hex(&sha256::sha256(&[Value::Object(self.body()).to_string().as_bytes()]))
    }

    fn body(&self) -> Map<String, Value> {
        let traces = self.traces.sorted().into_iter();
        let traces: Vec<Value> = traces
            .map(|trace| json!([trace.length, format!("{:04x}", trace.sign), hex(&trace.digest)]))
            .collect();
        let fields = [
            (KIND, json!(1)),
            ("store", json!(self.store)),
            ("time", json!(self.time)),
            ("salt", json!(hex(&self.salt))),
            ("conversation", json!(self.conversation)),
            ("message", json!(self.message)),
            ("messages", json!(self.messages)),
            ("actions", json!(self.actions)),
            ("events", json!(self.events)),
            ("through", json!(self.through)),
            ("files", json!(self.files)),
            ("not_erased", json!(self.not_erased)),
            ("untold", json!(self.untold)),
            ("traces", Value::Array(traces)),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Its JSON, one line, with a checksum.
    pub(crate) fn encode(&self) -> String {
        let mut body = self.body();
        body.insert("checksum".to_owned(), json!(self.checksum()));
        Value::Object(body).to_string()
    }

    /// Reads what was encoded.
    ///
    /// # Errors
    ///
    /// `Corrupt` for anything else.
    pub(crate) fn decode(text: &str) -> Result<Self> {
        let read = || {
            let value: Value = serde_json::from_str(text).ok()?;
            let string = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
            let number = |name: &str| value.get(name)?.as_u64();
            let list = |name: &str| value.get(name)?.as_array();
            let strings = |name: &str| -> Option<Vec<String>> {
                list(name)?.iter().map(|item| Some(item.as_str()?.to_owned())).collect()
            };
            let mut traces = Traces::default();
            for trace in list("traces")? {
                let length = usize::try_from(trace.get(0)?.as_u64()?).ok()?;
                let sign = u16::from_str_radix(trace.get(1)?.as_str()?, 16).ok()?;
                traces.insert(Trace { length, sign, digest: unhex(trace.get(2)?.as_str()?)? });
            }
            let pair = |pair: &Value| Some((pair.get(0)?.as_u64()?, pair.get(1)?.as_u64()?));
            Some(Self {
                store: string("store")?,
                time: string("time")?,
                salt: unhex(&string("salt")?)?,
                conversation: string("conversation")?,
                message: string("message"),
                messages: number("messages")?,
                actions: number("actions")?,
                events: list("events")?.iter().map(pair).collect::<Option<_>>()?,
                through: number("through")?,
                files: strings("files")?,
                not_erased: strings("not_erased")?,
                untold: number("untold")?,
                traces,
            })
        };
        // What encodes to the same text has the right checksum, and nothing else in it.
        read().filter(|record| record.encode() == text.trim_end()).ok_or_else(|| {
            Error::new(
                ErrorKind::Corrupt,
                "this is no receipt of an erasure, or not all of it as it was written",
            )
        })
    }
}

/// What is being erased, so that whoever opens the store next goes on with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Intent {
    pub(crate) conversation: String,
    pub(crate) message: Option<Text>,
    /// The newest event before the erasure.
    pub(crate) after: Seq,
    pub(crate) record: Record,
}

impl Intent {
    /// What is being erased, in words.
    pub(crate) fn in_words(&self) -> String {
        match &self.message {
            Some(id) => format!("message {:?} of conversation {:?}", id.to_string_lossy(), self.conversation),
            None => format!("conversation {:?}", self.conversation),
        }
    }

    pub(crate) fn encode(&self) -> String {
        let text = json!({
            "conversation": self.conversation,
            "message": self.message.as_ref().map(|id| hex(id.as_wtf8())),
            "after": self.after,
            "receipt": self.record.encode(),
        })
        .to_string();
        format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes()))
    }

    /// Reads what was encoded; `None` for anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (_, text) = std::str::from_utf8(bytes).ok()?.trim_end().split_once(' ')?;
        let value: Value = serde_json::from_str(text).ok()?;
        let message = match value.get("message")? {
            id if id.is_null() => None,
            id => {
                let id = id.as_str()?;
                let digits = (0..id.len()).step_by(2);
                let bytes = digits
                    .map(|at| u8::from_str_radix(id.get(at..at + 2)?, 16).ok())
                    .collect::<Option<_>>()?;
                Some(Text::from_wtf8(bytes).ok()?)
            }
        };
        let read = Self {
            conversation: value.get("conversation")?.as_str()?.to_owned(),
            message,
            after: value.get("after")?.as_u64()?,
            record: Record::decode(value.get("receipt")?.as_str()?).ok()?,
        };
        (read.encode().as_bytes() == bytes).then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let mut record = Record {
            store: "ab".to_owned(),
            salt: [3; 16],
            events: vec![(1, 4), (9, 9)],
            through: 9,
            files: vec!["log/x".to_owned()],
            ..Record::default()
        };
        record.conversation = hashed(&record.salt, b"conversation-1");
        record.traces.note(&record.salt, b"a text of more than twenty-four bytes, and then some");
        record
    }

    #[test]
    fn receipts_and_intents_are_read_back_and_no_changed_one_passes() {
        let record = record();
        let text = record.encode();
        assert!(!text.contains("conversation-1") && !text.contains("twenty"), "{text}");
        assert_eq!(Record::decode(&format!("{text}\n")).unwrap(), record);
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            let passes = String::from_utf8(changed).is_ok_and(|changed| Record::decode(&changed).is_ok());
            assert!(!passes, "byte {at}");
        }
        for message in [None, Some(Text::from("m\"é"))] {
            let intent =
                Intent { conversation: "c\"é".to_owned(), message, after: 3, record: record.clone() };
            let mut bytes = intent.encode().into_bytes();
            assert_eq!(Intent::decode(&bytes), Some(intent));
            bytes[40] ^= 1;
            assert_eq!(Intent::decode(&bytes), None);
        }
    }
}
