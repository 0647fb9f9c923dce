//! What is answered where something went wrong.
//!
//! Owns the words and the number for it, and the page that says so.

use aral_store::ErrorKind;

use super::http::{Answer, Request};
use super::page::Page;
use crate::exit::Failure;
use crate::export::html::escape;

/// A page that says what went wrong.
pub(super) fn page(request: &Request, status: u16, title: &str, text: &str) -> Answer {
    let mut page = Page::new(request, title);
    page.body = format!(
        "<h1>{title}</h1>\n<p class=\"missing\">{}</p>\n<p><a href=\"/\">Conversations</a></p>\n",
        escape::text(text)
    );
    page.answer(status)
}

/// What went wrong, with the number for it.
pub(super) fn words(failure: &Failure) -> (u16, String) {
    match failure {
        Failure::Store(error) | Failure::Input(error) | Failure::Unprinted { cause: error, .. } => {
            #[expect(clippy::wildcard_enum_match_arm, reason = "the library's kinds are open-ended")]
            let status = match error.kind() {
                ErrorKind::NotFound => 404,
                ErrorKind::InvalidInput => 400,
                ErrorKind::Conflict | ErrorKind::AlreadyExists => 409,
                ErrorKind::ReadOnly => 403,
                ErrorKind::Locked => 503,
                _ => 500,
            };
            (status, error.to_string())
        }
        Failure::Usage(text) => (400, text.clone()),
        Failure::Unread | Failure::Stopped(_) => (503, "the viewer ends".to_owned()),
    }
}
