//! What the values of several dimensions have in common.

/// Whether each of the inner values is covered by one of the outer; an empty list stands for every value.
pub(super) fn all_of<T>(outer: &[T], inner: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    outer.is_empty()
        || (!inner.is_empty()
            && inner
                .iter()
                .all(|inner| outer.iter().any(|outer| covers(outer, inner))))
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
