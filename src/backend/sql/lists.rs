//! Lists of values in a question.
//!
//! Owns their lengths: there are few, so that few statements are prepared.

/// How many values a question asks for at most.
const MOST: usize = 256;

/// The parts of a list that are asked for one after the other: how the statement names the values, and the values. Where a part is shorter than its
/// list, the rest of that repeats the last value.
pub(super) fn lists<T: Clone>(values: &[T]) -> impl Iterator<Item = (String, Vec<T>)> + '_ {
    values.chunks(MOST).map(|part| {
        let length = [1, 4, 16, 64].into_iter().find(|length| *length >= part.len()).unwrap_or(MOST);
        let names = (1..=length).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ");
        let rest = part.last().into_iter().cycle();
        (names, part.iter().chain(rest).take(length).cloned().collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_one_of_few_lengths_and_every_value() {
        let of = |count: usize| lists(&(0..count).collect::<Vec<_>>()).collect::<Vec<_>>();
        assert!(of(0).is_empty());
        assert_eq!(of(1), [("?1".to_owned(), vec![0])]);
        assert_eq!(of(3), [("?1, ?2, ?3, ?4".to_owned(), vec![0, 1, 2, 2])]);
        let lengths = |count| of(count).iter().map(|(_, values)| values.len()).collect::<Vec<_>>();
        assert_eq!((lengths(65), lengths(600)), (vec![256], vec![256, 256, 256]));
        let mut all: Vec<usize> = of(600).into_iter().flat_map(|(_, values)| values).collect();
        all.dedup();
        assert!(all.into_iter().eq(0..600));
    }
}
