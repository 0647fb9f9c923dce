//! What a bucket keeps of what was.

use std::sync::{Arc, Mutex};

use super::sim::{Bucket, Client, Interruption, Shared};
use super::world::{engine, message};
use crate::backend::Backend;
use crate::backend::locked::locked;
use crate::error::ErrorKind;
use crate::model::{Edit, Keep, Mutation, Operation};
use crate::rules::Walk;

fn bucket() -> Shared {
    Arc::new(Mutex::new(Bucket::default()))
}

#[test]
fn what_was_since_the_newest_compaction_is_known_and_what_was_before_is_said_to_be_gone() {
    let bucket = bucket();
    let store = engine(Client::sound(&bucket));
    let edit = |text: &str| {
        let edit = Operation::EditMessage { message_id: "1".into(), edit: Edit::content(text) };
        drop(store.append(vec![Mutation::new("a", edit)]).unwrap());
    };
    drop(store.append(vec![message("a", "1")]).unwrap());
    drop(store.append(vec![message("b", "2")]).unwrap());
    edit("second");
    assert_eq!(store.history("a").unwrap().whole_from, 0);
    store.compact().unwrap();
    let history = store.history("a").unwrap();
    assert_eq!((history.whole_from, history.events.len()), (3, 0));
    edit("third");
    drop(store.append(vec![Mutation::new("b", Operation::RemoveConversation)]).unwrap());
    let history = store.history("a").unwrap();
    assert_eq!((history.base.unwrap().last_seq, history.events[0].seq), (3, 4));
    let history = store.history("a").unwrap();
    let then = Walk::begin(&history).steps(&history.events).unwrap().state.unwrap();
    assert_eq!(then.conversation, store.conversation("a").unwrap().unwrap());
    assert_eq!(store.history("b").unwrap().base.unwrap().conversation.messages.len(), 1);
    store.compact().unwrap();
    let history = store.history("b").unwrap();
    assert!(history.is_empty() && history.whole_from == 5, "{history:?}");
    assert_eq!(store.kept_history().unwrap().from, 6);
    assert_eq!(store.keep_history(Keep::Nothing).unwrap().keep, Keep::Nothing);
    let refused = store.keep_history(Keep::Everything).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.message().contains("copy the store into a"), "{refused}");
}

#[test]
fn a_compaction_while_the_past_is_read_is_a_reason_to_begin_again() {
    let bucket = bucket();
    let store = engine(Client::sound(&bucket));
    store.append(vec![message("a", "1")]).unwrap();
    store.compact().unwrap();
    store.append(vec![message("a", "2"), message("b", "3")]).unwrap();
    let act = move || drop(store.compact().unwrap());
    let part = "states/0000000000000001.json";
    let client = Client::interrupted(&bucket, Interruption { verb: "get", part, act: Box::new(act) });
    let late = engine(Client::sound(&bucket)).like(Arc::new(client));
    let history = late.history("a").unwrap();
    assert_eq!(history.base.map(|base| base.conversation.messages.len()), Some(2));
    assert!(history.whole_from == 2 && history.events.is_empty());
    assert!(locked(&bucket).objects.contains_key("states/0000000000000002.json"));
}
