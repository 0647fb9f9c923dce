//! Databases to keep a store in, as far as this build has engines for them.
//!
//! Owns the making of fresh ones. A test that goes through them all runs on none where no engine is built in.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use aral_store::StoreUrl;

use super::driver::Home;
use super::server;

/// A home in a fresh database of each engine. What they keep in files is in this directory, which is made; a server keeps
/// a schema for it.
#[expect(clippy::disallowed_methods, reason = "databases live on the real file system")]
pub(crate) fn of(dir: &Path) -> Vec<Home> {
    std::fs::create_dir_all(dir).unwrap();
    let sqlite = format!("sqlite:{}", dir.join("store.db").display());
    let mut urls = vec![sqlite];
    if let Some(server) = server::shared() {
        let mut hasher = DefaultHasher::new();
        dir.hash(&mut hasher);
        urls.push(server.url(&format!("s{:016x}", hasher.finish())));
    }
    urls.into_iter().filter(|url| StoreUrl::of(url).is_ok()).map(Home::Database).collect()
}
