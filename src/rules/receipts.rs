//! The receipts of a batch.

use smallvec::SmallVec;

use super::key_table::KeyRecord;
use super::request::Request;
use crate::model::{Durability, Receipt, Seq, Text, Version};

/// The receipt of a key's first use.
pub(crate) fn known_receipt(record: &KeyRecord, durability: Durability) -> Receipt {
    Receipt {
        seq: record.seq,
        conversation_id: record.conversation_id.to_string(),
        id: Text::from_wtf8(record.id.to_vec()).unwrap_or_default(),
        version: record.version,
        durability,
    }
}

/// The receipts of a batch whose first event has this sequence number, and what became of the versions.
pub(crate) fn receipts(
    batch: &mut [Request],
    versions: SmallVec<[Version; 1]>,
    first_seq: Seq,
    durability: Durability,
) -> Vec<Receipt> {
    let receipt = |(seq, (request, version)): (Seq, (&mut Request, Version))| {
        request.take_receipt(seq, version, durability)
    };
    (first_seq..).zip(batch.iter_mut().zip(versions)).map(receipt).collect()
}
