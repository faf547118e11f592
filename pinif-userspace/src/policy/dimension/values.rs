//! What the values of several dimensions have in common.

use std::{collections::HashSet, hash::Hash};

/// Whether each of the inner values is covered by one of the outer; an empty list stands for every value.
pub(super) fn all_of<T>(outer: &[T], inner: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    outer.is_empty()
        || (!inner.is_empty()
            && inner
                .iter()
                .all(|inner| outer.iter().any(|outer| covers(outer, inner))))
}

/// As [`all_of`], where a value is covered by some few that `above` names, it among them. As long as both lists are, and no
/// longer: each may have many thousand values.
pub(super) fn all_below<T: Copy + Eq + Hash, I: IntoIterator<Item = T>>(
    outer: impl IntoIterator<Item = T>,
    inner: impl IntoIterator<Item = T>,
    above: impl Fn(T) -> I,
) -> bool {
    let outer: HashSet<T> = outer.into_iter().collect();
    let mut inner = inner.into_iter().peekable();
    outer.is_empty()
        || (inner.peek().is_some()
            && inner.all(|inner| above(inner).into_iter().any(|above| outer.contains(&above))))
}

/// Whether it is an absolute path without `.`, `..`, doubled slashes and control characters.
pub(super) fn plain_absolute(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|below| {
        below
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."))
            && !below.contains(char::is_control)
    })
}
