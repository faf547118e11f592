//! The order of names that have numbers in them.

use std::cmp::Ordering;

/// The order in which people count: runs of digits by their value. Total, and equal only for equal names.
pub fn natural(one: &str, another: &str) -> Ordering {
    let (mut a, mut b) = (one, another);
    loop {
        let (x, y) = (chunk(a), chunk(b));
        if x.is_empty() || y.is_empty() {
            return x.len().cmp(&y.len()).then_with(|| one.cmp(another));
        }
        let order = match (value(x), value(y)) {
            (Some(x), Some(y)) => (x.len(), x).cmp(&(y.len(), y)),
            _ => x.cmp(y),
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (&a[x.len()..], &b[y.len()..]);
    }
}

/// The run of digits, or of anything else, at the head.
fn chunk(text: &str) -> &str {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text
        .find(|c: char| c.is_ascii_digit() != digits)
        .unwrap_or(text.len());
    &text[..end]
}

/// A number's digits without leading zeros.
fn value(chunk: &str) -> Option<&str> {
    chunk
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| chunk.trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn the_natural_order_is_an_order(a in "[a-b0-1é]{0,5}", b in "[a-b0-1é]{0,5}", c in "[a-b0-1é]{0,5}") {
            proptest::prop_assert_eq!(natural(&a, &b), natural(&b, &a).reverse());
            proptest::prop_assert_eq!(natural(&a, &b) == Ordering::Equal, a == b);
            if natural(&a, &b) != Ordering::Greater && natural(&b, &c) != Ordering::Greater {
                proptest::prop_assert!(natural(&a, &c) != Ordering::Greater);
            }
        }
    }
}
