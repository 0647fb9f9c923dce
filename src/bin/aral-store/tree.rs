//! The list of conversations with each fork below the one that it comes from.
//!
//! Owns the order of that list. Where a fork comes from is what its metadata say, so anything may stand there: one that is its
//! own parent, at once or round about, is listed like one without.

use std::collections::{HashMap, HashSet};

use aral_store::{ForkedFrom, MessageStore, Order, Summary};

use crate::exit::{Exit, Failure};
use crate::output::one_line;
use crate::place;

/// A conversation at its place in the tree.
pub(crate) struct Branch {
    pub(crate) summary: Summary,
    pub(crate) from: Option<ForkedFrom>,
    pub(crate) depth: usize,
}

impl Branch {
    /// Where it comes from, in words.
    pub(crate) fn origin(&self) -> String {
        let Some(from) = &self.from else { return "-".to_owned() };
        let behind = from.message_id.as_ref().map(|id| format!(" {}", id.to_string_lossy()));
        let at = format!("{} v{}{}", from.conversation_id, from.version, behind.unwrap_or_default());
        one_line(&at)
    }

    /// What a list shows of it with its place: the parent as its metadata say it, and how deep it stands.
    pub(crate) fn to_json_line(&self) -> String {
        let from = self.from.as_ref().map_or_else(|| "null".to_owned(), |from| from.to_json().to_string());
        let line = self.summary.to_json_line();
        let open = line.strip_suffix('}').unwrap_or(&line);
        format!(r#"{open},"forked_from":{from},"depth":{}}}"#, self.depth)
    }
}

/// All conversations, each fork behind the one that it comes from, and what it comes to that some could not be read.
pub(crate) fn all(store: &MessageStore, order: Order) -> Result<(Vec<Branch>, Exit), Failure> {
    let mut exit = Exit::Done;
    let mut found = Vec::new();
    for summary in store.conversations(order)? {
        let from = match store.conversation_without_messages(&summary.id) {
            Ok(conversation) => conversation.and_then(|conversation| conversation.forked_from()),
            Err(error) if place::is_unreadable(&error) => {
                exit = exit.graver(place::amiss_by(&error));
                None
            }
            Err(error) => return Err(error.into()),
        };
        found.push((summary, from));
    }
    Ok((arranged(found), exit))
}

fn arranged(found: Vec<(Summary, Option<ForkedFrom>)>) -> Vec<Branch> {
    let there: HashSet<String> = found.iter().map(|(summary, _)| summary.id.clone()).collect();
    let parent = |from: &Option<ForkedFrom>| {
        from.as_ref().map(|from| from.conversation_id.clone()).filter(|id| there.contains(id))
    };
    let mut below: HashMap<String, Vec<usize>> = HashMap::new();
    let mut roots = Vec::new();
    for (at, (_, from)) in found.iter().enumerate() {
        match parent(from) {
            Some(id) => below.entry(id).or_default().push(at),
            None => roots.push(at),
        }
    }
    let mut left: Vec<Option<(Summary, Option<ForkedFrom>)>> = found.into_iter().map(Some).collect();
    let mut branches = Vec::new();
    // Behind those that hang from a root come those that hang from each other alone.
    for start in roots.into_iter().chain(0..left.len()) {
        let mut next = vec![(start, 0)];
        while let Some((at, depth)) = next.pop() {
            let Some((summary, from)) = left.get_mut(at).and_then(Option::take) else { continue };
            let children = below.get(&summary.id).map(Vec::as_slice).unwrap_or_default();
            next.extend(children.iter().rev().map(|child| (*child, depth + 1)));
            branches.push(Branch { summary, from, depth });
        }
    }
    branches
}

#[cfg(test)]
mod tests {
    use aral_store::{Fork, JsonObject};

    use super::*;

    fn shown(store: &MessageStore) -> Vec<(String, usize)> {
        let (branches, _) = all(store, Order::Created).unwrap();
        branches.into_iter().map(|branch| (branch.summary.id, branch.depth)).collect()
    }

    #[test]
    fn forks_stand_below_what_they_come_from_and_nothing_is_left_out() {
        let store = MessageStore::in_memory();
        for id in ["a", "b"] {
            drop(store.add_message(id, "x").unwrap());
        }
        for (from, to) in [("a", "a2"), ("a", "a1"), ("a2", "deep"), ("b", "b1")] {
            drop(store.fork(from, Fork::new().id(to)).unwrap());
        }
        let tree =
            |list: &[(&str, usize)]| list.iter().map(|(id, n)| ((*id).to_owned(), *n)).collect::<Vec<_>>();
        assert_eq!(shown(&store), tree(&[("a", 0), ("a2", 1), ("deep", 2), ("a1", 1), ("b", 0), ("b1", 1)]));
        drop(store.remove_conversation("a").unwrap());
        assert_eq!(shown(&store), tree(&[("b", 0), ("b1", 1), ("a2", 0), ("deep", 1), ("a1", 0)]));
        // What somebody has written there leads round about.
        let says = r#"{"forked_from":{"conversation_id":"deep","version":1,"message_id":null}}"#;
        drop(store.set_metadata("a2", JsonObject::parse(says).unwrap()).unwrap());
        assert_eq!(shown(&store), tree(&[("b", 0), ("b1", 1), ("a1", 0), ("a2", 0), ("deep", 1)]));
    }
}
