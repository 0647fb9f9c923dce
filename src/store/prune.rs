//! Taking away what is older than what is to be kept.
//!
//! Owns what a policy comes to in a store: a conversation at a time, each as one batch that expects what was looked at.

use super::handle::MessageStore;
use crate::backend::no_conversation;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Conversations, Mutation, Operation, Order, PruneReport, Pruned, Retention, RetentionPolicy, Summary,
};

/// How many conversations are listed at once.
const PAGE: usize = 1000;

impl MessageStore {
    /// Adds to the error for a conversation that is not there what became of it, if it was removed.
    #[cold]
    pub(super) fn explained(&self, id: &str, error: Error) -> Error {
        if error.kind() != ErrorKind::NotFound || error.message() != no_conversation(id).message() {
            return error;
        }
        match self.removed(id) {
            Ok(Some(tombstone)) => {
                Error::new(ErrorKind::NotFound, format!("{}: {}", error.message(), tombstone.in_words()))
            }
            Ok(None) | Err(_) => error,
        }
    }

    /// What a policy would take away by now; nothing is changed.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a policy that says neither how old nor how many, or that leaves no message; `NotFound` for a conversation that it names and
    /// that is not there; those of [`conversation`](Self::conversation).
    pub fn prunable(&self, policy: &Retention) -> Result<Vec<Pruned>> {
        let found = self.each_meant(policy)?;
        let planned = found.iter().map(|summary| self.plan(policy, summary));
        planned.filter_map(|plan| plan.map(|plan| plan.map(|(pruned, _)| pruned)).transpose()).collect()
    }

    /// Takes away what a policy names, by events like any other: each conversation by a batch of its own, which readers,
    /// followers and the history see, and which [`unremove`](Self::unremove) and [`undo`](Self::undo) take back as far as
    /// that is kept. What is remembered of a removed conversation says that it was for its age.
    ///
    /// A conversation that is changed meanwhile is left as it is, and named. Nothing is ever taken unasked: a policy that is
    /// [kept in the store](Self::set_retention) is gone by when [`prune_as_stored`](Self::prune_as_stored) is called.
    ///
    /// # Errors
    ///
    /// Those of [`prunable`](Self::prunable), before anything is done; those of [`batch`](Self::batch), after which the conversations before are pruned, and
    /// the call can be repeated.
    pub fn prune(&self, policy: &Retention) -> Result<PruneReport> {
        let mut report = PruneReport::default();
        for summary in self.each_meant(policy)? {
            if let Some((pruned, steps)) = self.plan(policy, &summary)? {
                self.carry_out(pruned, steps, &mut report)?;
            }
        }
        Ok(report)
    }

    /// Takes away what was planned, and says so.
    pub(super) fn carry_out(
        &self,
        mut pruned: Pruned,
        steps: Vec<Mutation>,
        report: &mut PruneReport,
    ) -> Result<()> {
        match self.batch(steps) {
            Ok(receipts) => {
                pruned.events = receipts.first().zip(receipts.last()).map(|(a, b)| (a.seq, b.seq));
                report.pruned.push(pruned);
            }
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {
                report.changed.push(pruned.conversation_id);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The conversations that a policy means, in the order in which they began.
    fn each_meant(&self, policy: &Retention) -> Result<Vec<Summary>> {
        if policy.older_than.is_none() && policy.keep_last.is_none() {
            return Err(Error::invalid(
                "a policy has to say how old what goes is, or how many messages stay",
            ));
        }
        if policy.keep_last == Some(0) {
            let reason = "at least one message has to stay; to remove whole conversations, say how old they are and not how many messages stay";
            return Err(Error::invalid(reason));
        }
        let mut found = self.listed_or_named(&policy.conversations)?;
        found.retain(|summary| policy.means(summary));
        Ok(found)
    }

    /// These conversations, or all if none is named, but for the one that is there to have the policy of the store.
    pub(super) fn listed_or_named(&self, named: &[String]) -> Result<Vec<Summary>> {
        let found =
            named.iter().map(|id| self.summary(id)?.ok_or_else(|| self.explained(id, no_conversation(id))));
        let mut found = found.collect::<Result<Vec<_>>>()?;
        if named.is_empty() {
            found = self.all_conversations()?;
            found.retain(|summary| summary.id != RetentionPolicy::STORE_CONVERSATION);
        }
        Ok(found)
    }

    /// All conversations, in the order in which they began.
    pub(super) fn all_conversations(&self) -> Result<Vec<Summary>> {
        let (mut found, mut page) = (Vec::new(), Conversations::by(Order::Created).first(PAGE));
        loop {
            let listed = self.conversations(page)?;
            let Some(last) = listed.last().filter(|_| listed.len() == PAGE) else {
                found.extend(listed);
                return Ok(found);
            };
            page = Conversations::by(Order::Created).after(last.id.as_str()).first(PAGE);
            found.extend(listed);
        }
    }

    /// What goes of a conversation, and how; nothing if nothing does.
    pub(super) fn plan(
        &self,
        policy: &Retention,
        summary: &Summary,
    ) -> Result<Option<(Pruned, Vec<Mutation>)>> {
        let mut pruned = Pruned {
            conversation_id: summary.id.clone(),
            is_whole: true,
            messages: summary.messages,
            actions: summary.actions,
            range: None,
            last_activity: summary.last_activity,
            events: None,
        };
        let Some(keep) = policy.keep_last else {
            let removal = Mutation::new(summary.id.as_str(), Operation::PruneConversation(None));
            return Ok(Some((pruned, vec![removal.expect(summary.version)])));
        };
        if usize::try_from(summary.messages).is_ok_and(|count| count <= keep) {
            return Ok(None);
        }
        let Some(now) = self.conversation(&summary.id)? else { return Ok(None) };
        let cut = Retention::cut(&now.messages, keep)?;
        let gone = now.messages.get(..cut).unwrap_or_default();
        let Some((first, last)) = gone.first().zip(gone.last()) else { return Ok(None) };
        (pruned.is_whole, pruned.actions, pruned.messages) =
            (false, 0, u64::try_from(cut).unwrap_or(u64::MAX));
        pruned.range = Some((first.id.clone(), last.id.clone()));
        Ok(Some((pruned, Retention::steps(&now, cut)?)))
    }
}
