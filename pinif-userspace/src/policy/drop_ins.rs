//! The files beside a policy's: `policy.d/*.toml` beside `policy.toml`. They have `[[accept]]` and nothing else, so that one is added
//! or removed without a change to what the policy demands.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    acceptance::{self, Accept},
    dimension::LookUp,
    errors::PolicyErrors,
    file,
    guard::caught,
    model::Policy,
    problem::{Flaw, Problem},
    read::{Occasion, POLICY, panicked, read_text, users_known},
    report::Report,
};
use crate::text::escape::visible;

/// How many files there may be.
const MOST: usize = 256;

impl Policy {
    /// The policy of a file, and of the files beside it ([`drop_ins`]).
    ///
    /// # Errors
    ///
    /// That a file cannot be read, that others can change it and that is refused, or all that is wrong with it.
    pub fn read(path: &Path, occasion: Occasion) -> Result<Self, PolicyErrors> {
        Self::read_alone(path, occasion)?.with_drop_ins(path, occasion)
    }

    /// The policy of the files beside one that is not there; none where there are none either.
    ///
    /// # Errors
    ///
    /// As of [`Self::read`].
    pub fn read_drop_ins(path: &Path, occasion: Occasion) -> Result<Option<Self>, PolicyErrors> {
        let policy = Self::default().with_drop_ins(path, occasion)?;
        Ok((!policy.accepts.is_empty()).then_some(policy))
    }

    /// Looks at a file as one that is to be beside a policy's, as a service does: that others cannot change it, and what is in it.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub fn check_drop_in(path: &Path) -> Result<(), PolicyErrors> {
        read(path, &Self::default(), Occasion::Service, &users_known()).map(drop)
    }

    fn with_drop_ins(mut self, path: &Path, occasion: Occasion) -> Result<Self, PolicyErrors> {
        let users = users_known();
        let added = caught(|| add(&mut self, path, occasion, &users));
        added.unwrap_or_else(|panic| {
            let directory = drop_in_directory(path);
            Err(panicked(&directory.to_string_lossy(), &panic))
        })?;
        Ok(self)
    }
}

/// Where the files beside a policy's are: `policy.d` for `policy.toml`.
pub fn drop_in_directory(policy: &Path) -> PathBuf {
    policy.with_extension("d")
}

/// The files beside a policy's, in the order of their names; none where there is no such directory.
///
/// # Errors
///
/// When the directory cannot be read, or has too many.
pub fn drop_ins(policy: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(drop_in_directory(policy)) {
        Ok(entries) => entries,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(Vec::new()),
                _ => Err(error),
            };
        }
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let is_hidden = name.as_encoded_bytes().starts_with(b".");
        // Editors and package managers leave others there, as `10-known.toml~`.
        if !is_hidden && Path::new(&name).extension().is_some_and(|it| it == "toml") {
            files.push(drop_in_directory(policy).join(name));
        }
        if files.len() > MOST {
            return Err(io::Error::other(format!("it has more than {MOST} files")));
        }
    }
    files.sort();
    Ok(files)
}

/// Adds what the files beside a policy's accept.
fn add(
    policy: &mut Policy,
    path: &Path,
    occasion: Occasion,
    look_up: LookUp<'_>,
) -> Result<(), PolicyErrors> {
    let files = drop_ins(path).map_err(|error| {
        let directory = drop_in_directory(path);
        PolicyErrors::unreadable(&directory.to_string_lossy(), &error, POLICY)
    })?;
    let mut errors: Option<PolicyErrors> = None;
    for file in files {
        match read(&file, policy, occasion, look_up) {
            Ok((accepts, warnings)) => {
                policy.accepts.extend(accepts);
                policy.warnings.extend(warnings);
            }
            Err(more) => {
                errors = Some(match errors {
                    Some(errors) => errors.and(more),
                    None => more,
                });
            }
        }
    }
    errors.map_or(Ok(()), Err)
}

/// What one of them accepts, with its warnings.
fn read(
    path: &Path,
    policy: &Policy,
    occasion: Occasion,
    look_up: LookUp<'_>,
) -> Result<(Vec<Accept>, Vec<Problem>), PolicyErrors> {
    let (text, mut warnings) = read_text(path, occasion, POLICY)?;
    let origin = path.to_string_lossy();
    let mut report = Report::new(&text, &origin);
    let raw = file::parse(&mut report);
    let others = raw.zones.iter().map(|zone| zone.name.span());
    let others = others.chain(raw.rules.iter().map(|rule| rule.header.clone()));
    let others = others.chain(raw.unparsed.iter().map(|value| value.span()));
    for span in others.collect::<Vec<_>>() {
        let flaw = Flaw::new("a file beside the policy's has `[[accept]]`, and nothing else");
        let fix = format!("put it into {}", visible(&policy_of(path)));
        report.error(&span, flaw.fix(fix));
    }
    let rules: Vec<&str> = policy.rules.iter().map(|rule| &*rule.name).collect();
    let accepts = acceptance::check(&raw.accepts, &policy.accepts, &rules, &mut report, look_up);
    warnings.extend(report.into_result()?);
    Ok((accepts, warnings))
}

/// The policy's file that a file is beside.
fn policy_of(drop_in: &Path) -> String {
    let directory = drop_in.parent().unwrap_or(Path::new("policy.d"));
    directory
        .with_extension("toml")
        .to_string_lossy()
        .into_owned()
}
