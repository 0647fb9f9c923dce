//! Windows of whole turns against a plain judge, which knows every call and its result.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::{JsonObject, Message};
use crate::rules::selection::select;

/// A message as the tests have it: who speaks, and the ids of calls and answers.
type Line = (&'static str, &'static str, &'static str);

fn message(at: usize, (role, calls, answers): &Line) -> Message {
    let time = Timestamp::from_unix_micros(i64::try_from(at % 7).unwrap() * 1_000_000).unwrap();
    let mut message = Message::new(at.to_string(), format!("text {at}"), *role, time);
    let ids = |ids: &str| ids.chars().map(|id| format!(r#"{{"id":"{id}"}}"#)).collect::<Vec<_>>().join(",");
    let metadata = match (calls.is_empty(), answers.is_empty()) {
        (true, true) => "{}".to_owned(),
        (false, _) => format!(r#"{{"tool_calls":[{}]}}"#, ids(calls)),
        (true, false) => format!(r#"{{"tool_call_id":"{answers}"}}"#),
    };
    message.metadata = JsonObject::parse(&metadata).unwrap();
    message
}

fn conversation(lines: &[Line]) -> Vec<Message> {
    lines.iter().enumerate().map(|(at, line)| message(at, line)).collect()
}

fn places(lines: &[Line], selection: &Messages) -> Vec<usize> {
    select(&conversation(lines), selection).unwrap()
}

const USER: Line = ("user", "", "");
const SAYS: Line = ("assistant", "", "");

/// What a plain judge finds: each result with the place of its call, the nearest before it.
fn links(lines: &[Line]) -> Vec<(usize, usize)> {
    let mut links = Vec::new();
    for (at, (role, _, answers)) in lines.iter().enumerate() {
        let before = lines.get(..at).unwrap();
        let call = if *role != "tool" {
            None
        } else if answers.is_empty() {
            before.iter().rposition(|(role, ..)| *role != "tool")
        } else {
            before.iter().rposition(|(_, calls, _)| calls.contains(answers))
        };
        links.extend(call.map(|call| (call, at)));
    }
    links
}

fn is_clean(links: &[(usize, usize)], cut: usize) -> bool {
    !links.iter().any(|(call, answer)| *call < cut && cut <= *answer)
}

/// The window of the last messages, made out the long way.
fn last(lines: &[Line], limit: usize) -> Vec<usize> {
    let links = links(lines);
    let is_cut = |at: &usize| lines.get(*at).unwrap().0 != "tool" && is_clean(&links, *at);
    let clean: Vec<usize> = (0..lines.len()).filter(is_cut).collect();
    let turns: Vec<usize> = clean.iter().copied().filter(|at| lines.get(*at).unwrap().0 == "user").collect();
    let cuts = if turns.is_empty() { clean } else { turns };
    let fits = cuts.iter().copied().find(|at| lines.len() - at <= limit);
    fits.or(cuts.last().copied()).map_or_else(Vec::new, |start| (start..lines.len()).collect())
}

fn line() -> impl Strategy<Value = Line> {
    prop_oneof![
        3 => Just(USER),
        3 => Just(SAYS),
        1 => Just(("system", "", "")),
        2 => prop_oneof![Just("a"), Just("b"), Just("c"), Just("ab"), Just("abc")].prop_map(|calls| ("assistant", calls, "")),
        4 => prop_oneof![Just("a"), Just("b"), Just("c"), Just("d"), Just("")].prop_map(|answers| ("tool", "", answers)),
    ]
}

proptest! {
    #[test]
    fn a_window_is_that_of_a_plain_judge(lines in vec(line(), 0..24), limit in 1_usize..10) {
        prop_assert_eq!(places(&lines, &Messages::last(limit).whole_turns()), last(&lines, limit));
    }

    #[test]
    fn a_window_is_what_a_provider_accepts(
        lines in vec(line(), 1..24),
        limit in 1_usize..10,
        cursor in 0_u64..26,
        from_end in any::<bool>(),
        is_timed in any::<bool>(),
    ) {
        let mut selection = if from_end { Messages::last(limit) } else { Messages::first(limit) }.whole_turns();
        if from_end {
            selection = selection.before_place(cursor);
        } else {
            selection = selection.from_place(cursor);
        }
        if is_timed {
            selection = selection.since("1970-01-01T00:00:02".parse().unwrap()).until("1970-01-01T00:00:05".parse().unwrap());
        }
        let window = places(&lines, &selection);
        let links = links(&lines);
        for (call, answer) in &links {
            prop_assert!(window.contains(call) || !window.contains(answer), "{} without {}: {:?}", answer, call, window);
            let is_first = links.iter().all(|(other, before)| other != call || before >= answer);
            // A call of several ids is held to the first of its answers, too.
            prop_assert!(!is_first || window.contains(answer) || !window.contains(call), "{} without {}", call, answer);
        }
        if let Some(first) = window.first() {
            let role = lines.get(*first).unwrap().0;
            prop_assert!(role != "tool");
            let range = if from_end { 0..usize::try_from(cursor).unwrap().min(lines.len()) } else { usize::try_from(cursor).unwrap()..lines.len() };
            let speaks = |at: usize| lines.get(at).unwrap().0 == "user" && is_clean(&links, at);
            let is_cut_off = links.iter().any(|(call, answer)| range.contains(call) && *answer >= range.end);
            prop_assert!(role == "user" || is_cut_off || !range.clone().any(speaks));
            // Longer than the limit is one turn alone.
            if window.len() > limit {
                let inside = window.get(1..).unwrap();
                prop_assert!(!inside.iter().any(|at| speaks(*at)), "{:?}", window);
            }
        }
    }

    #[test]
    fn pages_of_whole_turns_hold_every_turn_once(lines in vec(line(), 0..24), limit in 1_usize..10) {
        let all = places(&lines, &Messages::all().whole_turns());
        let (mut paged, mut end) = (Vec::new(), u64::MAX);
        loop {
            let page = places(&lines, &Messages::last(limit).whole_turns().before_place(end));
            let Some(first) = page.first() else { break };
            end = u64::try_from(*first).unwrap();
            // What stands before the first turn has pages of its own, and is no turn.
            if all.first().is_some_and(|begin| first >= begin) {
                paged.splice(0..0, page);
            }
        }
        prop_assert_eq!(paged, all);
    }
}

#[test]
fn a_result_is_never_without_its_call() {
    let rain = [USER, SAYS, USER, ("assistant", "a", ""), ("tool", "", "a"), SAYS];
    assert_eq!(places(&rain, &Messages::last(2).whole_turns()), [2, 3, 4, 5]);
    assert_eq!(places(&rain, &Messages::last(5).whole_turns()), [2, 3, 4, 5]);
    assert_eq!(places(&rain, &Messages::last(6).whole_turns()), [0, 1, 2, 3, 4, 5]);
    assert_eq!(places(&rain, &Messages::last(9).whole_turns().before("2")), [0, 1]);
    assert_eq!(places(&rain, &Messages::last(0).whole_turns()), [0; 0]);
    assert_eq!(places(&rain, &Messages::first(3).whole_turns()), [0, 1]);
    assert_eq!(places(&rain, &Messages::first(1).whole_turns().after("0")), [2, 3, 4, 5]);
    // Cut off in the middle of a call, a window ends before it.
    assert_eq!(places(&rain, &Messages::last(9).whole_turns().before("4")), [0, 1, 2]);
    // An answer behind the user's next word joins both turns.
    let late = [USER, SAYS, USER, ("assistant", "a", ""), USER, ("tool", "", "a"), SAYS];
    assert_eq!(places(&late, &Messages::last(3).whole_turns()), [2, 3, 4, 5, 6]);
    // A call that is not answered yet is no reason to leave it out.
    assert_eq!(places(&late[..5], &Messages::last(1).whole_turns()), [4]);
    assert_eq!(places(&late[..4], &Messages::last(1).whole_turns()), [2, 3]);
}

#[test]
fn without_a_user_a_window_begins_with_what_is_no_result() {
    let lone = [SAYS, ("assistant", "a", ""), ("tool", "", "a"), ("tool", "", ""), SAYS];
    assert_eq!(places(&lone, &Messages::last(1).whole_turns()), [4]);
    assert_eq!(places(&lone, &Messages::last(2).whole_turns()), [4]);
    assert_eq!(places(&lone, &Messages::last(4).whole_turns()), [1, 2, 3, 4]);
    assert_eq!(places(&[("tool", "", "a")], &Messages::last(4).whole_turns()), [0; 0]);
}

#[test]
fn times_are_those_of_the_turns_beginnings() {
    let time = |second: i64| Timestamp::from_unix_micros(second * 1_000_000).unwrap();
    let turns = [USER, SAYS, USER, ("assistant", "a", ""), ("tool", "", "a"), USER, SAYS];
    assert_eq!(places(&turns, &Messages::all().whole_turns().since(time(3))), [5, 6]);
    assert_eq!(places(&turns, &Messages::last(4).whole_turns().until(time(3))), [2, 3, 4]);
    assert_eq!(places(&turns, &Messages::first(4).whole_turns().since(time(1)).until(time(5))), [2, 3, 4]);
}

#[test]
fn turns_are_not_of_one_role() {
    let refused = select(&conversation(&[USER]), &Messages::all().role("user").whole_turns());
    assert_eq!(refused.unwrap_err().kind(), crate::error::ErrorKind::InvalidInput);
}

#[test]
fn no_more_is_looked_at_than_the_window_takes() {
    struct Counted(Vec<Message>, std::cell::Cell<usize>);
    impl Listed for Counted {
        fn count(&self) -> usize {
            self.0.len()
        }
        fn find(&self, id: &Text) -> Result<Option<usize>> {
            self.0.find(id)
        }
        fn look(&self, at: usize, look: &mut dyn FnMut(crate::model::MessageRef<'_>)) -> Result<()> {
            self.1.set(self.1.get() + 1);
            self.0.look(at, look)
        }
    }
    let turn = [USER, ("assistant", "a", ""), ("tool", "", "a"), SAYS];
    let listed = Counted(conversation(&turn.repeat(100)), std::cell::Cell::new(0));
    assert_eq!(select(&listed, &Messages::last(10).whole_turns()).unwrap().len(), 8);
    assert!(listed.1.get() <= 12, "{} looks", listed.1.get());
}
