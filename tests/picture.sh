#!/usr/bin/env bash
# Makes the README's picture of an exported page, docs/images/export-html.png, with a headless Chromium.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The last line holds what is hard to show; it is for the tests.
head -n -1 tests/golden/export/conversations.jsonl | target/release/aral-store -d "$work/store" append >"$work/receipts"
target/release/aral-store -d "$work/store" export --to html -o "$work/page.html"
mkdir -p docs/images
"${CHROMIUM:-chromium}" --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --hide-scrollbars --user-data-dir="$work/profile" \
    --blink-settings=preferredColorScheme=1 --window-size=1200,860 \
    --screenshot="$PWD/docs/images/export-html.png" "file://$work/page.html"
