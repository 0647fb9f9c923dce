//! What the pages may change where `--write` allows it: a title, a removal, a fork, and going back to what was.
//!
//! Owns the forms on the pages and what each of them does. A form has a key that is new for each run and on no page that another site
//! can read, and the version that was looked at, so that nothing is done to what nobody has seen. The store is opened for each change
//! and closed behind it: between two of them whoever else writes to a directory may.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aral_store::{At, Error, ErrorKind, Fork, MessageStore, Mutation, Operation};

use super::address::{self, Query};
use super::cut::{MOST_TITLE, shortened};
use super::guard;
use super::http::Answer;
use super::piece::Told;
use super::reader::no_conversation;
use crate::exit::Failure;
use crate::export::html::escape;
use crate::keep;
use crate::key;

/// The address that the forms are sent to.
pub(super) const ADDRESS: &str = "/change";

/// How long a change waits for another writer. Whoever looks at a page would take longer for a hang.
const WAIT: Duration = Duration::from_secs(5);

/// What there is beside the store that is read where changes are allowed.
pub(super) struct Changes {
    place: PathBuf,
    key: String,
    /// One at a time: on a directory they would wait for each other, and longer than for others.
    turn: Mutex<()>,
}

impl Changes {
    pub(super) fn of(place: &Path) -> Self {
        Self { place: place.to_owned(), key: guard::secret(), turn: Mutex::new(()) }
    }

    /// Carries out what a form says, and sends the browser to what came of it. When it is sent there, what was done is as durable
    /// as every change of the command line.
    pub(super) fn carry_out(&self, form: &Query) -> Result<Answer, Failure> {
        if !form.text("key").is_some_and(|key| guard::is_same(key, &self.key)) {
            let text = "the page is of another run of the viewer; load it anew and try again";
            return Err(Error::new(ErrorKind::Conflict, text).into());
        }
        let id = form.text("id").ok_or_else(no_conversation)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let store = key::options().wait(WAIT).connect(&self.place)?;
        let done = carried_out(&store, form, id);
        let closed = store.close();
        let to = done?;
        closed?;
        Ok(Answer::elsewhere(&to))
    }

    /// The forms on a conversation as it is.
    pub(super) fn on(&self, told: &Told<'_>) -> String {
        let conversation = &told.conversation;
        let version = conversation.version.to_string();
        let begin = |what: &str| self.begin(&conversation.id, what, &[("version", &version)]);
        // A title that a field of a form cannot hold as it is is not put into one.
        let title = conversation.title.as_str().filter(|title| !title.contains(char::is_control));
        let title = title.filter(|title| *title == shortened(title, MOST_TITLE)).unwrap_or_default();
        let kept = keep::how_long_in_words(told.store).map_or_else(
            || "It cannot be brought back.".to_owned(),
            |until| format!("It can be brought back {until}."),
        );
        format!(
            "<details class=\"change\"><summary>Change</summary>\n\
             {}<label>Title <input name=\"title\" value=\"{}\" required autocomplete=\"off\"></label> <button>Set</button></form>\n\
             {}<label>A fork, with all up to here, and the title <input name=\"title\" autocomplete=\"off\"></label> \
             <button>Fork</button></form>\n\
             {}<label><input type=\"checkbox\" name=\"sure\" value=\"yes\" required> Remove this conversation. {}</label> \
             <button>Remove</button></form>\n</details>\n",
            begin("title"),
            escape::bare(title),
            begin("fork"),
            begin("remove"),
            escape::text(&kept),
        )
    }

    /// The forms on a conversation as it was behind an event.
    pub(super) fn on_past(&self, id: &str, at: u64, is_there: bool) -> String {
        let at = at.to_string();
        let words = if is_there { "Make it this again" } else { "Bring it back like this" };
        format!(
            "<div class=\"change\">{}<button>{words}</button></form>\n{}<button>Fork this</button></form></div>\n",
            self.begin(id, "revert", &[("at", &at)]),
            self.begin(id, "fork", &[("at", &at)]),
        )
    }

    fn begin(&self, id: &str, what: &str, more: &[(&str, &str)]) -> String {
        let mut out = format!("<form method=\"post\" action=\"{ADDRESS}\">");
        for (name, value) in [("key", self.key.as_str()), ("id", id), ("what", what)].iter().chain(more) {
            let value = escape::bare(value);
            out.extend(["<input type=\"hidden\" name=\"", name, "\" value=\"", &value, "\">"]);
        }
        out
    }
}

/// Does it, and gives the address of what came of it.
fn carried_out(store: &MessageStore, form: &Query, id: &str) -> Result<String, Failure> {
    let there = |id: &str| address::of("/c", &[("id", id.as_bytes())]);
    let title = form.bytes("title").map(String::from_utf8_lossy).unwrap_or_default();
    match (form.text("what").unwrap_or_default(), form.number("version"), form.number("at")) {
        ("title", Some(version), _) => {
            store.append(Mutation::new(id, Operation::SetTitle(title.as_ref().into())).expect(version))?;
            Ok(there(id))
        }
        ("remove", Some(version), _) if form.text("sure") == Some("yes") => {
            store.append(Mutation::new(id, Operation::RemoveConversation).expect(version))?;
            Ok("/".to_owned())
        }
        ("fork", version, at) if version.is_some() || at.is_some() => {
            let point = at.map(At::Seq).or(version.map(At::Version));
            let mut fork = match point {
                // Without history, in which the version is looked for, what is there now is what was seen if its version says so.
                Some(At::Version(version)) => {
                    let now = store.summary(id)?.ok_or_else(no_conversation)?.version;
                    if now == version { Fork::new() } else { Fork::at(At::Version(version)) }
                }
                Some(at) => Fork::at(at),
                None => Fork::new(),
            };
            if !title.is_empty() {
                fork = fork.title(title.as_ref());
            }
            Ok(there(&store.fork(id, fork)?.conversation_id))
        }
        ("revert", _, Some(at)) => {
            store.revert(id, At::Seq(at))?;
            Ok(there(id))
        }
        _ => Err(Failure::Usage("the form is not complete".to_owned())),
    }
}
