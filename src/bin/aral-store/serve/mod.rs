//! The command that shows a store in a browser.
//!
//! Owns the listener, how many connections there are at once, which page answers which address, and the end. It reads the store and
//! never writes, unless that is asked for: a writer beside it waits for nothing.

mod address;

mod calls;

mod change;

mod conversation;

mod cut;

mod forks;

mod guard;

mod hits;

mod http;

mod list;

mod page;

mod past;

mod piece;

mod raw;

mod reader;

mod refusal;

mod room;

mod sums;

mod tail;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aral_store::ErrorKind;
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::exit::{Exit, Failure};
use crate::output::{self, Form, note};
use crate::place;
use crate::signals::{self, Stop};
use address::Query;
use change::Changes;
use guard::{Guard, Pass};
use http::{Answer, Refusal, Request};
use reader::Reader;
use room::Room;

/// How many connections are served at once. A browser opens six.
const MOST_CONNECTIONS: usize = 64;

/// How many pages are put together at once.
const MOST_PAGES: usize = 8;

/// How many texts are sent whole at once.
const MOST_WHOLE: usize = 4;

/// How many pages are told at once what comes. Each is a look at the log five times a second.
const MOST_LISTENERS: usize = 24;

/// How many pages of the past are put together at once, each with the whole history of its conversation in memory.
const MOST_PASTS: usize = 2;

/// How often the listener looks whether an end is asked for.
const PAUSE: Duration = Duration::from_millis(100);

/// How long an end waits for what is being answered.
const LAST_WORDS: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// The port; any that is free if not given
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,
    /// The address to listen at; with another one than this machine's own, what is shown travels unencrypted
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// Let the pages change titles, remove, fork, and make a conversation what it was
    #[arg(long)]
    write: bool,
}

/// What all connections share.
struct Viewer {
    store: Reader,
    guard: Guard,
    connections: Room,
    pages: Room,
    whole: Room,
    listeners: Room,
    pasts: Room,
    forks: forks::Known,
    changes: Option<Changes>,
    stop: Stop,
}

pub(crate) fn run(dir: &Path, form: Form, args: &ServeArgs) -> Result<Exit, Failure> {
    let stop = signals::on_stop(|_| {})?;
    let store = place::for_reading(dir)?;
    let asked = SocketAddr::new(args.bind, args.port);
    let failed = |error| Failure::file("listen at", Path::new(&asked.to_string()), error);
    let listener = TcpListener::bind(asked).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let at = listener.local_addr().map_err(failed)?;
    let viewer = Arc::new(Viewer {
        store: Reader::of(store),
        guard: Guard::new(at.port()),
        connections: Room::of(MOST_CONNECTIONS),
        pages: Room::of(MOST_PAGES),
        whole: Room::of(MOST_WHOLE),
        listeners: Room::of(MOST_LISTENERS),
        pasts: Room::of(MOST_PASTS),
        forks: forks::Known::default(),
        changes: args.write.then(|| Changes::of(dir)),
        stop,
    });
    if !args.bind.is_loopback() {
        let more = if args.write { ", and can change what it may change" } else { "" };
        note(&format!(
            "whoever can listen in on the network sees what is shown, the token included{more}: it is not encrypted"
        ));
    }
    let url = format!("http://{at}/?token={}", viewer.guard.token);
    output::print(&match form {
        Form::Json => serde_json::json!({ "url": url }).to_string(),
        Form::Table | Form::Plain => url,
    })?;
    loop {
        if let Some(signal) = viewer.stop.signal() {
            viewer.connections.wait_until_empty(LAST_WORDS);
            return Err(Failure::Stopped(signal));
        }
        match listener.accept() {
            Ok((stream, _)) => begin(&viewer, stream),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait(&mut [PollFd::new(&listener, PollFlags::IN)]);
            }
            // Whoever went away again, and a moment without a descriptor to spare, end nothing. The connection that there is none
            // for is still there, so that nobody would wait for another one.
            Err(_) => wait(&mut []),
        }
    }
}

/// Waits for something to happen, for a moment.
fn wait(watched: &mut [PollFd<'_>]) {
    let timeout = Timespec::try_from(PAUSE).ok();
    // A signal ends the waiting, and is looked for next.
    if poll(watched, timeout.as_ref()).is_err() {
        std::thread::yield_now();
    }
}

/// Answers a connection in a thread of its own, if there is room for one.
fn begin(viewer: &Arc<Viewer>, mut stream: TcpStream) {
    let is_ready = stream.set_nonblocking(false).is_ok();
    let Some(seat) = viewer.connections.enter_now().filter(|_| is_ready) else {
        let busy = Answer::plain(503, "there are too many connections").with("Retry-After", "2");
        // Nobody else waits for it: what does not fit into the system's buffer is lost.
        if stream.set_nonblocking(true).is_ok() {
            drop(busy.send_now(&mut stream));
        }
        return;
    };
    let (viewer, mut stream) = (Arc::clone(viewer), stream);
    let serve = move || {
        // Whoever is gone hears nothing.
        drop(serve(&viewer, &mut stream));
        drop(stream);
        drop(seat);
    };
    // Without a thread the connection is closed, and the next one may fare better.
    drop(std::thread::Builder::new().name("viewer".to_owned()).spawn(serve));
}

fn serve(viewer: &Viewer, stream: &mut TcpStream) -> io::Result<()> {
    let local = stream.local_addr()?.ip();
    let request = match Request::read(stream, viewer.changes.is_some())? {
        Some(Ok(request)) => request,
        Some(Err(refusal)) => return refused(refusal).send(stream, false),
        None => return Ok(()),
    };
    let answer = match admitted(viewer, &request, local) {
        Ok(Ok(query)) => match (&viewer.changes, &request.form, request.path.as_str()) {
            (Some(changes), Some(form), _) => changed(changes, &request, &query, form),
            (.., "/raw") => return whole(viewer, &request, &query, stream),
            (.., "/tail") => return tail(viewer, &request, &query, stream),
            _ => shown(viewer, &request, &query),
        },
        Ok(Err(answer)) => answer,
        Err(refusal) => refused(refusal),
    };
    answer.send(stream, request.is_head)
}

fn refused(Refusal(status, text): Refusal) -> Answer {
    Answer::plain(status, text)
}

/// The parameters of a request that may see something, or what everybody else is answered.
fn admitted(viewer: &Viewer, request: &Request, local: IpAddr) -> Result<Result<Query, Answer>, Refusal> {
    Guard::check_origin(request, local)?;
    if request.form.is_some() {
        Guard::check_change(request)?;
    }
    let query = Query::read(&request.query).ok_or(Refusal(400, "the address cannot be read"))?;
    Ok(match viewer.guard.pass(request, query.text("token"))? {
        Pass::Known => Ok(query),
        // A token lets in whoever looks. Who changes something has looked at it.
        Pass::HasToken if request.form.is_some() => Err(Answer::plain(401, "a change takes the cookie")),
        Pass::HasToken => Err(let_in(viewer, request)?),
        Pass::Unknown => {
            Err(Answer::plain(401, "open the address that aral-store serve printed; its token lets you in"))
        }
    })
}

/// Gives a browser the cookie and sends it on, so that the token is in no address that it shows. Who has followed a link of another
/// site is sent on by a page: the cookie is not sent where another site leads to.
fn let_in(viewer: &Viewer, request: &Request) -> Result<Answer, Refusal> {
    let is_from_elsewhere =
        matches!(request.header("sec-fetch-site")?, Some(site) if site != "none" && site != "same-origin");
    let to = without_token(request);
    let answer = if is_from_elsewhere {
        let href = crate::export::html::escape::bare(&to);
        let page = format!(
            "<!doctype html><html lang=\"en\"><title>aral-store</title>\
             <meta http-equiv=\"refresh\" content=\"0;url={href}\"><p><a href=\"{href}\">Go on</a></p></html>"
        );
        Answer::new(200, "text/html; charset=utf-8", page)
            .with("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    } else {
        Answer::elsewhere(&to)
    };
    Ok(answer.with("Set-Cookie", viewer.guard.cookie()))
}

/// The address that was asked for, without the token. Only the pages' own are gone on to.
fn without_token(request: &Request) -> String {
    if !["/c", "/search"].contains(&request.path.as_str()) {
        return "/".to_owned();
    }
    let rest: Vec<&str> = request.query.split('&').filter(|pair| !pair.starts_with("token=")).collect();
    format!("{}?{}", request.path, rest.join("&"))
}

/// What a change leads to.
fn changed(changes: &Changes, request: &Request, query: &Query, form: &[u8]) -> Answer {
    if request.path != change::ADDRESS {
        return refusal::page(request, 404, "Not changed", "there is nothing to change here");
    }
    let form = std::str::from_utf8(form).ok().and_then(Query::read);
    let form = form.ok_or_else(|| Failure::Usage("the form cannot be read".to_owned()));
    form.and_then(|form| changes.carry_out(query, &form)).unwrap_or_else(|failure| {
        let (status, text) = refusal::words(&failure);
        // Of what failed underway it is for the text to say whether it may show up.
        let title = if status == 500 { "Went wrong" } else { "Not changed" };
        refusal::page(request, status, title, &text)
    })
}

/// The page that is asked for.
fn shown(viewer: &Viewer, request: &Request, query: &Query) -> Answer {
    if let Some(asset) = page::asset(&request.path) {
        return asset;
    }
    let Some(_seat) = viewer.pages.enter() else {
        return Answer::plain(503, "too many pages are being put together").with("Retry-After", "2");
    };
    let store = &viewer.store;
    let answer = match request.path.as_str() {
        "/" => store.refresh().map_err(Failure::from).and_then(|_| list::answer(store, request, query)),
        "/search" => store.refresh().map_err(Failure::from).and_then(|_| hits::answer(store, request, query)),
        "/c" | "/part" => conversation(viewer, request, query),
        "/forks" => forks::answer(&viewer.forks, store, request, query),
        _ => Ok(refusal::page(request, 404, "Not shown", "there is no such page")),
    };
    answer.unwrap_or_else(|failure| {
        let (status, text) = refusal::words(&failure);
        refusal::page(request, status, "Not shown", &text)
    })
}

/// A conversation or a piece of it, now or in its past.
fn conversation(viewer: &Viewer, request: &Request, query: &Query) -> Result<Answer, Failure> {
    let is_part = request.path == "/part";
    let id = query.text("id").unwrap_or_default();
    if query.number("at").is_none() && query.number("step").is_none() {
        let now = if is_part {
            conversation::part(&viewer.store, query)
        } else {
            conversation::answer(&viewer.store, viewer.changes.as_ref(), request, query)
        };
        let is_gone = matches!(&now, Err(Failure::Store(error)) if error.kind() == ErrorKind::NotFound);
        let before = is_gone.then(|| past::before_removal(&viewer.store, id)).flatten();
        return before.map_or(now, |address| Ok(Answer::elsewhere(&address)));
    }
    let Some(_seat) = viewer.pasts.enter() else {
        return Ok(
            Answer::plain(503, "too many pages of the past are being put together").with("Retry-After", "2")
        );
    };
    if let Some(step) = query.number("step") {
        return Ok(Answer::elsewhere(&past::step(&viewer.store, id, step)?));
    }
    let then =
        past::then(&viewer.store, viewer.changes.as_ref(), query, query.number("at").unwrap_or_default())?;
    if is_part {
        conversation::part_of(&then.seen, query)
    } else {
        conversation::page_of(&then.seen, &then.bar, request, query)
    }
}

/// Tells a page what comes, until one of both ends.
fn tail(viewer: &Viewer, request: &Request, query: &Query, stream: &mut TcpStream) -> io::Result<()> {
    let Some(_seat) = viewer.listeners.enter_now() else {
        let busy = Answer::plain(503, "too many pages are open").with("Retry-After", "2");
        return busy.send(stream, request.is_head);
    };
    let id = query.text("id").unwrap_or_default();
    // A browser that comes again says what came last.
    let last = request.header("last-event-id").ok().flatten().and_then(|id| id.parse().ok());
    let seen = query.number("after").unwrap_or_default().max(last.unwrap_or_default());
    let is_there = viewer.store.refresh().and_then(|_| viewer.store.summary(id));
    let found = is_there.map_err(Failure::from).and_then(|there| there.ok_or_else(reader::no_conversation));
    match found.and_then(|_| tail::Tail::of(&viewer.store, id, seen)) {
        Ok(tail) => tail.send(&viewer.stop, stream),
        Err(failure) => {
            let (status, text) = refusal::words(&failure);
            Answer::plain(status, &text).send(stream, request.is_head)
        }
    }
}

/// Sends all of a message or an action.
fn whole(viewer: &Viewer, request: &Request, query: &Query, stream: &mut TcpStream) -> io::Result<()> {
    let Some(_seat) = viewer.whole.enter() else {
        return Answer::plain(503, "too many long texts are being sent").send(stream, request.is_head);
    };
    if let Some(at) = query.number("at") {
        let then = past::then(&viewer.store, None, query, at);
        let answer = then.map(|then| raw::of_the_past(&then.seen.told.conversation, query));
        let answer = match answer {
            Ok(Some(answer)) => answer,
            Ok(None) => Answer::plain(404, "there was nothing of this id then"),
            Err(failure) => {
                let (status, text) = refusal::words(&failure);
                Answer::plain(status, &text)
            }
        };
        return answer.send(stream, request.is_head);
    }
    let found = viewer.store.refresh().map_err(Failure::from);
    match found.and_then(|_| raw::send(&viewer.store, query, stream, request.is_head)) {
        Ok(sent) => sent,
        Err(failure) => {
            let (status, text) = refusal::words(&failure);
            Answer::plain(status, &text).send(stream, request.is_head)
        }
    }
}
