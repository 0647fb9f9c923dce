//! Texts that no database holds come back as they were.

use super::{hold, open};
use crate::backend::Backend;
use crate::model::{
    Edit, JsonObject, Messages, Mutation, NewAction, NewConversation, NewMessage, Operation, Text,
};

fn surrogate() -> Text {
    Text::from_wtf8(vec![b'a', 0xed, 0xa0, 0x80]).unwrap()
}

/// Texts that look alike in a text column, or could be taken for one another.
fn alike() -> Vec<Text> {
    let mut texts = vec![surrogate(), Text::from_wtf8(vec![b'a', 0xed, 0xb0, 0x80]).unwrap()];
    texts.extend(["a\u{fffd}", "a", "A", "a ", "a\0", "a\u{1a}", "a\0b", "á", "a\u{301}"].map(Text::from));
    texts
}

#[test]
fn texts_that_look_alike_stay_apart_in_every_column() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = open(dir.path());
    let metadata = JsonObject::parse(
        r#"{"nan":NaN,"big":123456789012345678901234567890,"z":1.0,"a":1,"s":"\ud800\u0000"}"#,
    )
    .unwrap();
    for text in alike() {
        let mut message = NewMessage::new(text.clone()).role(text.clone()).metadata(metadata.clone());
        message.extra = metadata.clone();
        message.id = Some(text.clone());
        engine.append_one(Mutation::add_message("c1", message)).unwrap();
        let action = NewAction { id: Some(text.clone()), ..NewAction::new(text.clone(), metadata.clone()) };
        engine.append_one(Mutation::add_action("c1", action)).unwrap();
        engine.append_one(Mutation::new("c1", Operation::SetTitle(text.clone()))).unwrap();
        let title = engine.summary("c1").unwrap().unwrap().title;
        assert_eq!(title, text);
    }
    let kept = engine.conversation("c1").unwrap().unwrap();
    let all = alike();
    assert!(
        kept.messages
            .iter()
            .zip(&all)
            .all(|(is, ought)| (&is.id, &is.content, &is.role) == (ought, ought, ought))
    );
    assert!(kept.actions.iter().zip(&all).all(|(is, ought)| (&is.id, &is.action_type) == (ought, ought)));
    assert!(kept.messages.iter().all(|is| is.metadata == metadata && is.extra == metadata));
    for text in &all {
        let found = engine.message("c1", text.into()).unwrap().unwrap();
        assert_eq!(found.content, *text);
        let of_role = engine.messages("c1", &Messages::all().role(text.clone())).unwrap();
        assert_eq!(of_role.iter().map(|message| &message.content).collect::<Vec<_>>(), [text]);
        let edit = Operation::EditMessage {
            message_id: text.clone(),
            edit: Edit::content(format!("edited {text}")),
        };
        engine.append_one(Mutation::new("c1", edit)).unwrap();
    }
    let edited = engine.conversation("c1").unwrap().unwrap().messages;
    assert!(edited.iter().zip(&all).all(|(is, ought)| is.content == Text::from(format!("edited {ought}"))));
    hold(&engine);
}

#[test]
fn conversations_whose_ids_look_alike_stay_apart() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = open(dir.path());
    let long = "é".repeat(512);
    let ids =
        ["a", "A", "a ", " a", "a\0", "a\u{1a}", "\0", "á", "a\u{301}", "a%", "a_", "'; DROP TABLE x", &long];
    for (n, id) in ids.into_iter().enumerate() {
        engine
            .append_one(Mutation::create_conversation(id, NewConversation::new().title(surrogate())))
            .unwrap();
        engine.append_one(Mutation::add_message(id, id).key(format!("key {n}"))).unwrap();
    }
    for (n, id) in ids.into_iter().enumerate() {
        let kept = engine.conversation(id).unwrap().unwrap();
        assert_eq!((kept.id.as_str(), kept.messages.len(), kept.title), (id, 1, surrogate()));
        assert_eq!(kept.messages[0].content, Text::from(id));
        let again = engine.append_one(Mutation::add_message(id, id).key(format!("key {n}"))).unwrap();
        assert_eq!(again.version, 2);
    }
    for id in ids {
        engine.append_one(Mutation::new(id, Operation::RemoveConversation)).unwrap();
        assert!(engine.removed(id).unwrap().is_some());
    }
    assert_eq!(engine.tombstones().unwrap().len(), ids.len());
    hold(&engine);
}
