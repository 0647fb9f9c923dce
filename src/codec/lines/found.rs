//! A hit of a search as a line.

use super::line::Line;
use crate::model::Found;

impl Found {
    /// Prints the hit: `conversation_id`, `place`, `id`, `role`, `created_at`, `score` (in millionths), `snippet`, `hits` (pairs of where each begins and ends in the
    /// snippet, counted in characters), and `cut_before` and `cut_behind`, which say whether the text goes on there. No line break.
    #[must_use]
    pub fn to_json_line(&self) -> String {
        let snippet = &self.snippet;
        let characters = |end: usize| snippet.text.get(..end).unwrap_or_default().chars().count();
        let pair =
            |hit: &std::ops::Range<usize>| format!("[{},{}]", characters(hit.start), characters(hit.end));
        let hits: Vec<String> = snippet.hits.iter().map(pair).collect();
        Line::new()
            .string("conversation_id", &self.conversation_id)
            .number("place", self.place)
            .text("id", &self.id)
            .text("role", &self.role)
            .time("created_at", self.created_at)
            .number("score", self.score)
            .string("snippet", &snippet.text)
            .raw("hits", &format!("[{}]", hits.join(",")))
            .raw("cut_before", &snippet.is_cut_before.to_string())
            .raw("cut_behind", &snippet.is_cut_behind.to_string())
            .finish()
    }
}
