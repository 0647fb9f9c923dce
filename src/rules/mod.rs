//! What a mutation may do, and what it becomes.
//!
//! Owns the rules that every backend shares: the limits on what is handed in, what must exist and what must not,
//! what an id means, what a retried key returns, which messages a selection names, and what a conversation
//! becomes. Pure: it does no I/O, and knows neither index nor file; of a store it sees what [`StateView`] and [`Lookups`] show.
//! A mutation passes through in this order: [`normalize`], [`Validation`], [`Pending`] until it is visible, [`receipts`].

mod hashing;

mod key_table;

mod state;

mod request;

mod normalize;

mod lookup;

mod refusal;

mod reply;

mod working_list;

mod working_state;

mod pending;

mod validation;

mod receipts;

mod fold;

mod past;

mod revert;

mod fork;

mod history;

mod listed;

mod tool_calls;

mod turns;

mod selection;

mod retention;

mod conditions;

mod meant;

pub use conditions::Where;
pub(crate) use fold::Folded;
pub(crate) use hashing::FastHash;
pub(crate) use key_table::{KEPT_KEYS, KeyRecord, KeyTable};
pub(crate) use listed::Listed;
pub(crate) use lookup::{Lookup, Lookups, SeenReply, last_with};
pub(crate) use meant::Meant;
pub(crate) use normalize::normalize;
pub(crate) use past::Walk;
pub(crate) use pending::Pending;
pub(crate) use receipts::{known_receipt, receipts};
pub(crate) use refusal::Refusal;
pub(crate) use request::{Request, Step, only_appends_text};
pub(crate) use selection::select;
pub(crate) use state::{ConversationState, StateView};
pub(crate) use validation::{Resolved, Validation};

/// How many of the newest removals are remembered.
pub(crate) const KEPT_TOMBSTONES: usize = 100_000;
