//! Histories that went wrong, each in one way: the judge finds it out.

use super::history::{Answer, Asked, Batch, Call, Happened, What};
use super::judge::{Tally, judge};

/// A history that can be explained: six calls, one after the other, of which the fourth was killed.
struct Told {
    calls: Vec<Call>,
    batches: Vec<Batch>,
}

fn call(begun: u64, asked: Asked, answer: Option<Answer>) -> Call {
    Call { begun, ended: answer.is_some().then_some(begun + 5), asked, answer }
}

fn add(id: &str) -> Asked {
    Asked::Add { conversation: "c".to_owned(), ids: vec![id.to_owned()], key: None, expect: None }
}

fn added(id: &str) -> Happened {
    let what = What::Added { id: id.to_owned(), text: id.to_owned() };
    Happened { conversation: "c".to_owned(), what, key: None }
}

fn written(seq: u64, version: u64) -> Answer {
    Answer::Written(vec![(seq, version)])
}

fn last(count: usize, is: &[&str]) -> (Asked, Option<Answer>) {
    let messages = is.iter().map(|id| ((*id).to_owned(), (*id).to_owned())).collect();
    (Asked::Last { conversation: "c".to_owned(), count }, Some(Answer::Messages(messages)))
}

fn read(begun: u64, count: usize, is: &[&str]) -> Call {
    let (asked, answer) = last(count, is);
    call(begun, asked, answer)
}

fn keyed() -> Asked {
    let key = Some("k".to_owned());
    Asked::Add { conversation: "c".to_owned(), ids: vec!["k".to_owned()], key, expect: Some(2) }
}

fn told() -> Told {
    let by_key = Happened { key: Some("k".to_owned()), ..added("k") };
    Told {
        calls: vec![
            call(10, add("a"), Some(written(1, 1))),
            call(20, add("b"), Some(written(2, 2))),
            read(30, 2, &["a", "b"]),
            // Killed, and asked for again by somebody else.
            call(40, keyed(), None),
            call(60, keyed(), Some(written(3, 3))),
            read(70, 1, &["k"]),
        ],
        batches: vec![(1, vec![added("a")]), (2, vec![added("b")]), (3, vec![by_key])],
    }
}

/// Holds that a history is refused, in words that have this in them.
fn refused(because: &str, change: impl FnOnce(&mut Told)) {
    let mut told = told();
    change(&mut told);
    let judged = judge(&told.calls, &told.batches);
    let said = judged.err().unwrap_or_else(|| panic!("not found out, and should have been: {because}"));
    assert!(said.contains(because), "{said}");
}

#[test]
fn what_can_be_explained_is() {
    let Told { mut calls, batches } = told();
    let tally = Tally { events: 3, written: 3, readings: 2, unknown: (1, 1), ..Tally::default() };
    assert_eq!(judge(&calls, &batches), Ok(tally));
    // Calls at the same time may be seen in either way.
    calls.push(read(21, 1, &["a"]));
    calls.push(read(21, 1, &["b"]));
    calls.push(call(22, add("lost with its process"), None));
    calls.push(call(23, add("failed"), Some(Answer::Failed("the connection is dead".to_owned()))));
    assert_eq!(judge(&calls, &batches).map(|tally| tally.unknown), Ok((2, 1)));
}

#[test]
fn a_reading_that_is_older_than_what_was_acknowledged_is_found_out() {
    refused("explains", |told| told.calls.push(read(50, 1, &["a"])));
    refused("explains", |told| told.calls.push(read(8, 1, &["b"])));
    // An absence is a reading, too.
    let gone =
        |begun| call(begun, Asked::Summary { conversation: "c".to_owned() }, Some(Answer::Summary(None)));
    refused("explains", |told| told.calls.push(gone(50)));
}

#[test]
fn readers_that_see_an_older_state_after_a_newer_one_are_found_out() {
    // Both are right by themselves: `k` was asked for at 40 and acknowledged at 65.
    refused("explains", |told| {
        told.calls.push(read(42, 1, &["k"]));
        told.calls.push(read(50, 1, &["b"]));
    });
}

#[test]
fn a_write_that_was_acknowledged_and_is_not_there_is_found_out() {
    refused("was acknowledged", |told| {
        told.batches.pop();
        told.calls.pop();
    });
}

#[test]
fn a_write_that_is_there_twice_is_found_out() {
    refused("twice", |told| told.batches.push((4, vec![added("b")])));
    refused("twice", |told| {
        let again = told.batches[2].1.clone();
        told.batches.push((4, again));
        if let Asked::Add { expect, .. } = &mut told.calls[3].asked {
            *expect = None;
        }
    });
}

#[test]
fn writes_that_are_in_another_order_than_the_clock_saw_them_are_found_out() {
    refused("smaller number", |told| {
        (told.batches[0].1, told.batches[1].1) = (vec![added("b")], vec![added("a")]);
        (told.calls[0].answer, told.calls[1].answer) = (Some(written(2, 2)), Some(written(1, 1)));
        told.calls[2] = read(30, 2, &["b", "a"]);
    });
}

#[test]
fn numbers_with_a_gap_and_receipts_of_other_numbers_are_found_out() {
    refused("comes event 4", |told| told.batches[2].0 = 4);
    refused("was acknowledged", |told| told.calls[0].answer = Some(written(2, 1)));
    refused("was acknowledged", |told| told.calls[0].answer = Some(written(1, 2)));
}

#[test]
fn what_is_there_and_was_refused_is_found_out() {
    for answer in [Answer::Failed(String::new()), Answer::Conflict] {
        refused("everybody was told that it failed", |told| {
            (told.calls[3].ended, told.calls[3].answer) = (Some(45), Some(answer.clone()));
            told.calls[4].answer = Some(answer);
        });
    }
    refused("nobody asked", |told| told.batches.push((4, vec![added("from nowhere")])));
}

#[test]
fn a_refusal_without_a_reason_is_found_out() {
    let expecting = |expect| {
        let ids = vec!["x".to_owned()];
        let asked = Asked::Add { conversation: "c".to_owned(), ids, key: None, expect: Some(expect) };
        call(80, asked, Some(Answer::Conflict))
    };
    refused("explains", |told| told.calls.push(expecting(3)));
    let mut told = told();
    told.calls.push(expecting(2));
    assert!(judge(&told.calls, &told.batches).is_ok());
    let edit = Asked::Edit { conversation: "c".to_owned(), id: "a".to_owned(), text: "x".to_owned() };
    refused("explains", |told| told.calls.push(call(50, edit, Some(Answer::NotFound))));
}

#[test]
fn a_version_that_was_not_held_to_is_found_out() {
    refused("expected version", |told| {
        for call in &mut told.calls[3..5] {
            let Asked::Add { expect, .. } = &mut call.asked else { panic!("it adds") };
            *expect = Some(1);
        }
    });
}

#[test]
fn half_of_a_batch_is_found_out() {
    let both = Asked::Add {
        conversation: "c".to_owned(),
        ids: vec!["x".to_owned(), "y".to_owned()],
        key: None,
        expect: None,
    };
    refused("asked for", |told| {
        told.calls.push(call(80, both.clone(), None));
        told.batches.push((4, vec![added("x")]));
    });
    refused("explains", |told| {
        told.calls.push(call(80, both, Some(Answer::Written(vec![(4, 4), (5, 5)]))));
        told.batches.push((4, vec![added("x"), added("y")]));
        told.calls.push(read(82, 1, &["x"]));
    });
}
