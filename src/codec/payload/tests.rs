//! Events come back as they were, and bytes that are none are refused.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::Index;

use super::decode::general;
use super::*;

fn time() -> Timestamp {
    Timestamp::from_wall_micros(1_741_878_693_447_327, Zone::Naive).unwrap()
}

fn events() -> Vec<Event> {
    let mut message = Message::new("4ae7d5a2-0b1f-4c5e-8a3e-000000000001", "hi", "user", time());
    message.metadata = JsonObject::from_canonical(r#"{"a":NaN}"#);
    let action = Action::new("a1", "tool_call", JsonObject::EMPTY, Timestamp::from_unix_micros(5).unwrap());
    let odd = Text::from_wtf8(vec![0xed, 0xa0, 0x80]).unwrap();
    let changes = [
        Change::Create {
            title: odd.clone(),
            created_at: time(),
            metadata: JsonObject::EMPTY,
            extra: JsonObject::EMPTY,
        },
        Change::SetTitle(Text::from("")),
        Change::SetMetadata(JsonObject::from_canonical(r#"{"k":[1]}"#)),
        Change::AddMessage(message.clone()),
        Change::EditMessage(message),
        Change::RemoveMessage(odd),
        Change::AddAction(action.clone()),
        Change::RemoveAction(Text::from("a1")),
        Change::Clear,
        Change::Remove { removed_at: None, reason: RemovalReason::Asked },
        Change::Reset {
            title: Text::from("again"),
            created_at: time(),
            metadata: JsonObject::from_canonical(r#"{"m":1}"#),
            extra: JsonObject::from_canonical(r#"{"x":1}"#),
        },
        Change::EditAction(action),
        Change::SetCreatedAt(time()),
        Change::SetExtra(JsonObject::from_canonical(r#"{"x":2}"#)),
        Change::Remove { removed_at: Some(time()), reason: RemovalReason::Asked },
        Change::Remove { removed_at: Some(time()), reason: RemovalReason::Retention },
        Change::Remove { removed_at: None, reason: RemovalReason::Retention },
        Change::SetVersion(u64::MAX),
    ];
    let mut events: Vec<_> = changes.into_iter().map(|change| Event::new("c/1", change)).collect();
    events[3].key = Some("k1".to_owned());
    events[3].fingerprint = 7;
    events
}

#[test]
fn an_event_that_is_cut_short_anywhere_is_refused() {
    // A role of one's own is a text, which can be cut too.
    let critic = Change::AddMessage(Message::new("m", "hi", "critic", time()));
    for event in events().into_iter().chain([Event::new("c", critic)]) {
        let mut payload = Vec::new();
        encode_event(&EventView::of(&event, 3), &mut payload).unwrap();
        assert!(decode_event(&payload).is_ok());
        for length in 0..payload.len() {
            assert!(decode_event(&payload[..length]).is_err(), "{length} bytes of {event:?}");
        }
    }
}

#[test]
fn a_role_that_there_is_not_is_refused() {
    let said_by = |role: &str| {
        let event = Event::new("c", Change::AddMessage(Message::new("m", "", role, time())));
        let mut payload = Vec::new();
        encode_event(&EventView::of(&event, 0), &mut payload).unwrap();
        payload
    };
    let (mut payload, other) = (said_by("user"), said_by("tool"));
    let role = payload.iter().zip(&other).position(|(one, other)| one != other).unwrap();
    for (tag, is_known) in [(3, true), (5, false), (250, false)] {
        payload[role] = tag;
        assert_eq!(decode_event(&payload).is_ok(), is_known, "{tag}");
    }
}

#[test]
fn an_event_has_only_what_its_kind_has() {
    for event in events() {
        let change = EventView::of(&event, 0).change;
        let kind = &event.change;
        assert_eq!(
            change.message().is_some(),
            matches!(kind, Change::AddMessage(_) | Change::EditMessage(_)),
            "{kind:?}"
        );
        assert_eq!(
            change.action().is_some(),
            matches!(kind, Change::AddAction(_) | Change::EditAction(_)),
            "{kind:?}"
        );
        let has_head = matches!(
            kind,
            Change::Create { .. } | Change::Reset { .. } | Change::SetMetadata(_) | Change::SetExtra(_)
        );
        assert_eq!(change.head().is_ok(), has_head, "{kind:?}");
    }
}

#[test]
fn events_come_back_as_they_were() {
    let events = events();
    let mut payload = Vec::new();
    for event in &events {
        encode_event(&EventView::of(event, 3), &mut payload).unwrap();
    }
    let mut back = Vec::new();
    for_each_event::<BadPayload>(&payload, 18, |view, _| {
        assert!(view.key.is_none_or(|key| key.fingerprint == 7));
        back.push(view.to_event()?);
        Ok(())
    })
    .unwrap();
    assert_eq!(back, events);
}

#[test]
fn a_text_that_is_no_object_is_refused() {
    for (text, is_object) in [("", true), ("{}", true), ("[]", false), ("{", false), ("\0", false)] {
        assert_eq!(ChangeView::SetMetadata(text).head().is_ok(), is_object, "{text:?}");
    }
}

#[test]
fn a_count_or_a_length_that_lies_is_refused_without_allocating() {
    let mut payload = Vec::new();
    encode_event(&EventView::of(&events()[3], 0), &mut payload).unwrap();
    let count = |payload: &[u8], n| for_each_event::<BadPayload>(payload, n, |_, _| Ok(()));
    assert!(count(&payload, 1).is_ok());
    assert!(count(&payload, 2).is_err());
    assert!(count(&payload, 0).is_err());
    assert!(count(&payload[..payload.len() - 1], 1).is_err());
    payload.push(0);
    assert!(count(&payload, 1).is_err());
    // A text that claims 2^64 - 1 bytes.
    let hostile = [&[1, 253][..], &[0xff; 8]].concat();
    assert!(count(&hostile, 1).is_err());
}

proptest! {
    #[test]
    fn the_quick_way_writes_and_reads_what_the_general_one_does(
        (conversation, id) in (any_id(), any_id()),
        (role, content) in (any_role(), vec(any::<u8>(), 0..600)),
        (wall, offset) in (any::<i64>(), of(any::<i64>())),
        (metadata, extra) in (".{0,300}", ".{0,3}"),
        flips in vec((any::<Index>(), any::<u8>()), 0..3),
    ) {
        let (conversation, id) = (IdView::of(&conversation), IdView::of(&id));
        let role = RoleView::of(&role);
        let created_at = TimeView { wall, offset };
        let message =
            MessageView { id, role, created_at, content: &content, metadata: &metadata, extra: &extra };
        let event = EventView { conversation, key: None, change: ChangeView::AddMessage(message) };
        let mut bytes = vec![9];
        fast_path::encode(event.conversation, &message, &mut bytes);
        prop_assert_eq!(&bytes[1..], &bincode::encode_to_vec(event, CONFIG).unwrap());
        let said = |found: (EventView<'_>, usize)| format!("{found:?}");
        let found = fast_path::decode(&bytes[1..]);
        prop_assert_eq!(found.map(said), Some(said((event, bytes.len() - 1))));
        prop_assert_eq!(fast_path::message(&bytes[1..]).map(shown), Some(shown(message)));
        // Of bytes that are anything else the quick way says nothing, or what the general one says.
        for (at, byte) in flips {
            let length = bytes.len() - 1;
            bytes[1 + at.index(length)] = byte;
        }
        if let Some(found) = fast_path::decode(&bytes[1..]) {
            prop_assert_eq!(Ok(said(found)), general(&bytes[1..]).map(said));
        }
        let generally = general(&bytes[1..]).ok().and_then(|(view, _)| view.change.message().copied());
        prop_assert_eq!(decode_message(&bytes[1..]).ok().map(shown), generally.map(shown));
    }
}

#[test]
fn a_number_of_any_length_is_read_as_it_was_written() {
    let (conversation, id) = (IdView::Text(b"c"), IdView::Text(b"m"));
    for wall in [0, 1, 125, 126, 32_767, 32_768, -32_769, 1 << 31, i64::MAX, i64::MIN] {
        let created_at = TimeView { wall, offset: Some(wall) };
        let message =
            MessageView { id, role: RoleView::User, created_at, content: b"", metadata: "", extra: "" };
        let mut bytes = Vec::new();
        fast_path::encode(conversation, &message, &mut bytes);
        let event = EventView { conversation, key: None, change: ChangeView::AddMessage(message) };
        assert_eq!(bytes, bincode::encode_to_vec(event, CONFIG).unwrap(), "{wall}");
        assert_eq!(fast_path::message(&bytes).map(shown), Some(shown(message)));
    }
}

fn shown(message: MessageView<'_>) -> String {
    format!("{message:?}")
}

#[test]
fn the_message_of_any_event_is_the_one_that_the_event_has() {
    for event in events() {
        let mut payload = Vec::new();
        encode_event(&EventView::of(&event, 3), &mut payload).unwrap();
        let (view, _) = decode_event(&payload).unwrap();
        let found = decode_message(&payload);
        assert_eq!(found.as_ref().ok().copied().map(shown), view.change.message().copied().map(shown));
        if let Err(refused) = found {
            assert!(refused.0.contains("no message"), "{refused:?}");
        }
        for length in 0..payload.len() {
            assert!(decode_message(&payload[..length]).is_err(), "{length} bytes of {event:?}");
        }
    }
}

fn any_id() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<u128>().prop_map(|id| uuid::Uuid::from_u128(id).to_string().into_bytes()),
        ".{0,300}".prop_map(String::into_bytes),
    ]
}

fn any_role() -> impl Strategy<Value = Text> {
    prop_oneof![Just("user"), Just("assistant"), Just("system"), Just("tool"), Just("other")]
        .prop_map(Text::from)
}
