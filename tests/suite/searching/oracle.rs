//! Searching as plainly as it can be done: over lists of words that are known beforehand.

use aral_store::{Search, SearchOrder, Timestamp};

/// A message, with its words.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) id: String,
    pub(super) role: String,
    pub(super) created_at: Timestamp,
    pub(super) words: Vec<String>,
}

/// Conversations in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Oracle(Vec<(String, Vec<Said>)>);

impl Oracle {
    pub(super) fn conversation(&self, id: &str) -> Option<&Vec<Said>> {
        self.0.iter().find(|(name, _)| name == id).map(|(_, said)| said)
    }

    /// The messages of a conversation, which begins if there is none.
    pub(super) fn said(&mut self, id: &str) -> &mut Vec<Said> {
        if self.conversation(id).is_none() {
            self.0.push((id.to_owned(), Vec::new()));
        }
        &mut self.0.iter_mut().find(|(name, _)| name == id).unwrap().1
    }

    pub(super) fn clear(&mut self, id: &str) {
        self.said(id).clear();
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.0.retain(|(name, _)| name != id);
    }

    /// What a search finds; `None` if its conversation is not there.
    pub(super) fn find(
        &self,
        search: &Search,
        phrases: &[(Vec<String>, bool)],
    ) -> Option<Vec<(String, u64, String)>> {
        if search.conversation.as_ref().is_some_and(|id| self.conversation(id).is_none()) {
            return None;
        }
        let mut hits = Vec::new();
        for (began, (id, said)) in self.0.iter().enumerate() {
            for (place, said) in said.iter().enumerate() {
                let is_meant = search.conversation.as_ref().is_none_or(|wanted| wanted == id)
                    && search.role.as_ref().is_none_or(|role| *role == said.role.as_str())
                    && search.since.is_none_or(|since| said.created_at.may_be_since(since))
                    && search.until.is_none_or(|until| said.created_at.may_be_before(until))
                    && phrases.iter().all(|(words, is_beginning)| occurs(words, *is_beginning, &said.words));
                if is_meant {
                    let score = match search.order {
                        SearchOrder::Newest => 0.0,
                        SearchOrder::Best => phrases.iter().map(|phrase| bm25(phrase, &said.words)).sum(),
                    };
                    // Two of one score may differ in the last digits of a sum.
                    let score = rounded(score);
                    let key = (score, said.created_at.approximate_unix_micros(), began, place);
                    let bounds = [search.since, search.until].into_iter().flatten();
                    let is_sure = !bounds.into_iter().any(|bound| said.created_at.is_in_doubt(bound));
                    hits.push((key, is_sure, (id.clone(), u64::try_from(place).unwrap(), said.id.clone())));
                }
            }
        }
        hits.sort_by_key(|(key, ..)| std::cmp::Reverse(*key));
        let (mut left, mut found) = (search.limit.unwrap_or(usize::MAX), Vec::new());
        for (_, is_sure, hit) in hits {
            if left == 0 {
                break;
            }
            left -= usize::from(is_sure);
            found.push(hit);
        }
        Some(found)
    }
}

fn occurs(phrase: &[String], is_beginning: bool, words: &[String]) -> bool {
    times(phrase, is_beginning, words) > 0
}

fn times(phrase: &[String], is_beginning: bool, words: &[String]) -> usize {
    let is_here = |window: &&[String]| {
        let (last, others) = phrase.split_last().unwrap();
        let is_last = |word: &String| if is_beginning { word.starts_with(last) } else { word == last };
        window[..others.len()] == *others && is_last(&window[others.len()])
    };
    words.windows(phrase.len()).filter(is_here).count()
}

/// BM25 as it is written in books, for a phrase of weight 1, where a text has 100 words on average.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "the words of a test are few")]
fn bm25((phrase, is_beginning): &(Vec<String>, bool), words: &[String]) -> f64 {
    let (count, length) = (times(phrase, *is_beginning, words) as f64, words.len() as f64);
    let (k1, b, average) = (1.2, 0.75, 100.0);
    count * (k1 + 1.0) / (count + k1 * (1.0 - b + b * length / average))
}

#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "scores are a few units")]
fn rounded(score: f64) -> i64 {
    (score * 100_000.0).round() as i64
}
