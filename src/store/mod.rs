//! The store as its users have it.
//!
//! Owns the public handle and puts the parts together: the only module that knows them all. Every call goes
//! through one seam, [`Backend`], of which memory and files are two implementations; callers never see which
//! one is behind their handle.

pub mod location;

mod backend;

mod options;

mod clock;

mod prepare;

mod select;

mod turns;

mod calls;

mod portable;

mod memory;

mod file;

mod registry;

mod handle;

mod batch;

mod follow;

pub use backend::Backend;
pub use batch::Batch;
pub use clock::{Clock, IdSource, IdVersion};
pub use follow::Follower;
pub use handle::MessageStore;
pub use options::{Options, SyncPolicy};
