//! What the pages may change where `--write` allows it: a title, a removal, a fork, and going back to what was.
//!
//! Owns the forms on the pages and what each of them does. A form has a key that is new for each run and on no page that another site
//! can read, and says what was looked at, so that nothing is done to what nobody has seen. The conversation's id stands in the address,
//! as on every page: a field of a form would not bring each id back as it is. The store is opened for each change and closed behind
//! it: between two of them whoever else writes to a directory may.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aral_store::{
    At, Error, ErrorKind, Fork, IdSource, IdVersion, MAX_BATCH_EVENTS, MessageStore, Mutation, Operation,
    Seq, Summary,
};

use super::address::{self, Query};
use super::cut::{MOST_TITLE, shortened};
use super::guard;
use super::http::Answer;
use super::piece::Told;
use super::reader::no_conversation;
use super::room::Room;
use crate::exit::Failure;
use crate::export::html::escape;
use crate::keep;
use crate::key;
use crate::output::{note, one_line, to_u64};
use crate::place;

/// The address that the forms are sent to.
pub(super) const ADDRESS: &str = "/change";

/// How long a change waits for another writer, whatever commands wait: whoever looks at a page would take longer for a hang.
const WAIT: Duration = Duration::from_secs(5);

/// What there is beside the store that is read where changes are allowed.
pub(super) struct Changes {
    place: PathBuf,
    key: String,
    /// One at a time: on a directory they would wait for each other, and longer than for others.
    turn: Room,
}

impl Changes {
    pub(super) fn of(place: &Path) -> Self {
        Self { place: place.to_owned(), key: guard::secret(), turn: Room::of(1) }
    }

    /// Carries out what a form says, and sends the browser to what came of it. When it is sent there, what was done is as durable
    /// as every change of the command line.
    pub(super) fn carry_out(&self, query: &Query, form: &Query) -> Result<Answer, Failure> {
        if !form.text("key").is_some_and(|key| guard::is_same(key, &self.key)) {
            let text = "the page is of another run of the viewer; load it anew and try again";
            return Err(Error::new(ErrorKind::Conflict, text).into());
        }
        let id = query.text("id").ok_or_else(no_conversation)?;
        let Some(_turn) = self.turn.enter() else {
            return Err(Error::new(ErrorKind::Locked, "other changes are being made; try again").into());
        };
        // A store that is gone is not made anew.
        place::must_be_there(&self.place)?;
        let store = key::options().wait(WAIT).connect(&self.place)?;
        place::tell(&store.recovery());
        let done = carried_out(&store, form, id);
        let closed = store.close();
        // What was acknowledged is there, whatever became of the closing behind it: a page that said otherwise would have it done twice.
        if let Err(error) = closed {
            note(&one_line(&format!("closing the store behind a change failed: {error}")));
        }
        Ok(Answer::elsewhere(&done?))
    }

    /// The forms on a conversation as it is.
    pub(super) fn on(&self, told: &Told<'_>) -> Result<String, Failure> {
        let conversation = &told.conversation;
        let Some(Summary { last_seq, version, .. }) = told.store.summary(&conversation.id)? else {
            return Ok(String::new());
        };
        let (seq, version, new) = (last_seq.to_string(), version.to_string(), IdVersion::V4.new_id());
        let seen = [("seq", seq.as_str()), ("version", &version)];
        // A title that would not come back from a field as it is is not put into one.
        let title = conversation.title.as_str().filter(|title| *title == shortened(title, MOST_TITLE));
        let title =
            title.filter(|title| escape::is_seen(title) && !title.contains(['\n', '\t'])).unwrap_or_default();
        let size = told.messages.saturating_add(to_u64(conversation.actions.len()));
        let kept = if size >= to_u64(MAX_BATCH_EVENTS) {
            "It is too long to be brought back.".to_owned()
        } else {
            keep::for_how_long(told.store)
        };
        Ok(format!(
            "<details class=\"change\"><summary>Change</summary>\n\
             <p class=\"gone-on\" hidden>This has gone on since; load it anew to change it.</p>\n\
             {}<label>Title <input name=\"title\" value=\"{}\" required autocomplete=\"off\"></label> <button>Set</button></form>\n\
             {}<label>A fork, with all up to here, and the title <input name=\"title\" autocomplete=\"off\"></label> \
             <button>Fork</button></form>\n\
             {}<label><input type=\"checkbox\" name=\"sure\" value=\"yes\" required> Remove this conversation. {}</label> \
             <button>Remove</button></form>\n</details>\n",
            self.begin(&conversation.id, "title", &seen),
            escape::bare(title),
            self.begin(&conversation.id, "fork", &[("at", &seq), ("new", &new)]),
            self.begin(&conversation.id, "remove", &seen),
            escape::text(&kept),
        ))
    }

    /// The forms on a conversation as it was behind an event.
    pub(super) fn on_past(&self, id: &str, at: Seq, is_there: bool) -> String {
        let (at, new) = (at.to_string(), IdVersion::V4.new_id());
        let (words, there) =
            if is_there { ("Make it this again", "yes") } else { ("Bring it back like this", "no") };
        format!(
            "<div class=\"change\">{}<button>{words}</button></form>\n{}<button>Fork this</button></form></div>\n",
            self.begin(id, "revert", &[("at", &at), ("there", there)]),
            self.begin(id, "fork", &[("at", &at), ("new", &new)]),
        )
    }

    fn begin(&self, id: &str, what: &str, more: &[(&str, &str)]) -> String {
        let to = address::attribute(ADDRESS, &[("id", id.as_bytes())]);
        let mut out = format!("<form method=\"post\" action=\"{to}\">");
        for (name, value) in [("key", self.key.as_str()), ("what", what)].iter().chain(more) {
            let value = escape::bare(value);
            out.extend(["<input type=\"hidden\" name=\"", name, "\" value=\"", &value, "\">"]);
        }
        out
    }
}

/// Does it, and gives the address of what came of it.
fn carried_out(store: &MessageStore, form: &Query, id: &str) -> Result<String, Failure> {
    let there = |id: &str| address::of("/c", &[("id", id.as_bytes())]);
    let title = || {
        let title = form.bytes("title").map(std::str::from_utf8);
        title
            .and_then(Result::ok)
            .ok_or_else(|| Failure::Usage("the form has no title that is text".to_owned()))
    };
    let at = || form.number("at").ok_or_else(incomplete);
    match form.text("what").unwrap_or_default() {
        "title" => {
            let set = Operation::SetTitle(title()?.into());
            store.append(Mutation::new(id, set).expect(seen(store, form, id)?))?;
            Ok(there(id))
        }
        "remove" if form.text("sure") == Some("yes") => {
            store.append(Mutation::new(id, Operation::RemoveConversation).expect(seen(store, form, id)?))?;
            Ok("/".to_owned())
        }
        "fork" => {
            let new = form.text("new").ok_or_else(incomplete)?;
            let mut fork = Fork::at(At::Seq(at()?)).id(new);
            if form.text("title").is_some() {
                fork = fork.title(title()?);
            }
            match store.fork(id, fork) {
                // The same form was sent twice.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                forked => drop(forked?),
            }
            Ok(there(new))
        }
        "revert" => {
            let (at, is_there) = (at()?, store.summary(id)?.is_some());
            if is_there != (form.text("there") == Some("yes")) {
                let text = if is_there { "it is there again by now" } else { "it has been removed since" };
                return Err(Error::new(ErrorKind::Conflict, text).into());
            }
            store.revert(id, At::Seq(at))?;
            Ok(there(id))
        }
        _ => Err(incomplete()),
    }
}

fn incomplete() -> Failure {
    Failure::Usage("the form is not complete".to_owned())
}

/// The version that was looked at, if that is what is there. The number of its last event is asked for, too: a conversation that was
/// removed and has begun again may have come to the same version.
fn seen(store: &MessageStore, form: &Query, id: &str) -> Result<u64, Failure> {
    let (version, seq) = (form.number("version"), form.number("seq"));
    let (version, seq) = version.zip(seq).ok_or_else(incomplete)?;
    let now = store.summary(id)?.map_or((0, 0), |now| (now.version, now.last_seq));
    if now != (version, seq) {
        let text =
            format!("it has changed since: it is of version {} by now, and {version} was looked at", now.0);
        return Err(Error::new(ErrorKind::Conflict, text).into());
    }
    Ok(version)
}
