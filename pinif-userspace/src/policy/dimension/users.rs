//! The user of the socket that sends.

use std::collections::HashMap;

use pinif_ebpf::policy::{Active, NumberKey, RuleSet, Slot, dimension};

use super::{
    cache_input::CacheInput,
    definition::{Dimension, LookUp, LookUpFile},
    values::all_below,
};
use crate::host::users;
use crate::policy::{
    key::{Key, Takes, key},
    problem::{Flaw, quoted},
    raw::Scalar,
    trie::{by_number, numbered, table},
};
use crate::text::escape::visible;

/// The user of the socket.
#[derive(Debug)]
pub struct User;

impl Dimension for User {
    type Value = u32;
    type Table = Vec<(NumberKey, RuleSet)>;
    type Answers = HashMap<u32, RuleSet>;

    const KEY: Key = key(
        "user",
        Takes::TextsOrNumbers,
        r#"["fabd", 998]"#,
        "The user whom the socket belongs to: a name or a number.",
    );
    const OTHER_NAMES: &'static [&'static str] = &["uid"];
    const MOST: usize = 8000;
    const BIT: u32 = dimension::USER;
    const CACHE: CacheInput = CacheInput::User;

    fn parse(value: &Scalar, look_up: LookUp<'_>) -> Result<Self::Value, Flaw> {
        user(value, look_up)
    }

    fn covers(outer: &[Self::Value], inner: &[Self::Value]) -> bool {
        all_below(outer, inner, |one| [one])
    }

    fn compile(wanted: &[Vec<Self::Value>], slot: Slot) -> (RuleSet, Self::Table) {
        let (any, table) = table(wanted);
        (any, numbered(table, slot))
    }

    fn is_unused(table: &Self::Table) -> bool {
        table.is_empty()
    }

    fn any(active: &mut Active) -> &mut RuleSet {
        &mut active.any_user
    }

    fn answers(table: &Self::Table, _: &LookUpFile<'_>) -> Self::Answers {
        by_number(table)
    }
}

/// A user id, by number or by name; `look_up` knows the names, and fails with a reason.
fn user(value: &Scalar, look_up: LookUp<'_>) -> Result<u32, Flaw> {
    let text = match value {
        // The last number means "no user" to the kernel (`INVALID_UID`).
        Scalar::Number(number) => {
            return u32::try_from(*number)
                .ok()
                .filter(|uid| *uid != u32::MAX)
                .ok_or_else(|| {
                    Flaw::new(format!("{number} is not a user id"))
                        .fix("user ids are 0 to 4294967294")
                });
        }
        Scalar::Text(text) => text,
    };
    let unknown = || Flaw::new(format!("unknown user {}", quoted(text)));
    match look_up(text) {
        Ok(Some(uid)) => Ok(uid),
        Ok(None) if text.parse::<u32>().is_ok() => {
            Err(unknown().fix(format!("write the number {text} without quotes")))
        }
        Ok(None) => Err(unknown().fix(users::UNKNOWN)),
        Err(reason) => {
            let flaw = Flaw::new(format!(
                "user {} could not be looked up: {}",
                quoted(text),
                visible(&reason)
            ));
            Err(flaw.fix("give the number of the user"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Scalar {
        Scalar::Text(text.to_owned())
    }

    #[test]
    fn users_are_looked_up() {
        let look_up = |name: &str| match name {
            "fabd" => Ok(Some(998)),
            "broken" => Err("no name service".to_owned()),
            _ => Ok(None),
        };
        assert_eq!(user(&text("fabd"), &look_up), Ok(998));
        assert_eq!(user(&Scalar::Number(0), &look_up), Ok(0));
        assert_eq!(
            user(&Scalar::Number(4_294_967_294), &look_up),
            Ok(4_294_967_294)
        );
        for bad in [
            Scalar::Number(-1),
            Scalar::Number(4_294_967_295),
            text("nobody-here"),
            text("998"),
            text("broken"),
        ] {
            assert!(user(&bad, &look_up).is_err(), "{bad:?}");
        }
    }
}
