//! Databases to keep a store in, as far as this build has engines for them.
//!
//! Owns the making of fresh ones. A test that goes through them all runs on none where no engine is built in.

use std::path::Path;

use aral_store::StoreUrl;

use super::driver::Home;

/// A home in a fresh database of each engine. What they keep in files is in this directory, which is made; a server keeps
/// a schema for it.
pub(crate) fn of(dir: &Path) -> Vec<Home> {
    urls(dir).into_iter().map(Home::Database).collect()
}

/// The same by their URLs.
#[expect(clippy::disallowed_methods, reason = "databases live on the real file system")]
pub(crate) fn urls(dir: &Path) -> Vec<String> {
    std::fs::create_dir_all(dir).unwrap();
    let sqlite = format!("sqlite:{}", dir.join("store.db").display());
    std::iter::once(sqlite).chain(on_a_server(dir)).filter(|url| StoreUrl::of(url).is_ok()).collect()
}

/// A schema of the shared server that is this directory's.
#[cfg(feature = "postgres")]
fn on_a_server(dir: &Path) -> Option<String> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    dir.hash(&mut hasher);
    Some(super::server::shared()?.url(&format!("s{:016x}", hasher.finish())))
}

#[cfg(not(feature = "postgres"))]
fn on_a_server(_: &Path) -> Option<String> {
    None
}
