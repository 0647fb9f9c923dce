//! How two states of a conversation differ.
//!
//! Owns what counts as the same item: one of the same id and, where an id is used twice, of the same turn among those.

use std::collections::HashMap;

use super::{Action, Conversation, JsonObject, Message, Text, Timestamp};

/// How two states of a conversation differ. What is the same in both is not in it.
///
/// ```
/// use aral_store::{At, Difference, Edit, ItemDifference, MessageStore, NewMessage};
/// # let dir = tempfile::tempdir().unwrap();
/// let store = MessageStore::open(dir.path())?;
/// store.add_message("c1", NewMessage::new("Helo!").id("m1"))?;
/// store.edit_message("c1", "m1", Edit::content("Hello!"))?;
/// let (old, new) = (store.at(1).conversation("c1")?, store.conversation("c1")?);
/// let difference = Difference::between(&old.unwrap(), &new.unwrap());
/// assert!(matches!(&difference.messages[..], [ItemDifference::Edited { .. }]));
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Difference {
    /// The titles.
    pub title: Option<(Text, Text)>,
    /// The times of creation.
    pub created_at: Option<(Timestamp, Timestamp)>,
    /// The metadata.
    pub metadata: Option<(JsonObject, JsonObject)>,
    /// The fields without a name in the original's model.
    pub extra: Option<(JsonObject, JsonObject)>,
    /// Messages that are gone, in their order, and then those that are new or changed, in theirs.
    pub messages: Vec<ItemDifference<Message>>,
    /// The same of actions.
    pub actions: Vec<ItemDifference<Action>>,
    /// Whether messages or actions that are in both are in another order.
    pub is_reordered: bool,
}

/// How a message or an action differs.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ItemDifference<T> {
    /// It is in the old state alone.
    Removed(T),
    /// It is in the new state alone.
    Added(T),
    /// It is in both, and not the same.
    Edited {
        /// What it was.
        old: T,
        /// What it became.
        new: T,
    },
}

impl Difference {
    /// How a later state differs from an earlier one.
    #[must_use]
    pub fn between(old: &Conversation, new: &Conversation) -> Self {
        let (messages, is_first) = items(&old.messages, &new.messages, |message| &message.id);
        let (actions, is_second) = items(&old.actions, &new.actions, |action| &action.id);
        Self {
            title: unless_same(&old.title, &new.title),
            created_at: unless_same(&old.created_at, &new.created_at),
            metadata: unless_same(&old.metadata, &new.metadata),
            extra: unless_same(&old.extra, &new.extra),
            messages,
            actions,
            is_reordered: is_first || is_second,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn unless_same<T: Clone + PartialEq>(old: &T, new: &T) -> Option<(T, T)> {
    (old != new).then(|| (old.clone(), new.clone()))
}

/// The items by their ids, and the how-manieth of an id each is.
fn by_turn<'t, T>(
    list: &'t [T],
    id: impl Fn(&'t T) -> &'t Text + 't,
) -> impl Iterator<Item = ((&'t Text, usize), &'t T)> {
    let mut seen: HashMap<&Text, usize> = HashMap::new();
    list.iter().map(move |item| {
        let turn = seen.entry(id(item)).or_default();
        *turn += 1;
        ((id(item), *turn), item)
    })
}

/// What is different about a list, and whether what is in both is in another order.
fn items<T: Clone + PartialEq>(
    old: &[T],
    new: &[T],
    id: impl for<'i> Fn(&'i T) -> &'i Text + Copy,
) -> (Vec<ItemDifference<T>>, bool) {
    let places: HashMap<_, _> =
        by_turn(old, id).zip(0_usize..).map(|((key, item), at)| (key, (at, item))).collect();
    let there: HashMap<_, _> = by_turn(new, id).collect();
    let gone = by_turn(old, id).filter(|(key, _)| !there.contains_key(key));
    let mut found: Vec<_> = gone.map(|(_, item)| ItemDifference::Removed(item.clone())).collect();
    let (mut last, mut is_reordered) = (None, false);
    for (key, item) in by_turn(new, id) {
        let Some((at, before)) = places.get(&key) else {
            found.push(ItemDifference::Added(item.clone()));
            continue;
        };
        is_reordered |= last.is_some_and(|last| last > *at);
        last = Some(*at);
        if **before != *item {
            found.push(ItemDifference::Edited { old: (*before).clone(), new: item.clone() });
        }
    }
    (found, is_reordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(messages: &[(&str, &str)]) -> Conversation {
        let mut made = Conversation::new("c", Timestamp::EPOCH);
        let message = |(id, text): &(&str, &str)| Message::new(*id, *text, "user", Timestamp::EPOCH);
        made.messages = messages.iter().map(message).collect();
        made
    }

    fn words(old: &[(&str, &str)], new: &[(&str, &str)]) -> (Vec<String>, bool) {
        let found = Difference::between(&conversation(old), &conversation(new));
        let word = |item: &ItemDifference<Message>| match item {
            ItemDifference::Removed(message) => format!("-{}", message.content.to_string_lossy()),
            ItemDifference::Added(message) => format!("+{}", message.content.to_string_lossy()),
            ItemDifference::Edited { old, new } => {
                format!("{}>{}", old.content.to_string_lossy(), new.content.to_string_lossy())
            }
        };
        (found.messages.iter().map(word).collect(), found.is_reordered)
    }

    #[test]
    fn items_are_told_apart_by_their_ids_and_by_their_turns_where_an_id_is_used_twice() {
        assert_eq!(words(&[("a", "1"), ("b", "2")], &[("a", "1"), ("b", "2")]), (vec![], false));
        let (old, new) = ([("a", "1"), ("b", "2"), ("c", "3")], [("a", "1"), ("c", "4"), ("d", "5")]);
        assert_eq!(words(&old, &new), (vec!["-2".to_owned(), "3>4".to_owned(), "+5".to_owned()], false));
        let (old, new) = ([("a", "1"), ("a", "2")], [("a", "1")]);
        assert_eq!(words(&old, &new), (vec!["-2".to_owned()], false));
        assert_eq!(words(&[("a", "1"), ("b", "2")], &[("b", "2"), ("a", "1")]), (vec![], true));
    }

    #[test]
    fn what_a_list_shows_of_a_conversation_is_compared_too() {
        let old = conversation(&[]);
        let mut new = old.clone();
        assert!(Difference::between(&old, &new).is_empty());
        (new.title, new.version) = (Text::from("T"), 9);
        let found = Difference::between(&old, &new);
        assert_eq!(found.title, Some((old.title, Text::from("T"))));
        assert_eq!(found.metadata, None);
    }
}
