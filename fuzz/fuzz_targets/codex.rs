//! Holds any lines to the law of what a reader of Codex makes of them.

#![no_main]
#![expect(dead_code, reason = "the program uses more of it")]

#[path = "../line_formats/chat.rs"]
mod chat;
#[path = "../line_formats/mod.rs"]
mod line_formats;
#[path = "../line_formats/transcripts.rs"]
mod transcripts;

libfuzzer_sys::fuzz_target!(|data: &[u8]| line_formats::read(&mut *transcripts::codex(), data));
