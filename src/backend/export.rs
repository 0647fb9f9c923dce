//! What works on any backend, by its other methods.
//!
//! Owns the export that a backend without files of its own gets for nothing.

use std::collections::HashSet;
use std::path::Path;

use super::{Backend, no_conversation};
use crate::codec::bytes::to_u64;
use crate::codec::document::write_document;
use crate::codec::index_file::IndexFile;
use crate::error::{Error, Result};
use crate::model::{ExportReport, Order, Text};
use crate::snapshot::layout::{self, Layout};
use crate::snapshot::names::{self, fold, stem};
use crate::snapshot::nested;
use crate::vfs::Vfs;

/// Writes a backend's conversations, or these, in the original's layout into a new or empty directory.
pub(crate) fn export(
    backend: &(impl Backend + ?Sized),
    vfs: &dyn Vfs,
    to: &Path,
    ids: Option<&[String]>,
) -> Result<ExportReport> {
    let all =
        || Ok(backend.conversations(Order::Created, None)?.into_iter().map(|summary| summary.id).collect());
    let ids = ids.map_or_else(all, |ids| Ok::<Vec<String>, Error>(ids.to_vec()))?;
    let target = Layout::new(to);
    nested::must_lie_in_no_store(vfs, to)?;
    layout::ensure_dir(vfs, to)?;
    if !vfs.read_dir(to).map_err(|e| Error::io("list", to, e))?.is_empty() {
        return Err(Error::invalid("the directory to export to is not empty").at(to, None));
    }
    layout::ensure_dir(vfs, &target.conversations())?;
    let mut report = ExportReport::default();
    let (mut taken, mut listed) = (HashSet::new(), Vec::new());
    for id in &ids {
        let bytes = write_document(&backend.conversation(id)?.ok_or_else(|| no_conversation(id))?);
        let name = names::choose(id, &taken);
        layout::write_file(vfs, &target.conversation(&name), &bytes)?;
        listed.push(Text::from(stem(&name)));
        taken.insert(fold(&name));
        report.conversations += 1;
        report.bytes += to_u64(bytes.len());
    }
    layout::sync_dir(vfs, &target.conversations())?;
    layout::write_file(vfs, &target.index_file(), &IndexFile::default().with_ids(listed).write())?;
    layout::sync_dir(vfs, to)?;
    Ok(report)
}
