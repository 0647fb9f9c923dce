#!/usr/bin/env bash
# Makes the pictures of an exported page and of the viewer in docs/images, with a headless Chromium.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The last line holds what is hard to show; it is for the tests.
head -n -1 tests/golden/export/conversations.jsonl | target/release/aral-store -d "$work/store" append >"$work/receipts"
target/release/aral-store -d "$work/store" export --to html -o "$work/page.html"
mkdir -p docs/images
shot() {
    "${CHROMIUM:-chromium}" --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --hide-scrollbars --user-data-dir="$work/profile" \
        --blink-settings="preferredColorScheme=$3" --window-size="$4" \
        --screenshot="$PWD/docs/images/$1.png" "$2"
}
shot export-html "file://$work/page.html" 1 1200,860

# The same and a conversation with tokens and a call of a tool in its metadata, as a model's provider has it.
target/release/aral-store -d "$work/store" append >"$work/receipts" <<'LINES'
{"type":"create_conversation","conversation_id":"claude-code:5f0c","title":"Why does the sync test hang on slow disks?","metadata":{"source":{"tool":"claude-code"},"cwd":"/home/user/store"},"created_at":"2025-03-16T10:00:00Z"}
{"type":"add_message","conversation_id":"claude-code:5f0c","id":"q1","role":"user","content":"The test `group_commit` hangs about **once in 200 runs** on the slow runner. Have a look, please.","created_at":"2025-03-16T10:00:00Z"}
{"type":"add_message","conversation_id":"claude-code:5f0c","id":"a1","role":"assistant","content":"I will run it until it hangs, with a backtrace of every thread.","metadata":{"usage":{"input_tokens":18240,"output_tokens":412,"cache_read_tokens":15104},"tool_calls":[{"id":"t1","function":{"name":"bash","arguments":"{\"command\":\"for n in $(seq 200); do timeout 60 cargo test group_commit || break; done\"}"}}]},"created_at":"2025-03-16T10:00:21Z"}
{"type":"add_message","conversation_id":"claude-code:5f0c","id":"r1","role":"tool","content":"run 137: timed out\nthread 4 waits for the leader, which waits for room in the queue","metadata":{"tool_call_id":"t1"},"created_at":"2025-03-16T10:14:02Z"}
{"type":"add_message","conversation_id":"claude-code:5f0c","id":"a2","role":"assistant","content":"Found it. The leader holds its place in the queue **while it syncs**:\n\n| thread | holds | waits for |\n|---|---|---|\n| leader | a place | the disk |\n| 2, 3 | nothing | a place |\n| 4 | the turn | the leader |\n\n```rust\n// Give the place back before the sync, not behind it.\ndrop(place);\nfile.sync_data()?;\n```\n\nWith that, 1,000 runs pass.","metadata":{"usage":{"input_tokens":21733,"output_tokens":980,"cache_read_tokens":20480},"cost_usd":0.1312},"created_at":"2025-03-16T10:16:40Z"}
LINES
target/release/aral-store -d "$work/store" serve >"$work/url" &
viewer=$!
trap 'kill "$viewer"; rm -rf "$work"' EXIT
until [ -s "$work/url" ]; do sleep 0.1; done
url=$(cat "$work/url")
site=${url%%/\?*} token=${url##*token=}
shot viewer-list "$url" 1 1200,560
shot viewer-conversation "$site/c?id=claude-code%3A5f0c&token=$token" 1 1200,960
shot viewer-telephone "$site/c?id=claude-code%3A5f0c&token=$token" 0 500,860
