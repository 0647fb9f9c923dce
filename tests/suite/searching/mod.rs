//! Searching: every backend finds what a plain look at every message finds, however far an index has come.
//!
//! `SEARCH_PROGRAMS` sets how many random programs run.

#[cfg(feature = "cli")]
mod index;
#[cfg(feature = "cli")]
mod index_behind;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod index_kept;
#[cfg(feature = "cli")]
mod index_stops;
mod limits;
mod oracle;
#[cfg(feature = "postgres")]
mod server;

use std::path::Path;

use aral_store::{
    Edit, ErrorKind, Found, MessageStore, Mutation, NewConversation, NewMessage, Operation, Search,
    SearchOrder, SyncPolicy, Timestamp,
};

use crate::support::databases;
use crate::support::driver::Home;
use crate::support::simfs::{Choose, SplitMix};
use oracle::{Oracle, Said};

/// Texts with the words in them, and queries for each.
const WORDS: [(&str, &[&str]); 16] = [
    ("rain", &["rain"]),
    ("Rain", &["rain"]),
    ("RAINS", &["rains"]),
    ("snow", &["snow"]),
    ("a", &["a"]),
    ("東京都", &["東", "京", "都"]),
    ("京都", &["京", "都"]),
    ("été", &["été"]),
    ("E\u{301}TE\u{301}", &["été"]),
    ("ΟΔΟΣ", &["οδοσ"]),
    ("don't", &["don", "t"]),
    ("example.com", &["example", "com"]),
    ("ＦＵＬＬ", &["full"]),
    ("nul\0nul", &["nul", "nul"]),
    (
        "x1234567890123456789012345678901234567890123456789",
        &["x1234567890123456789012345678901234567890123456789"],
    ),
    (
        "x1234567890123456789012345678901234567890123456780",
        &["x1234567890123456789012345678901234567890123456780"],
    ),
];

const BETWEEN: [&str; 5] = [" ", ", ", "\n", "! ", "… "];

const TIMES: [&str; 7] = [
    "2025-03-12T08:00:00Z",
    "2025-03-13T00:00:00Z",
    "2025-03-13T00:00:00.000001Z",
    "2025-03-13T02:00:00+02:00",
    "2025-03-13T05:00:00",
    "2025-03-13T20:00:00",
    "2025-03-14T00:00:00Z",
];

const ROLES: [&str; 4] = ["user", "assistant", "user\0", "tool"];

fn one<T: Clone>(choice: &mut SplitMix, of: &[T]) -> T {
    of[choice.pick(of.len())].clone()
}

fn time(choice: &mut SplitMix) -> Timestamp {
    one(choice, &TIMES).parse().unwrap()
}

/// A text, and its words.
fn text(choice: &mut SplitMix) -> (String, Vec<String>) {
    let (mut text, mut words) = (String::new(), Vec::new());
    for _ in 0..choice.pick(9) {
        let (written, of) = one(choice, &WORDS);
        text += one(choice, &BETWEEN);
        text += written;
        words.extend(of.iter().map(ToString::to_string));
    }
    (text, words)
}

/// A search, and the phrases that its query means, with whether the last word of each is a beginning.
fn search(choice: &mut SplitMix) -> (Search, Vec<(Vec<String>, bool)>) {
    let (mut query, mut phrases) = (String::new(), Vec::new());
    for _ in 0..=choice.pick(2) {
        let (written, words) = one(choice, &WORDS);
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        query.push(' ');
        match choice.pick(4) {
            0 => {
                let (other, more) = one(choice, &WORDS);
                query += &["\"", written, one(choice, &BETWEEN), other, "\""].concat();
                phrases
                    .push((words.into_iter().chain(more.iter().map(ToString::to_string)).collect(), false));
            }
            1 => {
                // A beginning of the last word. A script without spaces has words of one character.
                let last = words.last().unwrap().clone();
                let cut = last.len().saturating_sub(choice.pick(3)).max(1);
                if written.is_ascii() && written.to_lowercase().ends_with(&last) {
                    query += written.get(..written.len() - last.len() + cut).unwrap();
                    query.push('*');
                    let mut words = words;
                    words.last_mut().unwrap().truncate(cut);
                    phrases.push((words, true));
                    continue;
                }
                query += written;
                phrases.push((words, false));
            }
            _ => {
                query += written;
                phrases.push((words, false));
            }
        }
    }
    let mut search = Search::new(query);
    if choice.pick(4) == 0 {
        search = search.role(one(choice, &ROLES));
    }
    if choice.pick(4) == 0 {
        search = search.conversation(format!("c{}", choice.pick(4)));
    }
    if choice.pick(4) == 0 {
        search = search.since(time(choice));
    }
    if choice.pick(4) == 0 {
        search = search.until(time(choice));
    }
    if choice.pick(3) == 0 {
        search = search.limit(choice.pick(6));
    }
    if choice.pick(2) == 0 {
        search = search.order(SearchOrder::Best);
    }
    (search, phrases)
}

/// A random change, carried out by the oracle too.
fn change(choice: &mut SplitMix, oracle: &mut Oracle, number: usize) -> Mutation {
    let id = format!("c{}", choice.pick(4));
    let (content, words) = text(choice);
    let (role, created_at) = (one(choice, &ROLES), time(choice));
    let some = oracle.conversation(&id).and_then(|said| (!said.is_empty()).then(|| choice.pick(said.len())));
    match (choice.pick(24), some) {
        (0, _) if oracle.conversation(&id).is_some() => {
            oracle.remove(&id);
            Mutation::new(id, Operation::RemoveConversation)
        }
        (1, _) if oracle.conversation(&id).is_some() => {
            oracle.clear(&id);
            Mutation::new(id, Operation::Clear)
        }
        (2, _) if oracle.conversation(&id).is_some() => {
            oracle.clear(&id);
            Mutation::reset_conversation(id, NewConversation::new())
        }
        (3..=5, Some(at)) => {
            let gone = oracle.said(&id).remove(at);
            Mutation::new(id, Operation::RemoveMessage(gone.id.into()))
        }
        (6..=9, Some(at)) => {
            let said = &mut oracle.said(&id)[at];
            (said.words, said.role, said.created_at) = (words, role.to_owned(), created_at);
            let edit = Edit::content(content).role(role).created_at(created_at);
            Mutation::new(id, Operation::EditMessage { message_id: said.id.clone().into(), edit })
        }
        _ => {
            let name = format!("m{number}");
            let message = NewMessage::new(content).role(role).id(name.clone()).created_at(created_at);
            oracle.said(&id).push(Said { id: name, role: role.to_owned(), created_at, words });
            Mutation::add_message(id, message)
        }
    }
}

/// A store on each backend, and how it is opened for reading.
fn stores(dir: &Path) -> Vec<(MessageStore, Option<MessageStore>)> {
    let options = || MessageStore::options().sync(SyncPolicy::Os);
    let mut stores = vec![
        (MessageStore::in_memory(), None),
        (options().compact_manually().open(dir.join("directory")).unwrap(), None),
    ];
    for home in databases::of(dir) {
        let Home::Database(url) = home else { panic!() };
        let store = options().connect(&url).unwrap();
        let reader = options().read_only().connect(&url).unwrap();
        stores.push((store, Some(reader)));
    }
    stores
}

/// The same, with its role in the query.
fn with_filter(mut search: Search) -> Search {
    if let Some(role) = search.role.take() {
        search.query = format!("role:{} {}", role.as_str().unwrap(), search.query);
    }
    search
}

fn names(found: &[Found]) -> Vec<(String, u64, String)> {
    found.iter().map(|hit| (hit.conversation_id.clone(), hit.place, hit.id.to_string())).collect()
}

/// Holds that everybody says what the oracle says.
fn hold(stores: &[(MessageStore, Option<MessageStore>)], oracle: &Oracle, choice: &mut SplitMix) {
    let (search, phrases) = search(choice);
    let ought = oracle.find(&search, &phrases);
    let search = if choice.pick(2) == 0 { with_filter(search) } else { search };
    let mut told: Option<Vec<Found>> = None;
    let both = |(store, reader): &(MessageStore, Option<MessageStore>)| {
        let found = store.search(search.clone());
        let read = reader.as_ref().map(|reader| reader.search(search.clone()));
        [Some(found), read].into_iter().flatten().collect::<Vec<_>>()
    };
    for found in stores.iter().flat_map(both) {
        match (&ought, found) {
            (None, Err(error)) => assert_eq!(error.kind(), ErrorKind::NotFound, "{search:?}"),
            (Some(ought), Ok(found)) => {
                assert_eq!(names(&found), *ought, "{search:?}");
                // Down to what is shown of them.
                let told = told.get_or_insert_with(|| found.clone());
                assert_eq!(*told, found, "{search:?}");
            }
            (ought, found) => panic!("{search:?}: {ought:?}, {found:?}"),
        }
    }
}

#[test]
fn every_backend_finds_what_a_look_at_every_message_finds() {
    let programs = std::env::var("SEARCH_PROGRAMS").ok().and_then(|count| count.parse().ok()).unwrap_or(2);
    for program in 0..programs {
        let dir = tempfile::tempdir().unwrap();
        let (stores, mut oracle, mut choice) =
            (stores(dir.path()), Oracle::default(), SplitMix::new(program));
        for number in 0..350 {
            let mutation = change(&mut choice, &mut oracle, number);
            for (store, _) in &stores {
                drop(store.append(mutation.clone()).unwrap());
            }
            // Seldom enough that an index lags, often enough that it catches up in the middle of things.
            if choice.pick(15) == 0 {
                hold(&stores, &oracle, &mut choice);
            }
        }
        for _ in 0..20 {
            hold(&stores, &oracle, &mut choice);
        }
        for (store, reader) in &stores {
            if reader.is_some() {
                assert_eq!(store.verify().unwrap().damaged, []);
            }
        }
    }
}

#[test]
fn a_filter_means_the_same_in_every_backend() {
    let dir = tempfile::tempdir().unwrap();
    for (store, reader) in stores(dir.path()) {
        let add = |text: &str, role: &str, metadata: &str| {
            let metadata = aral_store::JsonObject::parse(metadata).unwrap();
            store.add_message("c1", NewMessage::new(text).role(role).metadata(metadata)).unwrap();
        };
        add("rain in role:user", "user", "{}");
        add(
            "rain?",
            "assistant",
            r#"{"tool_calls":[{"id":"1","function":{"name":"weather","arguments":"{}"}}]}"#,
        );
        add("rain at std::fs", "tool", r#"{"tool_call_id":"1","name":"weather"}"#);
        add("rain", "tool", r#"{"tool_call_id":"2","name":"read file"}"#);
        for (query, places) in [
            ("rain", vec![3, 2, 1, 0]),
            ("rain role:user", vec![0]),
            ("role:tool role:assistant rain", vec![3, 2, 1]),
            ("tool:weather rain", vec![2, 1]),
            ("tool:weather role:tool rain", vec![2]),
            ("rain tool:\"read file\"", vec![3]),
            ("rain tool:Weather", vec![]),
            ("\"role:user\"", vec![0]),
            ("std::fs", vec![2]),
        ] {
            for store in [Some(&store), reader.as_ref()].into_iter().flatten() {
                let found = store.search(query).unwrap();
                assert_eq!(found.iter().map(|hit| hit.place).collect::<Vec<_>>(), places, "{query}");
            }
        }
        for query in ["role:user", "rain role:", "rain tool:*"] {
            assert_eq!(store.search(query).unwrap_err().kind(), ErrorKind::InvalidInput, "{query}");
        }
    }
}

#[test]
fn a_query_that_means_nothing_is_refused_by_every_backend() {
    let dir = tempfile::tempdir().unwrap();
    for (store, _) in stores(dir.path()) {
        for query in ["", "  ", "\"open", "\"\"", "*", "a*b", "-"] {
            assert_eq!(store.search(query).unwrap_err().kind(), ErrorKind::InvalidInput, "{query:?}");
        }
        let nowhere = Search::new("a").conversation("nowhere");
        assert_eq!(store.search(nowhere).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(store.search("a").unwrap(), []);
    }
}
