//! The command that searches.
//!
//! Owns how a hit is shown: a line of columns, or for a person its place and a part of its text, with what was found marked.

use std::collections::HashMap;
use std::path::Path;

use aral_store::{ErrorKind, Found, MessageStore, Order, Search, SearchOrder, Snippet};
use clap::{Args, ValueEnum};

use crate::database;
use crate::exit::{Exit, Failure};
use crate::ids;
use crate::index;
use crate::moment;
use crate::output::{self, Form, Out, one_line, to_u64};
use crate::place;
use crate::show::readable;
use crate::style::{self, painted};
use crate::transcripts::Tool;
use crate::transcripts::source::Source;

#[derive(Args, Debug)]
pub(crate) struct SearchArgs {
    /// What to search for: words, "phrases in quotes", and beginnings of words with a star
    #[arg(required = true)]
    query: Vec<String>,
    /// Only in this conversation: its id, or a beginning of four characters or more that no other has
    #[arg(long, value_name = "CONV")]
    conversation: Option<String>,
    /// Only messages of this role
    #[arg(short, long)]
    role: Option<String>,
    /// Only messages of then or later: a time, a date, or a span such as 7d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only messages of before then
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Only in conversations that were imported from this tool, such as claude-code
    #[arg(long, value_name = "TOOL", value_parser = source)]
    source: Option<Tool>,
    /// Which come first: the newest, or those that answer best
    #[arg(long, value_enum, value_name = "ORDER", default_value = "newest")]
    order: By,
    /// Show only the first N
    #[arg(short, value_name = "N")]
    number: Option<usize>,
}

/// In which order hits are shown.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    /// By their times
    Newest,
    /// By how often what is searched for occurs in them, and among how few words
    Best,
}

pub(crate) fn run(dir: &Path, form: Form, args: &SearchArgs) -> Result<Exit, Failure> {
    let time =
        |option, given: &Option<String>| given.as_deref().map(|text| moment::read(option, text)).transpose();
    let mut search = Search::new(args.query.join(" "));
    search.since = time("--since", &args.since)?;
    search.until = time("--until", &args.until)?;
    search.limit = args.number;
    search.order = match args.order {
        By::Newest => SearchOrder::Newest,
        By::Best => SearchOrder::Best,
    };
    if let Some(role) = &args.role {
        search = search.role(role.as_str());
    }
    let store = opened(dir)?;
    if let Some(given) = &args.conversation {
        search = search.conversation(ids::conversation(&store, given)?);
    }
    let (found, exit) = match args.source {
        Some(tool) => from(tool, &store, &search)?,
        None => found(&store, &search)?,
    };
    let mut out = Out::new();
    for hit in &found {
        match form {
            Form::Json => out.line(&hit.to_json_line())?,
            Form::Plain => out.line(&columns(hit).join("\t"))?,
            Form::Table => shown(hit, &mut out)?,
        }
    }
    out.finish()?;
    moment::tell_doubt(to_u64(found.iter().filter(|hit| is_in_doubt(hit, &search)).count()), "message");
    // The opening has named each of them on standard error.
    Ok(place::amiss(&store.recovery().damaged).graver(exit))
}

fn is_in_doubt(hit: &Found, search: &Search) -> bool {
    let bounds = [search.since, search.until].into_iter().flatten();
    bounds.into_iter().any(|bound| hit.created_at.is_in_doubt(bound))
}

/// What is found, and what the program ends with for conversations that cannot be read: the others are searched all the same.
pub(crate) fn found(store: &MessageStore, search: &Search) -> Result<(Vec<Found>, Exit), Failure> {
    match store.search(search.clone()) {
        Err(error) if place::is_unreadable(&error) && search.conversation.is_none() => {}
        found => return Ok((found?, Exit::Done)),
    }
    let damaged = store.recovery().damaged;
    let is_told = |id: &str| damaged.iter().any(|file| file.conversation_id.as_deref() == Some(id));
    let (mut found, mut exit) = (Vec::new(), Exit::Done);
    // Of one time, those of the conversation that began last come first.
    for summary in store.conversations(Order::Created)?.iter().rev() {
        match store.search(search.clone().conversation(&summary.id)) {
            Ok(more) => found.extend(more),
            // Removed since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if place::is_unreadable(&error) => {
                exit = exit.graver(place::amiss_by(&error));
                if !is_told(&summary.id) {
                    output::error(&error.to_string());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    found.sort_by_key(|hit| {
        let score = if search.order == SearchOrder::Best { hit.score } else { 0 };
        std::cmp::Reverse((score, hit.created_at.approximate_unix_micros()))
    });
    keep_first(&mut found, search);
    Ok((found, exit))
}

/// Keeps as many as are asked for.
fn keep_first(found: &mut Vec<Found>, search: &Search) {
    let mut left = search.limit.unwrap_or(usize::MAX);
    found.retain(|hit| {
        let is_kept = left > 0;
        left -= usize::from(is_kept && !is_in_doubt(hit, search));
        is_kept
    });
}

/// What is found in conversations that were imported from a tool: of more and more hits those that are, until there are enough.
fn from(tool: Tool, store: &MessageStore, search: &Search) -> Result<(Vec<Found>, Exit), Failure> {
    let (mut asked, mut known) = (search.clone(), HashMap::new());
    let count = |found: &[Found]| found.iter().filter(|hit| !is_in_doubt(hit, search)).count();
    loop {
        let (all, exit) = found(store, &asked)?;
        let is_all = asked.limit.is_none_or(|limit| count(&all) < limit);
        let mut kept = Vec::new();
        for hit in all {
            let id = &hit.conversation_id;
            let is_meant = match known.get(id) {
                Some(is_meant) => *is_meant,
                None => {
                    let conversation = store.conversation_without_messages(id)?;
                    let source = conversation.and_then(|found| Source::of(&found.metadata));
                    let is_meant = source.is_some_and(|source| source.tool == tool);
                    known.insert(id.clone(), is_meant);
                    is_meant
                }
            };
            kept.extend(is_meant.then_some(hit));
        }
        if is_all || search.limit.is_some_and(|limit| count(&kept) >= limit) {
            keep_first(&mut kept, search);
            return Ok((kept, exit));
        }
        asked.limit = asked.limit.map(|limit| limit.saturating_mul(8).max(64));
    }
}

fn source(name: &str) -> Result<Tool, String> {
    let names: Vec<&str> = Tool::ALL.into_iter().map(Tool::name).collect();
    let tool = Tool::ALL.into_iter().find(|tool| tool.name() == name);
    tool.ok_or_else(|| format!("it is none of {}", names.join(", ")))
}

/// Opens the store: a database so that its index can be brought up to date, if that can be, and everything else for reading.
fn opened(dir: &Path) -> Result<MessageStore, Failure> {
    if !database::has_search_index(dir)? {
        let store = place::for_reading(dir)?;
        if database::of(dir)?.is_none() {
            index::catch_up(dir, &store);
        }
        return Ok(store);
    }
    place::must_be_there(dir)?;
    // A user who may not write, a full disk and others in the way make a search read more, and not fail.
    place::quietly_for_writing(dir).or_else(|_| place::for_reading(dir))
}

fn columns(hit: &Found) -> [String; 6] {
    [
        one_line(&hit.conversation_id),
        hit.place.to_string(),
        one_line(&hit.id.to_string_lossy()),
        one_line(&hit.role.to_string_lossy()),
        hit.created_at.to_string(),
        marked(&hit.snippet, str::to_owned),
    ]
}

fn shown(hit: &Found, out: &mut Out) -> Result<(), Failure> {
    let aside = format!(" · {} · {}", readable(&hit.created_at), one_line(&hit.id.to_string_lossy()));
    let who = format!("{} · {}", one_line(&hit.conversation_id), one_line(&hit.role.to_string_lossy()));
    out.line(&(painted(style::WHO, &who) + &painted(style::ASIDE, &aside)))?;
    out.line(&format!("    {}\n", marked(&hit.snippet, |found| painted(style::FOUND, found))))
}

/// A part of a text in one line, with dots where more of the text is.
fn marked(snippet: &Snippet, mark: impl Fn(&str) -> String) -> String {
    let plain = |range: std::ops::Range<usize>| {
        // A break between lines is not part of what was said here.
        let text = snippet.text.get(range).unwrap_or_default().replace(['\n', '\r', '\t'], " ");
        one_line(&text)
    };
    let (mut line, mut at) = (String::new(), 0);
    line.push_str(if snippet.is_cut_before { "… " } else { "" });
    for hit in &snippet.hits {
        line.push_str(&plain(at..hit.start));
        line.push_str(&mark(&plain(hit.clone())));
        at = hit.end;
    }
    line.push_str(&plain(at..snippet.text.len()));
    line.push_str(if snippet.is_cut_behind { " …" } else { "" });
    line
}
