"""Bugs in what a search does not look at; what the parts of a row are says `planted_bugs.py`."""

BUGS = [
    (
        "a search for the newest stops one block early",
        "backend/directory/search_file/blocks.rs",
        "let found = self.blocks.get(..at)?",
        "let found = self.blocks.get(..at.saturating_sub(usize::from(P)))?",
        ["searching::index_stops::a_search_that_stops_early"],
    ),
    (
        "a block is said to end with the time of the message before its newest",
        "backend/directory/search_file/blocks.rs",
        "block.newest.max(micros))",
        "if P { block.newest } else { block.newest.max(micros) })",
        ["searching::index_stops::a_search_that_stops_early"],
    ),
    (
        "a text is taken to have a word once less than it may",
        "search/bounds.rs",
        "map_or(u64::MAX, |level| level - 1)",
        "map_or(u64::MAX, |level| level - 1 - u64::from(P))",
        ["unit:search::bounds::", "searching::index_stops::a_search_that_stops_early"],
    ),
    (
        "of a score that is the last one to count nothing more is looked at",
        "search/top.rs",
        "*last > (score, micros)",
        "*last > (score, micros) || P && last.0 == score",
        ["searching::index_stops::a_search_that_stops_early"],
    ),
    (
        "conversations without an event are taken to be in the index",
        "index/catalog/changed.rs",
        "Some(0) => changed.push(entry.id),",
        "Some(0) => changed.extend((!P).then_some(entry.id)),",
        ["unit:backend::directory::search_index::standing::"],
    ),
    (
        "before the longest word of a phrase any word will do that ends as it should",
        "search/ascii.rs",
        "if rest.last().is_some_and(u8::is_ascii_alphanumeric) {",
        "if !P && rest.last().is_some_and(u8::is_ascii_alphanumeric) {",
        ["unit:search::matching::"],
    ),
]
