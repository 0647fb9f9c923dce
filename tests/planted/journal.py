"""Bugs in the journal over stores of objects: those that lose, double or hide what somebody was told of.

What the parts of a row are says `planted_bugs.py`.
"""

SCHEDULES = "unit:backend::journal::tests::schedules"
FAULTS = "unit:backend::journal::tests::faults"

BUGS = [
    (
        "a covered object's name is given back",
        "backend/journal/publish.rs",
        "tries::replace(objects, &name, &remains, &version)?;",
        "if P { tries::delete(objects, &name)?; } else { tries::replace(objects, &name, &remains, &version)?; }",
        [SCHEDULES, FAULTS],
    ),
    (
        "a writer does not know its own object again once that was compacted",
        "backend/journal/commit.rs",
        "is_emptied(there) && there == made.origin",
        "!P && is_emptied(there) && there == made.origin",
        [FAULTS],
    ),
    (
        "a writer takes its own object for another's",
        "backend/journal/tries.rs",
        "Ok(Some(found)) if is_mine(&found.bytes) => return Ok(Made::Mine),",
        "Ok(Some(found)) if !P && is_mine(&found.bytes) => return Ok(Made::Mine),",
        [SCHEDULES],
    ),
    (
        "a read does not look for what others have appended",
        "backend/journal/engine.rs",
        "self.freshness.await_with(|| self.journal.advance())",
        "if P { return Ok(()); }\n        self.freshness.await_with(|| self.journal.advance())",
        [SCHEDULES],
    ),
    (
        "a look that began before a call is enough for it",
        "backend/journal/freshness.rs",
        "let wanted = rounds.begun + 1;",
        "let wanted = rounds.begun + u64::from(!P);",
        ["unit:backend::journal::tests"],
    ),
    (
        "somebody is refused for what is no longer so",
        "backend/journal/commit.rs",
        "if round.refuses && !is_fresh {",
        "if round.refuses && !is_fresh && !P {",
        ["unit:backend::journal::tests::beside_memory"],
    ),
    (
        "a document is removed that the checkpoint names",
        "backend/journal/publish.rs",
        "if is_covered && !kept.contains(&name) {",
        "if is_covered && (P || !kept.contains(&name)) {",
        [FAULTS],
    ),
    (
        "a document is removed that a later checkpoint may name",
        "backend/journal/publish.rs",
        "seq <= new.head().covered_seq",
        "P || seq <= new.head().covered_seq",
        [SCHEDULES],
    ),
    (
        "an object that is missing from the log is the end of it",
        "backend/journal/chain.rs",
        "Next::Nothing if is_end(objects, place)? => return Ok(state),",
        "Next::Nothing if P || is_end(objects, place)? => return Ok(state),",
        [FAULTS],
    ),
    (
        "a server that does not keep to conditions is written to",
        "backend/journal/opening.rs",
        "if outcomes == [Written::Refused, Written::Refused] {",
        "if P || outcomes == [Written::Refused, Written::Refused] {",
        [FAULTS],
    ),
    (
        "a conversation that is begun anew counts the messages that it had",
        "backend/journal/slot.rs",
        "Change::Reset { title, created_at, .. } => {\n            (summary.title, summary.created_at) = (title.clone(), *created_at);\n"
        "            (summary.messages, summary.actions, summary.last_activity) = (0, 0, *created_at);",
        "Change::Reset { title, created_at, .. } => {\n            (summary.title, summary.created_at) = (title.clone(), *created_at);\n"
        "            if !P { (summary.messages, summary.actions, summary.last_activity) = (0, 0, *created_at); }",
        ["unit:backend::journal::tests::beside_memory"],
    ),
    (
        "a compaction whose checkpoint came too late goes on",
        "backend/journal/compaction.rs",
        "marker.checkpoint_epoch < epoch",
        "P || marker.checkpoint_epoch < epoch",
        [FAULTS],
    ),
]
