//! Ids of every kind, of conversations, messages and keys.

use aral_store::{Edit, Mutation, Operation};

use crate::support::ops::{Op, Step};

use super::{append, everywhere, message};

#[test]
fn ids_that_are_long_or_look_alike_stay_apart() {
    let long = |last: &str| format!("{}{last}", "é".repeat(499));
    let ids = ["abc", "Abc", "abc ", " abc", "abc\0", &long("x "), &long("x")];
    assert_eq!(long("x ").len(), 1000);
    let each = |of: &dyn Fn(&str) -> Mutation| ids.iter().map(|id| Step::of(of(id))).collect::<Vec<_>>();
    let edit = || Operation::EditMessage { message_id: "m".into(), edit: Edit::content("edited") };
    let in_all = |operation| Mutation::new("all", operation);
    let edited = |id: &str| Operation::EditMessage { message_id: id.into(), edit: Edit::content(id) };
    let (removed, kept) = ids.split_at(ids.len() / 2);
    everywhere(&[
        Op::Batch(each(&|id| message(id, "m", id).key(id))),
        Op::Batch(each(&|id| message("all", id, "the same"))),
        Op::Batch(each(&|id| in_all(edited(id)))),
        Op::Batch(each(&|id| message(id, "m", id).key(id))),
        append(Mutation::new(removed[1], edit())),
        Op::Batch(
            removed.iter().map(|id| Step::of(in_all(Operation::RemoveMessage((*id).into())))).collect(),
        ),
        Op::Batch(
            removed.iter().map(|id| Step::of(Mutation::new(*id, Operation::RemoveConversation))).collect(),
        ),
        append(Mutation::new(kept[0], edit())),
    ]);
}
