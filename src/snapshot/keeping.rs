//! How much of the chapters is to be kept, and which go on with the one before.
//!
//! Owns what a choice means for chapters of these sizes and times. Does not know where they are.

use std::time::Duration;

use super::chapter_list::Named;
use crate::model::Keep;

/// How many of the chapters, the oldest ones, are not to be kept. When one was made says who can read it; nothing if it cannot be.
pub(crate) fn too_many(
    all: &[Named],
    keep: Keep,
    now_micros: i64,
    made: &dyn Fn(&Named) -> Option<i64>,
) -> usize {
    match keep {
        Keep::Nothing => all.len(),
        Keep::Everything => 0,
        Keep::Bytes(most) => not_within(all, most),
        Keep::For(span) => older_than(all, span, now_micros, made),
        Keep::ForOrBytes(span, most) => match not_within(all, most) {
            0 => 0,
            count => count.min(older_than(all, span, now_micros, made)),
        },
    }
}

/// How many of the oldest ones there are beside the newest that so many bytes hold.
fn not_within(all: &[Named], most: u64) -> usize {
    let mut sum = 0_u64;
    let fitting = all.iter().rev().take_while(|named| {
        sum = sum.saturating_add(named.bytes);
        sum <= most
    });
    all.len() - fitting.count()
}

/// How many of the oldest ones were made longer ago than that.
fn older_than(all: &[Named], span: Duration, now_micros: i64, made: &dyn Fn(&Named) -> Option<i64>) -> usize {
    let mut count = 0;
    for named in all {
        match made(named) {
            Some(made) if is_older(made, span, now_micros) => count += 1,
            Some(_) => break,
            // Nobody knows how old one is that cannot be read. It goes with the next that can be and goes.
            None => {
                let newer = all.iter().skip(count + 1);
                if !newer.map(made).find_map(|made| made).is_some_and(|made| is_older(made, span, now_micros))
                {
                    break;
                }
                count += 1;
            }
        }
    }
    count
}

fn is_older(made: i64, span: Duration, now_micros: i64) -> bool {
    let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    made < now_micros.saturating_sub(span)
}

/// A chapter of up to so many bytes is gone on with whatever is added to it.
const SHORT: u64 = 512 << 10;
/// None gets longer than that by being gone on with.
const LONG: u64 = 64 << 20;

/// Whether a chapter of so many bytes is gone on with where what the changed conversations were takes so many.
pub(crate) fn is_gone_on_with(before: u64, added: u64, keep: Keep) -> bool {
    let longest = keep.bytes().map_or(LONG, |bytes| LONG.min(bytes / 8));
    before <= SHORT.max(added.saturating_mul(2)) && before.saturating_add(added) <= longest
}

/// Whether what is added at this time may be kept with what was made at that one: it keeps all of it for as long as itself, which must
/// not be much longer than was asked for.
pub(crate) fn is_together(made: i64, now_micros: i64, keep: Keep) -> bool {
    let Some(span) = keep.span() else { return true };
    let period = i64::try_from(span.as_micros() / 16).unwrap_or(i64::MAX).max(1);
    made.div_euclid(period) == now_micros.div_euclid(period)
}
