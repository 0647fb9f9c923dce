//! Everything that can be done to a store, with small domains of values.
//!
//! Owns the alphabet and its generator, which draws from any source of choices: a seeded one, the bytes of a
//! fuzzer or of a property test. A choice of 0 is the simplest, so that what shrinks its bytes shrinks the
//! operations. Knows nothing of what the operations mean.

use aral_store::{
    ActionEdit, Edit, ForkPoint, JsonObject, Mutation, NewAction, NewConversation, NewMessage, Operation,
    SyncPolicy, Text, Timestamp, UniqueIds,
};

use super::simfs::Choose;

/// One thing to do.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// One mutation.
    Append(Step),
    /// Several as one.
    Batch(Vec<Step>),
    /// A conversation branches off another one, under this id, or one that is made up.
    Fork {
        from: String,
        to: Option<String>,
        point: ForkPoint,
    },
    /// Closes the store and opens it again.
    Reopen,
    /// Closes it, shows that it refuses everything, and opens it again.
    Close,
    Compact,
    /// Keeps all of the history from now on. It is not drawn.
    Keep,
    Sync,
    /// The process dies and another opens the store.
    Kill,
    /// The power goes and comes back; the number says what is lost.
    PowerCut(u64),
    /// A bit flips in the file of a conversation; the number says in which.
    Damage(u64),
    /// The file is put back as it was, and the store opened again.
    PutBack,
}

/// A mutation whose conditions are still to be made out.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) mutation: Mutation,
    pub(crate) expect: Expect,
}

/// Which version a mutation expects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expect {
    Nothing,
    /// The one that the conversation has.
    Right,
    /// So many more, 1 at least.
    Wrong(u64),
}

/// How a store is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) sync: SyncPolicy,
    pub(crate) first_segment_bytes: u64,
    pub(crate) compacts_on_close: bool,
}

/// Ids that are fine, that lead out of the directory, that differ in case only, that no file can have.
pub(crate) const CONVERSATIONS: [&str; 12] =
    ["c1", "../x", "a/b", "Abc", "abc", "c2", ".", "CON", "ünï cödé", "a\\b\0c", "..json", "/etc/x"];

const MESSAGE_IDS: [&str; 5] = ["m1", "m2", "m3", "a/b", "ü"];

const KEYS: [&str; 4] = ["k1", "k2", "k3", "ключ"];

const OBJECTS: [&str; 8] = [
    "{}",
    r#"{"a":1}"#,
    r#"{"nested":{"list":[1,2.5,"x",null,true]}}"#,
    r#"{"nan":NaN,"up":Infinity,"down":-Infinity}"#,
    r#"{"big":123456789012345678901234567890123456789012345678901234567890}"#,
    r#"{"half":"\ud83d","whole":"\ud83d\ude00"}"#,
    r#"{"float":1e300,"tiny":5e-324,"zero":-0.0}"#,
    r#"{"":"","a b":"</script>\u0000\u007f"}"#,
];

/// A half of a character, as a stream that was cut leaves it.
fn lone_surrogate() -> Text {
    Text::from_wtf8(vec![b'a', 0xed, 0xa0, 0xbd, b'z']).unwrap_or_default()
}

fn object(choice: &mut dyn Choose) -> JsonObject {
    JsonObject::parse(OBJECTS[choice.pick(OBJECTS.len())]).unwrap_or_default()
}

fn text(choice: &mut dyn Choose) -> Text {
    match choice.pick(10) {
        0 => Text::from("hi"),
        1 => Text::from(""),
        2 => Text::from("grüezi 🦀\n\"quoted\" \\ \u{0}\u{7f}\u{2028}"),
        3 => lone_surrogate(),
        4 => Text::from("x".repeat(600)),
        5 => Text::from("long ".repeat(700)),
        n => Text::from(format!("text {n}")),
    }
}

fn message_id(choice: &mut dyn Choose) -> Text {
    match choice.pick(12) {
        10 => lone_surrogate(),
        11 => Text::from(""),
        n => Text::from(MESSAGE_IDS[n % MESSAGE_IDS.len()]),
    }
}

fn given_id(choice: &mut dyn Choose) -> Option<Text> {
    if choice.pick(3) == 2 { None } else { Some(message_id(choice)) }
}

fn given_time(choice: &mut dyn Choose) -> Option<Timestamp> {
    match choice.pick(4) {
        1 => "2025-03-13T15:11:33.1".parse().ok(),
        2 => "1999-12-31T23:59:59+05:30".parse().ok(),
        _ => None,
    }
}

fn conversation_id(choice: &mut dyn Choose) -> String {
    match choice.pick(32) {
        30 => "l".repeat(300),
        31 => String::new(),
        n => CONVERSATIONS[n % CONVERSATIONS.len()].to_owned(),
    }
}

/// Fields that the original's model has no name for, or one that it has, which is refused.
fn extra(choice: &mut dyn Choose) -> JsonObject {
    const FIELDS: [&str; 3] = ["{}", r#"{"x-flag":true}"#, r#"{"x-list":["\ud83d",1e300],"x":{}}"#];
    JsonObject::parse(FIELDS[choice.pick(FIELDS.len())]).unwrap_or_default()
}

fn new_conversation(choice: &mut dyn Choose) -> NewConversation {
    let mut new = NewConversation::new().metadata(object(choice));
    new.title = if choice.pick(3) == 0 { None } else { Some(text(choice)) };
    new.created_at = given_time(choice);
    new
}

/// An edit of any fields; of none among others.
fn edit(choice: &mut dyn Choose) -> Edit {
    let mut edit = Edit::content(text(choice));
    match choice.pick(6) {
        1 => edit = edit.metadata(object(choice)),
        2 => edit = Edit::default().metadata(object(choice)),
        3 => edit = Edit::default(),
        4 => edit = Edit::default().role(text(choice)).extra(extra(choice)),
        5 => edit.created_at = given_time(choice),
        _ => {}
    }
    edit
}

fn action_edit(choice: &mut dyn Choose) -> ActionEdit {
    let mut edit = ActionEdit::data(object(choice));
    match choice.pick(4) {
        1 => edit = ActionEdit::default(),
        2 => edit = edit.action_type(text(choice)).metadata(object(choice)),
        3 => {
            edit = ActionEdit::default().extra(extra(choice));
            edit.created_at = given_time(choice);
        }
        _ => {}
    }
    edit
}

fn operation(choice: &mut dyn Choose) -> Operation {
    match choice.pick(22) {
        20 => given_time(choice).map_or(Operation::PruneConversation(None), Operation::RemoveConversationAt),
        21 => Operation::SetVersion([0, 3, 9, 40, 1 << 62, u64::MAX][choice.pick(6)]),
        6 => Operation::CreateConversation(new_conversation(choice)),
        16 => {
            let mut new = new_conversation(choice);
            new.extra = extra(choice);
            Operation::ResetConversation(new)
        }
        17 => Operation::EditAction { action_id: message_id(choice), edit: action_edit(choice) },
        18 => Operation::SetCreatedAt(given_time(choice).unwrap_or(Timestamp::EPOCH)),
        19 => Operation::SetExtra(extra(choice)),
        7 => Operation::SetTitle(text(choice)),
        8 => Operation::SetMetadata(object(choice)),
        9 => {
            let edit = edit(choice);
            Operation::EditMessage { message_id: message_id(choice), edit }
        }
        10 => Operation::RemoveMessage(message_id(choice)),
        11 | 12 => {
            let mut new = NewAction::new(text(choice), object(choice)).metadata(object(choice));
            new.id = given_id(choice);
            new.created_at = given_time(choice);
            Operation::AddAction(new)
        }
        13 => Operation::RemoveAction(message_id(choice)),
        14 => Operation::Clear,
        15 => Operation::RemoveConversation,
        _ => {
            let mut new = NewMessage::new(text(choice));
            new.id = given_id(choice);
            new.created_at = given_time(choice);
            if choice.pick(3) == 2 {
                new = new.role("assistant").metadata(object(choice));
            }
            Operation::AddMessage(new)
        }
    }
}

/// A piece of a reply; now and then one that is none, or that begins with half a character.
fn piece(choice: &mut dyn Choose) -> Text {
    match choice.pick(8) {
        5 => Text::from_wtf8(vec![0xed, 0xb8, 0x80, b'b']).unwrap_or_default(),
        6 | 7 => text(choice),
        n => Text::from(["hi", " and", " so on", "\n🦀", "\u{0}"][n]),
    }
}

/// Something that is done to a reply which is written piece by piece, in few places, so that it is met again.
fn of_a_reply(choice: &mut dyn Choose) -> Mutation {
    const MARKED: [&str; 2] = [r#"{"partial":true}"#, r#"{"a":1,"partial":true}"#];
    const MORE: [&str; 3] = ["{}", r#"{"a":2,"stop":"end"}"#, r#"{"partial":false}"#];
    let object = |text: &str| JsonObject::parse(text).unwrap_or_default();
    let (conversation, id) = (CONVERSATIONS[choice.pick(2)], Text::from(MESSAGE_IDS[choice.pick(2)]));
    let length = |choice: &mut dyn Choose| [None, None, None, Some(0), Some(2), Some(6)][choice.pick(6)];
    let operation = match choice.pick(8) {
        0 | 1 => {
            let content = if choice.pick(2) == 0 { Text::from("") } else { text(choice) };
            let metadata = object(MARKED[choice.pick(2)]);
            Operation::AddMessage(NewMessage::new(content).id(id).role("assistant").metadata(metadata))
        }
        6 => Operation::FinishMessage {
            message_id: id,
            length: length(choice),
            metadata: object(MORE[choice.pick(3)]),
        },
        7 => Operation::EditMessage { message_id: id, edit: edit(choice) },
        _ => Operation::AppendText { message_id: id, offset: length(choice), text: piece(choice) },
    };
    Mutation::new(conversation, operation)
}

/// Any mutation.
pub(crate) fn step(choice: &mut dyn Choose) -> Step {
    let mut mutation = match choice.pick(4) {
        3 => of_a_reply(choice),
        _ => Mutation::new(conversation_id(choice), operation(choice)),
    };
    if choice.pick(6) == 5 {
        let key = choice.pick(16);
        mutation = mutation.key(if key == 15 { "" } else { KEYS[key % KEYS.len()] });
    }
    if matches!(mutation.operation, Operation::AddMessage(_) | Operation::AddAction(_)) {
        mutation = mutation.unique_ids(match choice.pick(8) {
            6 => UniqueIds::Refuse,
            7 => UniqueIds::Existing,
            _ => UniqueIds::Off,
        });
    }
    let expect = match choice.pick(8) {
        6 => Expect::Right,
        7 => Expect::Wrong(1 + u64::try_from(choice.pick(3)).unwrap_or(0)),
        _ => Expect::Nothing,
    };
    Step { mutation, expect }
}

/// A fork at any point that every engine knows.
fn fork(choice: &mut dyn Choose) -> Op {
    let from = conversation_id(choice);
    let to = if choice.pick(4) == 3 { None } else { Some(conversation_id(choice)) };
    let point = match choice.pick(3) {
        1 => ForkPoint::Through(message_id(choice)),
        2 => ForkPoint::Before(message_id(choice)),
        _ => ForkPoint::Now,
    };
    Op::Fork { from, to, point }
}

/// Any operation.
pub(crate) fn op(choice: &mut dyn Choose) -> Op {
    match choice.pick(24) {
        14 => fork(choice),
        15..=18 => Op::Batch((0..choice.pick(6)).map(|_| step(choice)).collect()),
        19 => Op::Reopen,
        20 => Op::Compact,
        21 => Op::Kill,
        22 => Op::PowerCut(u64::try_from(choice.pick(1 << 16)).unwrap_or(0)),
        23 => match choice.pick(4) {
            0 => Op::Sync,
            1 => Op::Close,
            2 => Op::Damage(u64::try_from(choice.pick(1 << 16)).unwrap_or(0)),
            _ => Op::PutBack,
        },
        _ => Op::Append(step(choice)),
    }
}

/// Any settings that a test can bear with.
pub(crate) fn settings(choice: &mut dyn Choose) -> Settings {
    Settings {
        sync: if choice.pick(3) == 2 { SyncPolicy::Os } else { SyncPolicy::Always },
        first_segment_bytes: if choice.pick(2) == 0 { 8 << 10 } else { 64 << 10 },
        compacts_on_close: choice.pick(4) == 3,
    }
}

impl Step {
    /// A mutation without more conditions than it has.
    pub(crate) fn of(mutation: Mutation) -> Self {
        Self { mutation, expect: Expect::Nothing }
    }
}
