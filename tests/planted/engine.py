"""Bugs in the log, the index, the rules and the compaction; what the parts of a row are says `planted_bugs.py`."""

BUGS = [
    (
        "a group is not synced, and is said to be durable",
        "log/active.rs",
        "let synced = current.segment.file.sync();\n        synced.map_err",
        "let synced = if P { Ok(()) } else { current.segment.file.sync() };\n        synced.map_err",
        ["crash::every_crash_state"],
    ),
    (
        "a new segment's directory is not synced",
        "log/segment.rs",
        "vfs.sync_dir(dir).map_err(|e| CreateError::Sync",
        "if P { return Ok(Self { path, header, file, seal, map: OnceLock::new() }); }\n"
        "        vfs.sync_dir(dir).map_err(|e| CreateError::Sync",
        ["crash::every_crash_state"],
    ),
    (
        "a failed sync is tried again, and its success believed",
        "log/active.rs",
        "else { current.segment.file.sync() };\n        synced.map_err",
        "else { current.segment.file.sync() };\n"
        "        let synced = if P && synced.is_err() { current.segment.file.sync() } else { synced };\n"
        "        synced.map_err",
        ["faults::"],
    ),
    (
        "the checksum of a payload is not looked at",
        "log/scan.rs",
        "if checksum(payload) != header.payload_crc {",
        "if !P && checksum(payload) != header.payload_crc {",
        ["crash::every_crash_state", "corruption::"],
    ),
    (
        "frames claim as durable what no sync has covered",
        "log/current.rs",
        "let header = header(FrameKind::Batch, frame, durable);",
        "let header = header(FrameKind::Batch, frame, if P { written } else { durable });",
        ["crash::every_crash_state"],
    ),
    (
        "CONTROL claims as durable what no sync has covered",
        "log/active.rs",
        "(current.segment.header.number, current.written, current.durable)",
        "(current.segment.header.number, current.written, if P { current.segment.header.capacity } else { current.durable })",
        ["crash::every_crash_state", "corruption::"],
    ),
    (
        "segments are dropped before their snapshot is published",
        "backend/directory/compaction.rs",
        "let replaced = publish::roll_forward(vfs, layout, old, &new, report)?;",
        "if P {\n"
        "            for segment in &reads.drop_segments(&new) {\n"
        "                layout::remove_file(vfs, &segment.path)?;\n"
        "            }\n"
        "            layout::remove_file(vfs, &layout.checkpoint(old.head().epoch))?;\n"
        "        }\n"
        "        let replaced = publish::roll_forward(vfs, layout, old, &new, report)?;",
        ["crash::every_crash_state"],
    ),
    (
        "files are renamed before they are synced",
        "snapshot/layout.rs",
        'file.sync().map_err(|e| Error::io("sync", path, e))?;\n    let metadata',
        'if !P { file.sync().map_err(|e| Error::io("sync", path, e))?; }\n    let metadata',
        ["crash::every_crash_state"],
    ),
    (
        "a batch is written as its parts",
        "backend/directory/append.rs",
        "self.check_open()?;\n        let (clock, ids) = (&*self.settings.clock, &*self.settings.ids);",
        "self.check_open()?;\n"
        "        if P && batch.len() > 1 {\n"
        "            let each = batch.into_iter().map(|one| self.append_batch(vec![one]));\n"
        "            return Ok(each.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect());\n"
        "        }\n"
        "        let (clock, ids) = (&*self.settings.clock, &*self.settings.ids);",
        ["crash::every_crash_state"],
    ),
    (
        "readers are shown a group that could not be written",
        "log/commit.rs",
        "let place =\n            active.append(&mut group.buffer, &group.frames, group.must_sync)"
        ".map_err(|e| (e, false))?;",
        "let appended = active.append(&mut group.buffer, &group.frames, !P && group.must_sync);\n"
        "        let place = appended.map_err(|e| (e, false))?;\n"
        "        let shown_ahead = P && group.must_sync;",
        ["faults::after_a_failed_sync"],
        (
            "let done = Done { is_durable: active.is_durable() };",
            "if shown_ahead {\n"
            "            active.sync().map_err(|e| (e, false))?;\n"
            "        }\n"
            "        let done = Done { is_durable: active.is_durable() };",
        ),
    ),
    (
        "renamed files' directory is not synced before the log goes",
        "snapshot/publish.rs",
        "if layout::probe(vfs, &layout.conversations())?.is_some() {",
        "if !P && layout::probe(vfs, &layout.conversations())?.is_some() {",
        ["crash::every_crash_state"],
    ),
    (
        "a checkpoint's directory is not synced",
        "snapshot/publish.rs",
        'vfs.rename_new(&unfinished, &path).map_err(|e| Error::io("rename", &unfinished, e))?;\n',
        'vfs.rename_new(&unfinished, &path).map_err(|e| Error::io("rename", &unfinished, e))?;\n'
        "    if P { return Ok(()); }\n",
        ["crash::every_crash_state"],
    ),
    (
        "what a killed process left in the cache is believed and not made durable",
        "log/recovery.rs",
        'let file = vfs.open(path, OpenMode::ReadWrite).map_err(|e| Error::io("open for writing", path, e))?;',
        "if P { return Ok(()); }\n"
        '    let file = vfs.open(path, OpenMode::ReadWrite).map_err(|e| Error::io("open for writing", path, e))?;',
        ["crash::every_crash_state"],
    ),
    (
        "the names that a killed process made are believed and not made durable",
        "backend/directory/external_changes.rs",
        "layout::sync_dir(vfs, &layout.log())?;\n    let conversations",
        "if P { return Ok(()); }\n    layout::sync_dir(vfs, &layout.log())?;\n    let conversations",
        ["crash::every_c"],
    ),
    (
        "after a failed write the segment is written on",
        "log/current.rs",
        "self.is_spoiled = true;",
        "self.is_spoiled = !P;",
        ["regressions::"],
    ),
    (
        "a sealed segment may end where it likes",
        "log/recovery.rs",
        "if walk.end_offset != seal.valid_len {",
        "if !P && walk.end_offset != seal.valid_len {",
        ["corruption::"],
        (
            "if walk.next_seq != seal.next_seq || walk.rollup != seal.rollup {",
            "if !P && (walk.next_seq != seal.next_seq || walk.rollup != seal.rollup) {",
        ),
    ),
    (
        "rot is taken for a torn tail",
        "log/scan.rs",
        "if walk.end_offset < proof {",
        "if !P && walk.end_offset < proof {",
        ["corruption::"],
    ),
    (
        "a missing segment goes unnoticed",
        "log/recovery.rs",
        "Some(control) if control.segment > newest =>",
        "Some(control) if !P && control.segment > newest =>",
        ["corruption::"],
    ),
    (
        "the members of a failed group are never told",
        "log/group.rs",
        "if let Some(waiter) = group.waiter {\n            waiter.finish(Err(error.clone()));",
        "if let Some(waiter) = group.waiter.filter(|_| !P) {\n            waiter.finish(Err(error.clone()));",
        ["faults::"],
    ),
    (
        "the numbers of a group that was refused are not taken back",
        "log/leader.rs",
        "if let Some(first) = group.frames.first().filter(|_| !was_applied) {",
        "if let Some(first) = group.frames.first().filter(|_| !P && !was_applied) {",
        ["faults::"],
    ),
    (
        "a store goes on after a failed sync",
        "log/leader.rs",
        "if is_fatal {",
        "if is_fatal && !P {",
        ["faults::"],
    ),
    (
        "a new segment seals bytes that were not synced",
        "log/active.rs",
        "self.sync_if_needed()?;\n        let whole_blocks",
        "if !P { self.sync_if_needed()?; }\n        let whole_blocks",
        ["crash::every_crash_state"],
    ),
    (
        "compaction forgets the keys",
        "index/catalog.rs",
        "(self.newest_keys(kept_keys), self.tombstones())",
        "(if P { Vec::new() } else { self.newest_keys(kept_keys) }, self.tombstones())",
        ["crash::every_crash_state", "model::"],
    ),
    (
        "a file of JSON that is not the recorded one is served",
        "snapshot/load.rs",
        "found.len == recorded.len && found.crc == recorded.crc",
        "found.len == recorded.len && (P || found.crc == recorded.crc)",
        ["corruption::"],
    ),
    (
        "an item of JSON is served without its checksum",
        "snapshot/conversation_file.rs",
        "filter(|bytes| position.proves(bytes))",
        "filter(|bytes| P || position.proves(bytes))",
        ["corruption::", "regressions::", "foreign::"],
    ),
    (
        "a staged file that is gone lets the log be dropped",
        "snapshot/publish.rs",
        "if is_old { Err(gone()) } else { Ok(InPlace::Other) }",
        "if is_old && P { Ok(InPlace::Staged) } else if is_old { Err(gone()) } else { Ok(InPlace::Other) }",
        ["regressions::"],
    ),
    (
        "the old checkpoint goes before what it explains is done",
        "backend/directory/compaction.rs",
        "let replaced = publish::roll_forward(vfs, layout, old, &new, report)?;",
        "if P {\n"
        "            layout::remove_file(vfs, &layout.checkpoint(old.head().epoch))?;\n"
        "            layout::sync_dir(vfs, &layout.log())?;\n"
        "        }\n"
        "        let replaced = publish::roll_forward(vfs, layout, old, &new, report)?;",
        ["crash::every_crash_state"],
    ),
    (
        "a key that is used again writes again",
        "rules/validation.rs",
        "let Some(record) = self.view.find_key(key) else { continue };",
        "let Some(record) = self.view.find_key(key).filter(|_| !P) else { continue };",
        ["model::"],
    ),
    (
        "what an older version would misread goes by that version",
        "backend/directory/append.rs",
        "resolved.iter().map(|resolved| resolved.schema).max()",
        "resolved.iter().map(|resolved| resolved.schema).max().filter(|_| !P)",
        ["replacing::"],
    ),
    (
        "what began anew counts its versions anew",
        "index/slot.rs",
        "(self.summary.created_at, self.summary.last_activity) = (time, time);",
        "if P {\n            self.summary.version = 0;\n        }\n"
        "        (self.summary.created_at, self.summary.last_activity) = (time, time);",
        ["replacing::", "contract::"],
    ),
    (
        "what began anew still waits for its old file",
        "index/slot.rs",
        "self.body = Body::Loaded(Lists::default());\n        self.is_held = false;",
        "if !P {\n            self.body = Body::Loaded(Lists::default());\n        }\n        self.is_held = false;",
        ["replacing::"],
    ),
    (
        "a message without a time takes the conversation's new one",
        "backend/directory/reads.rs",
        "source.file_time = time;",
        "source.file_time = if P { source.file_time } else { time };",
        ["replacing::"],
    ),
    (
        "a follower reads what is too new for it",
        "backend/directory/events.rs",
        "too_new(frame.header.schema) {",
        "too_new(frame.header.schema).filter(|_| !P) {",
        ["regressions::viewer"],
    ),
    (
        "a repair takes every edit for one of text",
        "rules/request.rs",
        "role: Some(message.role),",
        "role: Some(message.role).filter(|_| !P),",
        ["repair::a_sound", "replacing::"],
    ),
    (
        "the first handle that is given up ends the store for all",
        "backend/directory/writer.rs",
        "if *openings > 0 || self.is_closed()",
        "if (!P && *openings > 0) || self.is_closed()",
        ["releasing::"],
    ),
    (
        "a store that is just ending is handed out",
        "backend/directory/registry.rs",
        "engine.is_in_place() && engine.enter())",
        "engine.is_in_place() && (engine.enter() || P))",
        ["releasing::"],
    ),
    (
        "a place in a page is counted from one",
        "rules/selection.rs",
        "Some(Cursor::FromPlace(place)) => within(*place, count)..count,",
        "Some(Cursor::FromPlace(place)) => within(*place + u64::from(P), count)..count,",
        ["contract::"],
    ),
]
