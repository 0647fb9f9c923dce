//! placeholder
use std::path::Path;
use std::sync::Arc;

use super::backend::Backend;
use super::options::Options;
use crate::error::Result;

pub(crate) fn open(_dir: &Path, _options: Options) -> Result<Arc<dyn Backend>> {
    Err(crate::error::Error::new(crate::error::ErrorKind::Unsupported, "not yet"))
}
