//! Tokens by which readers are known (RFC 6750): several, so that one can take the place of another while both hold.

use std::fmt;

use axum::http::{HeaderMap, header::AUTHORIZATION};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// What is shorter is guessed: 20 characters of base64 are 120 bits.
const SHORTEST: usize = 20;
/// What is longer does not fit beside the rest of a request's headers.
const LONGEST: usize = 1024;
/// How many there may be.
const MOST: usize = 64;
/// What is before a token in the header.
const SCHEME: &str = "bearer ";

/// The tokens that hold. Their digests are kept: all are equally long, and to compare them takes as long whatever they are.
#[derive(Clone)]
pub struct Tokens(Vec<[u8; 32]>);

impl Tokens {
    /// Those in a text: one a line. Empty lines and those that begin with `#` are none.
    ///
    /// # Errors
    ///
    /// What is wrong, with the number of the line and nothing of what is in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut digests = Vec::new();
        for (line, token) in (1..).zip(text.lines()) {
            let token = token.trim();
            if token.is_empty() || token.starts_with('#') {
                continue;
            }
            if !token.bytes().all(is_of_token) {
                return Err(format!(
                    "line {line} has a character that no token has; take letters, digits and -._~+/="
                ));
            }
            if !(SHORTEST..=LONGEST).contains(&token.len()) {
                return Err(format!(
                    "the token of line {line} has less than {SHORTEST} or more than {LONGEST} characters; make one by `openssl rand -base64 32`"
                ));
            }
            digests.push(digest(token));
        }
        match digests.len() {
            0 => Err("there is no token in it; write one by `openssl rand -base64 32`".to_owned()),
            1..=MOST => Ok(Self(digests)),
            _ => Err(format!("it has more than {MOST} tokens")),
        }
    }

    /// Whether a request has one of them.
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (all.next(), all.next()) else {
            return false;
        };
        let Some((scheme, token)) = value
            .to_str()
            .ok()
            .and_then(|value| value.split_at_checked(SCHEME.len()))
        else {
            return false;
        };
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return false;
        }
        let digest = digest(token.trim());
        // Each is compared, and the whole of each.
        let none = Choice::from(0);
        let found = self
            .0
            .iter()
            .fold(none, |found, own| found | own.ct_eq(&digest));
        found.into()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

/// The characters of `b64token` (RFC 6750 section 2.1).
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "aaaaaaaaaaaaaaaaaaaa+/==";
    const TWO: &str = "bbbbbbbbbbbbbbbbbbbb-._~";

    fn headers(values: &[&str]) -> HeaderMap {
        let values = values.iter().map(|value| value.parse().expect("a value"));
        values.map(|value| (AUTHORIZATION, value)).collect()
    }

    #[test]
    fn each_line_is_a_token() {
        let text = format!("# of this year\n{ONE}\n\n  {TWO} \r\n");
        let tokens = Tokens::parse(&text).expect("two tokens");
        for value in [
            format!("Bearer {ONE}"),
            format!("bearer {TWO}"),
            format!("BEARER  {ONE}"),
        ] {
            assert!(tokens.admit(&headers(&[&value])), "{value}");
        }
        for values in [
            &[][..],
            &["Bearer"],
            &["Bearer "],
            &["Bearer # of this year"],
            &[&*format!("Basic {ONE}")],
            &[&*format!("Bearer {}", &ONE[1..])],
            &[&*format!("Bearer {ONE}a")],
            &[&*format!("Bearer {ONE}"), &*format!("Bearer {ONE}")],
            &["é"],
        ] {
            let mut named = HeaderMap::new();
            for value in values {
                let value = value.as_bytes();
                named.append(AUTHORIZATION, value.try_into().expect("a value"));
            }
            assert!(!tokens.admit(&named), "{values:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_token() {
        for (text, error) in [
            ("", "there is no token"),
            ("# none\n", "there is no token"),
            ("\nshort", "the token of line 2 has less than 20"),
            ("two words of a sentence", "line 1 has a character"),
            (&*"x".repeat(1025), "or more than 1024"),
            (&*format!("{ONE}\n").repeat(65), "more than 64 tokens"),
        ] {
            let said = Tokens::parse(text).expect_err(error);
            assert!(said.contains(error), "{said}");
            assert!(!said.contains("short") && !said.contains("words"), "{said}");
        }
        assert_eq!(format!("{:?}", Tokens::parse(ONE)), "Ok(1 tokens)");
    }
}
