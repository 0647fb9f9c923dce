//! The part of the program's reading of chats that its readers of lines need.

#[path = "../../src/bin/aral-store/chat/skip.rs"]
mod skip;

#[path = "../../src/bin/aral-store/chat/json.rs"]
pub(crate) mod json;

const TIMES: [&str; 0] = [];
