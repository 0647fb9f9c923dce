#!/usr/bin/env bash
# Runs the tests with threads under ThreadSanitizer, and fails on any report. Before that it plants races in a
# copy of the product and fails if one of them is not reported. Needs a nightly toolchain for Linux on x86-64 and
# a C compiler, but no sources of the standard library: what is compiled into it and orders threads is made known
# by tests/tsan/locks.c. What is not so all the same is in tests/tsan/suppressions, with the reasons.
# Usage: tests/tsan.sh [TEST ...]; CARGO_TARGET_DIR says where it builds. `CONCURRENT_ROUNDS` and the like are heeded.
set -euo pipefail
cd "$(dirname "$0")/.."
tests=("$@")
[ ${#tests[@]} -gt 0 ] ||
    tests=(concurrency:: faults::crowd receipts:: alphabet:: contract::readers_beside sync_pool:: regressions::)
target="$(rustc +nightly -vV | sed -n 's/^host: //p')"
dir="${CARGO_TARGET_DIR:-target}/tsan"
mkdir -p "$dir"
dir="$(cd "$dir" && pwd)"

# The names of what is wrapped, as this toolchain mangles them: what a user of it leaves undefined.
cat >"$dir/user.rs" <<'RS'
use std::sync::{Condvar, Mutex, OnceLock, RwLock};
pub fn user(m: &Mutex<u8>, c: &Condvar, l: &RwLock<u8>, o: &OnceLock<u8>) -> u8 {
    let g = m.lock().unwrap();
    let g = c.wait(g).unwrap();
    drop(c.wait_timeout(g, std::time::Duration::ZERO));
    *l.write().unwrap() = *l.read().unwrap();
    std::thread::scope(|scope| drop(scope.spawn(|| ())));
    *o.get_or_init(|| 1)
}
RS
rustc +nightly --edition 2024 -O -Zshare-generics=n --crate-type lib --emit obj -o "$dir/user.o" "$dir/user.rs"
name() {
    local found
    found="$(nm -u "$dir/user.o" | awk '{print $2}' | grep -E "$1" || true)"
    [ "$(wc -w <<<"$found")" = 1 ] || { echo "this toolchain's names are others: $1" >&2; exit 1; }
    echo "$found"
}
declare -A names=(
    [LOCK]="$(name 'mutex.*14lock_contended$')"
    [READ]="$(name 'rwlock.*14read_contended$')"
    [WRITE]="$(name 'rwlock.*15write_contended$')"
    [WAIT]="$(name '7Condvar4wait$')"
    [WAIT_TIMEOUT]="$(name '7Condvar12wait_timeout$')"
    [ONCE]="$(name 'once.*4Once4call$')"
    [LEAVE]="$(name 'scoped.*29decrement_num_running_threads$')"
)
defines=()
printf '%s\n' "$dir/locks.o" "-Wl,--wrap=__tsan_atomic64_fetch_sub" >"$dir/link"
for name in "${!names[@]}"; do
    defines+=("-D$name=${names[$name]}")
    echo "-Wl,--wrap=${names[$name]}" >>"$dir/link"
done
cc -O1 -fexceptions -Wall -Werror -Wno-pedantic "${defines[@]}" -c tests/tsan/locks.c -o "$dir/locks.o"

# A copy of the sources, with races in it that a variable of the environment lets happen.
tree="$dir/tree"
rm -rf "$tree"
mkdir "$tree"
git ls-files -z --cached --others --exclude-standard | tar -c --null -T - | tar -x -C "$tree"
plant() {
    FROM="$2" TO="$3" perl -0pi -e 's/\Q$ENV{FROM}\E/$ENV{TO}/ == 1 or die "$ARGV has changed: $ENV{FROM}\n"' "$tree/$1"
}
cat >>"$tree/src/lib.rs" <<'RS'

/// Races on purpose.
#[allow(unsafe_code, missing_docs)]
pub(crate) mod planted {
    pub(crate) struct Unguarded(std::cell::UnsafeCell<u64>);
    unsafe impl Sync for Unguarded {}
    static UNGUARDED: Unguarded = Unguarded(std::cell::UnsafeCell::new(0));

    pub(crate) fn count(race: u8) {
        if is(race) {
            unsafe { *UNGUARDED.0.get() += 1 };
        }
    }

    pub(crate) fn is(race: u8) -> bool {
        static WANTED: std::sync::OnceLock<u8> = std::sync::OnceLock::new();
        *WANTED.get_or_init(|| std::env::var("PLANTED_RACE").map_or(0, |race| race.parse().unwrap_or(0))) == race
    }
}
RS
races=() wheres=() meetings=()
# A race: what it is, what a report of it must name, and the tests in which threads meet at it if they are not
# the usual ones. The pieces of text that become others follow.
race() {
    races+=("$1") wheres+=("$2") meetings+=("${3:-concurrency::}")
}
race "a counter in the log that everybody counts before taking the lock" 'locked<.*/log/waiter\.rs:'
plant src/log/waiter.rs "-> MutexGuard<'_, T> {" "-> MutexGuard<'_, T> {
    crate::planted::count(1);"
race "a counter of readers, who share the lock of the index" 'ReadState>::index .*/backend/directory/reads\.rs:'
plant src/backend/directory/reads.rs "-> RwLockReadGuard<'_, Index> {" "-> RwLockReadGuard<'_, Index> {
        {
            let _shared = self.index.read();
            crate::planted::count(2);
        }"
race "the list of segments read without its lock" 'ReadState>::segments .*/backend/directory/reads\.rs:'
plant src/backend/directory/reads.rs "pub(crate) fn segments(&self) -> Arc<Vec<Arc<Segment>>> {" '#[allow(unsafe_code)]
    pub(crate) fn segments(&self) -> Arc<Vec<Arc<Segment>>> {
        if crate::planted::is(3) {
            return Arc::clone(unsafe { &*self.segments.data_ptr() });
        }'
race "a counter where something is made once" '/log/segment\.rs:'
plant src/log/segment.rs "get_or_init(|| self.file.map().ok().flatten())" "get_or_init(|| {
            crate::planted::count(4);
            self.file.map().ok().flatten()
        })"
race "a counter where the last owner lets go" 'Arc<aral_store::log::segment::Segment>>::drop_slow '
cat >>"$tree/src/log/segment.rs" <<'RS'

impl Drop for Segment {
    fn drop(&mut self) {
        crate::planted::count(5);
    }
}
RS
race "a counter of the files that the threads of a compaction sync" 'lend_a_hand.* .*/backend/directory/sync_pool\.rs:' sync_pool::
plant src/backend/directory/sync_pool.rs "under_way.end(unsynced.sync());" "crate::planted::count(6);
                under_way.end(unsynced.sync());"
sed -i '0,/^#!\[/s//#![feature(rwlock_data_ptr)]\n&/' "$tree/src/lib.rs"

# What is generic in the standard library is compiled here, all of it, and so instrumented.
flags="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer -Zshare-generics=n -Clink-arg=@$dir/link"
built="$(cd "$tree" && RUSTFLAGS="$flags" cargo +nightly test --target "$target" --target-dir "$dir/build" \
    --no-default-features --test suite --no-run --message-format=json-render-diagnostics)"
binary="$(grep -o '"executable":"[^"]*/suite-[^"]*"' <<<"$built" | cut -d'"' -f4)"

for test in "${tests[@]}"; do
    [[ "$("$binary" --list "$test" 2>/dev/null)" == *": test"* ]] || { echo "there is no test called $test" >&2; exit 1; }
done

# Runs tests with a planted race, 0 for none; what is said of races is in $dir/report.*.
options="suppressions=$PWD/tests/tsan/suppressions log_path=$dir/report history_size=4 print_suppressions=1"
run() {
    local race="$1" halts="$2"
    shift 2
    rm -f "$dir"/report.*
    (cd "$tree" && PLANTED_RACE="$race" TSAN_OPTIONS="$options halt_on_error=$halts" "$binary" --test-threads=1 "$@")
}
# Whether two threads meet at a race is not for the script to say, so there are some attempts.
is_reported() {
    local race="$1" where="$2" meeting="$3" seed
    for seed in 1 2 3 4 5; do
        CONCURRENT_ROUNDS=2 CONCURRENT_SEED=$seed run "$race" 1 "$meeting" >"$dir/planted.log" 2>&1 || true
        grep -qs "WARNING: ThreadSanitizer: data race" "$dir"/report.* && grep -qsE "$where" "$dir"/report.* && return
    done
    return 1
}
for at in "${!races[@]}"; do
    is_reported $((at + 1)) "${wheres[$at]}" "${meetings[$at]}" || { echo "NOT REPORTED: ${races[$at]}; see $dir/planted.log" >&2; exit 1; }
    echo "planted and reported: ${races[$at]}"
done
status=0
run 0 0 "${tests[@]}" || status=$?
cat "$dir"/report.* 2>/dev/null || true
reports="$(cat "$dir"/report.* 2>/dev/null | grep -c '^WARNING: ThreadSanitizer' || true)"
echo "$reports reports of ThreadSanitizer"
[ "$reports" = 0 ] || exit 1
exit "$status"
