//! From a file or a text to a policy, or to all that is wrong with it.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

use sha2::{Digest as _, Sha256};

use super::{
    check,
    dimension::LookUp,
    errors::PolicyErrors,
    file,
    guard::caught,
    model::{Policy, PolicyFile},
    open::{Opened, Refusal, open},
    problem::{Flaw, Gravity, Problem},
    report::Report,
};
use crate::{host::users, text::escape::visible};

/// What a policy is called in messages.
pub(super) const POLICY: &str = "policy";
/// A policy of 256 rules is a few kilobytes; what is larger than this is no policy.
const MAX_BYTES: u64 = 1 << 20;

/// For whom a policy file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A service: a policy that others can change is refused, since nobody reads a warning.
    Service,
    /// A person: such a policy is warned of. It may also come by a pipe that is open already, as `/dev/stdin` is.
    ByHand,
    /// A person, to whom such a policy is in force: what came by a pipe does not come again.
    AgainByHand,
}

impl Policy {
    /// The policy of `text`; `origin` is the name of the file in messages.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub fn parse(text: &str, origin: &str) -> Result<Self, PolicyErrors> {
        Self::parse_with(text, origin, &users_known())
    }

    /// The policy of a file alone.
    pub(super) fn read_alone(path: &Path, occasion: Occasion) -> Result<Self, PolicyErrors> {
        let origin = path.to_string_lossy();
        let Opened { file, exposures } = open_for(path, occasion, POLICY)?;
        let text = text_of(file, &origin, POLICY)?;
        let mut policy = Self::parse(&text, &origin)?;
        policy.file = Some(PolicyFile {
            path: path.to_owned(),
            digest: digest(&text),
        });
        let warnings = placeless(Gravity::Warning, &origin, exposures);
        policy.warnings.splice(0..0, warnings);
        Ok(policy)
    }

    /// The policy of an open file; `origin` is its name in messages.
    ///
    /// # Errors
    ///
    /// That it cannot be read, or all that is wrong with it.
    pub fn read_from(source: impl Read, origin: &str) -> Result<Self, PolicyErrors> {
        Self::parse(&text_of(source, origin, POLICY)?, origin)
    }

    fn parse_with(text: &str, origin: &str, look_up: LookUp<'_>) -> Result<Self, PolicyErrors> {
        let parsed = caught(|| {
            let mut report = Report::new(text, origin);
            let raw = file::parse(&mut report);
            let policy = check::check(&raw, &mut report, look_up);
            let warnings = report.into_result()?;
            Ok(Self { warnings, ..policy })
        });
        parsed.unwrap_or_else(|panic| Err(panicked(origin, &panic)))
    }
}

/// The numbers of users, by their names. A name may be there many times, and to look it up may be to ask another machine.
pub(super) fn users_known() -> impl Fn(&str) -> Result<Option<u32>, String> {
    let known = RefCell::new(HashMap::new());
    move |name: &str| {
        let mut known = known.borrow_mut();
        known
            .entry(name.to_owned())
            .or_insert_with(|| users::number_of(name))
            .clone()
    }
}

pub(super) fn panicked(origin: &str, panic: &str) -> PolicyErrors {
    let what = format!(
        "{} cannot be read, by a fault of pinif's: {panic}",
        visible(origin)
    );
    let fix = "report it with the file, and leave out what was added last";
    PolicyErrors::without_place(origin, Flaw::new(what).fix(fix))
}

/// The text of another file by which the operator says what becomes of packets: what is asked of a policy's file is asked of it.
/// Messages call what it holds by the name in `of`. With it what a person is to be warned of.
///
/// # Errors
///
/// That it cannot be read, or that others can change it and this is refused.
pub(crate) fn read_text(
    path: &Path,
    occasion: Occasion,
    of: &'static str,
) -> Result<(String, Vec<Problem>), PolicyErrors> {
    let origin = path.to_string_lossy();
    let Opened { file, exposures } = open_for(path, occasion, of)?;
    let warnings = placeless(Gravity::Warning, &origin, exposures);
    Ok((text_of(file, &origin, of)?, warnings))
}

/// Opens another file of the operator's, which is refused where others can change it, whoever looks on. Messages call what it holds by
/// the name in `of`.
///
/// # Errors
///
/// That it cannot be opened, or that others can change it.
pub(crate) fn open_guarded(path: &Path, of: &'static str) -> Result<File, String> {
    let opened = open_for(path, Occasion::Service, of).map_err(|errors| {
        let briefs = errors.problems().iter().map(|problem| problem.brief());
        briefs.collect::<Vec<_>>().join("; ")
    })?;
    Ok(opened.file)
}

/// Opens a file. Where nobody reads a warning, one that others can change is refused.
fn open_for(path: &Path, occasion: Occasion, of: &'static str) -> Result<Opened, PolicyErrors> {
    let origin = path.to_string_lossy();
    let opened = open(path, occasion == Occasion::ByHand, of)
        .map_err(|refusal| refused(&origin, refusal, of))?;
    if occasion == Occasion::Service && !opened.exposures.is_empty() {
        let problems = placeless(Gravity::Error, &origin, opened.exposures);
        return Err(PolicyErrors::new(visible(&origin).into(), problems, 0));
    }
    Ok(opened)
}

fn placeless(gravity: Gravity, origin: &str, flaws: Vec<Flaw>) -> Vec<Problem> {
    let problem = |flaw| Problem::new(gravity, visible(origin).into(), flaw);
    flaws.into_iter().map(problem).collect()
}

fn refused(origin: &str, refusal: Refusal, of: &str) -> PolicyErrors {
    match refusal {
        Refusal::Error(error) => PolicyErrors::unreadable(origin, &error, of),
        Refusal::NoFile(what) => {
            let what = format!("cannot read {}: it is {what}", visible(origin));
            PolicyErrors::without_place(origin, Flaw::new(what).fix("name a regular file"))
        }
    }
}

/// The SHA-256 of a text, in hexadecimal.
fn digest(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The whole text of a file. Messages call what it holds by the name in `of`.
fn text_of(source: impl Read, origin: &str, of: &str) -> Result<String, PolicyErrors> {
    let mut bytes = Vec::new();
    source
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error: io::Error| PolicyErrors::unreadable(origin, &error, of))?;
    if bytes.len() as u64 > MAX_BYTES {
        let flaw = Flaw::new(format!("this is no {of}: it is larger than 1 MiB"))
            .fix(format!("name the {of} file"));
        return Err(PolicyErrors::without_place(origin, flaw));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let flaw = Flaw::new(format!("line {line} is not UTF-8")).fix("save the file as UTF-8");
        PolicyErrors::without_place(origin, flaw)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_one_that_sha256sum_prints() {
        // The second example of FIPS 180-2, appendix B.
        assert_eq!(
            digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        );
    }

    #[test]
    fn a_panic_within_becomes_an_error_that_names_the_file() {
        let text = "[[rule]]\nname = \"r\"\npinned = true\nuser = \"fabd\"\n";
        for _ in 0..2 {
            let errors = Policy::parse_with(text, "policy.toml", &|_| panic!("no such thing"))
                .expect_err("a panic");
            assert_eq!(
                errors.brief(),
                "policy.toml cannot be read, by a fault of pinif's: no such thing; report it with the file, and leave out what \
                 was added last"
            );
        }
        Policy::parse_with(text, "policy.toml", &|_| Ok(Some(7))).expect("a good one");
    }
}
