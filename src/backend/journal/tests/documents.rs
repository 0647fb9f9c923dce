//! Documents in memory, kept by several processes whose requests go wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::sim::Numbers;
use crate::backend::journal::objects::{Answer, Trouble, Version};
use crate::backend::journal::projection::{Changed, Head, Mark, Projection};
use crate::backend::locked::locked;
use crate::codec::segment::StoreId;
use crate::error::{Error, ErrorKind};
use crate::model::{Action, Message, Seq};

/// Items by their conversation and place, each as of an event.
pub(super) type Items<T> = BTreeMap<(String, u64), (Seq, T)>;

/// Documents in memory, each of which is written by itself.
#[derive(Debug, Default)]
pub(super) struct Kept {
    mark: Option<Mark>,
    pub(super) heads: BTreeMap<String, (Seq, Head)>,
    pub(super) messages: Items<Message>,
    actions: Items<Action>,
    /// How many documents were written.
    pub(super) writes: usize,
}

/// What one process writes them by.
pub(super) struct Documents {
    kept: Arc<Mutex<Kept>>,
    numbers: Mutex<Numbers>,
    /// How many requests in a thousand go wrong, before they take effect or after.
    per_mille: usize,
    /// What happens before the next writing takes effect.
    pub(super) before: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// The same before one conversation is forgotten.
    pub(super) before_forgetting: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    pub(super) is_away: Mutex<bool>,
}

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Documents")
    }
}

impl Documents {
    pub(super) fn on(kept: &Arc<Mutex<Kept>>, seed: u64, per_mille: usize) -> Arc<Self> {
        Arc::new(Self {
            kept: Arc::clone(kept),
            numbers: Mutex::new(Numbers::new(seed)),
            per_mille,
            before: Mutex::default(),
            before_forgetting: Mutex::default(),
            is_away: Mutex::default(),
        })
    }

    fn lost() -> Trouble {
        Trouble::Open(Error::new(ErrorKind::Io, "no answer"))
    }

    /// Carries a request out; it may go wrong on either side of it.
    fn ask<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> Answer<T> {
        if *locked(&self.is_away) {
            return Err(Trouble::Final(Error::new(ErrorKind::Io, "the documents are away")));
        }
        let goes_wrong = |documents: &Self| locked(&documents.numbers).next(1000) < documents.per_mille;
        if goes_wrong(self) {
            return Err(Self::lost());
        }
        let value = act(&mut locked(&self.kept));
        if goes_wrong(self) { Err(Self::lost()) } else { Ok(value) }
    }
}

fn cut<T>(items: &mut Items<T>, id: &str, len: u64, as_of: Seq) {
    items.retain(|(of, place), (seq, _)| of != id || *place < len || *seq > as_of);
}

fn lay<T: Clone>(items: &mut Items<T>, id: &str, as_of: Seq, new: &[(u64, T)]) {
    for (place, item) in new {
        let there = items.entry((id.to_owned(), *place)).or_insert_with(|| (as_of, item.clone()));
        if there.0 < as_of {
            *there = (as_of, item.clone());
        }
    }
}

impl Kept {
    fn put(&mut self, changed: &Changed) {
        let (id, as_of) = (&changed.id, changed.as_of);
        self.writes += 1 + changed.messages.len() + changed.actions.len();
        lay(&mut self.messages, id, as_of, &changed.messages);
        lay(&mut self.actions, id, as_of, &changed.actions);
        let (messages, actions) = match &changed.head {
            Some(head) => {
                let there = self.heads.entry(id.clone()).or_insert_with(|| (as_of, head.clone()));
                if there.0 < as_of {
                    *there = (as_of, head.clone());
                }
                (head.summary.messages, head.summary.actions)
            }
            None => {
                self.heads.retain(|of, (seq, _)| of != id || *seq > as_of);
                (0, 0)
            }
        };
        if changed.is_cut {
            cut(&mut self.messages, id, messages, as_of);
            cut(&mut self.actions, id, actions, as_of);
        }
    }
}

impl Projection for Documents {
    fn mark(&self) -> Answer<Option<Mark>> {
        self.ask(|kept| kept.mark.clone())
    }

    fn set_mark(&self, read: Option<&Mark>, store_id: StoreId, seq: Seq) -> Answer<Option<Mark>> {
        self.ask(|kept| {
            if kept.mark.as_ref() != read {
                return None;
            }
            let version = read.map_or(0, |mark| mark.version.0.parse::<u64>().unwrap()) + 1;
            kept.mark = Some(Mark { store_id, seq, version: Version(version.to_string()) });
            kept.mark.clone()
        })
    }

    fn put(&self, mark: &Mark, changes: &[Changed]) -> Answer<Option<Mark>> {
        if let Some(act) = locked(&self.before).take() {
            act();
        }
        // Each by itself, so that a part of them is there when the rest gets lost.
        for changed in changes {
            self.ask(|kept| kept.put(changed))?;
        }
        Ok(Some(mark.clone()))
    }

    fn ids(&self, behind: Option<&str>) -> Answer<Vec<String>> {
        self.ask(|kept| {
            let all = kept.heads.keys().chain(kept.messages.keys().map(|(id, _)| id));
            let mut ids: Vec<String> = all.chain(kept.actions.keys().map(|(id, _)| id)).cloned().collect();
            ids.sort_unstable();
            ids.dedup();
            ids.into_iter().filter(|id| behind.is_none_or(|behind| id.as_str() > behind)).take(3).collect()
        })
    }

    fn differences(&self, whole: &Changed) -> Answer<Vec<String>> {
        self.ask(|kept| {
            let of = |(id, _): &(String, u64)| *id == whole.id;
            let items = |items: &Items<Message>| {
                let own = items.iter().filter(|(key, _)| of(key));
                own.map(|((_, place), (_, item))| (*place, item.clone())).collect::<Vec<_>>()
            };
            let actions = kept.actions.iter().filter(|(key, _)| of(key));
            let actions: Vec<_> = actions.map(|((_, place), (_, action))| (*place, action.clone())).collect();
            let mut found = Vec::new();
            if kept.heads.get(&whole.id).map(|(_, head)| head) != whole.head.as_ref() {
                found.push("the conversation is another one".to_owned());
            }
            if items(&kept.messages) != whole.messages || actions != whole.actions {
                found.push("what it holds is something else".to_owned());
            }
            found
        })
    }

    fn forget(&self, id: &str) -> Answer<()> {
        let act = locked(&self.before_forgetting).take();
        if let Some(act) = act {
            act();
        }
        self.ask(|kept| {
            kept.heads.remove(id);
            kept.messages.retain(|(of, _), _| of != id);
            kept.actions.retain(|(of, _), _| of != id);
        })
    }
}
