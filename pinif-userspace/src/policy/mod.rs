//! What the operator wants: zones of interfaces, and rules that say by which of them traffic may leave.
//!
//! text → `file` → `check` → [`Policy`] → [`compile`] → the kernel's tables. A policy is checked as a whole: all
//! errors at once, each with its place and its fix. `docs/policy.md` is the reference.

mod check;
pub mod compile;
mod dimension;
pub mod evaluate;
mod file;
mod keys;
mod problem;
mod recover;
mod shadow;
mod syntax;
mod values;

use std::fmt;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use globset::GlobMatcher;
use ipnet::IpNet;
use nix::errno::Errno;
use pinif_ebpf::enforce::Action;
use pinif_ebpf::policy::ZoneSet;

use self::dimension::for_each_dimension;
use crate::text::hash::fnv1a;

pub(crate) use problem::counted;
pub use problem::{Gravity, PolicyErrors, Problem};

/// A policy without errors. The default is the empty one, which demands nothing.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The zones, in the order of the file.
    pub zones: Vec<Zone>,
    /// The rules, in the order of the file: the first that matches decides.
    pub rules: Vec<Rule>,
    /// What is allowed, and probably not meant.
    pub warnings: Vec<Problem>,
}

/// A named set of interfaces.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its name; unique.
    pub name: String,
    /// Names and globs; never empty.
    pub interfaces: Vec<InterfacePattern>,
    /// Whether its addresses and traffic must stay inside it.
    pub contained: bool,
}

/// A name or a glob for the names of interfaces.
#[derive(Clone)]
pub struct InterfacePattern {
    text: String,
    glob: GlobMatcher,
}

macro_rules! rule {
    ($($(#[$doc:meta])* $field:ident: $value:ty, $table:ty, $dimension:ident;)*) => {
        /// Which traffic, and what is demanded of it. A packet matches when it satisfies every list that is not empty, and it
        /// satisfies a list by any one of its entries.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Rule {
            /// Its name; unique.
            pub name: String,
            $($(#[$doc])* pub $field: Vec<$value>,)*
            /// Demands that it leaves by one of these zones, by their index; no demand where empty.
            pub only_via: Vec<usize>,
            /// Demands a bound device.
            pub pinned: bool,
            /// What becomes of a packet that breaks it, where the policy is enforced.
            pub action: Action,
        }
    };
}
for_each_dimension!(rule);

impl Rule {
    /// What a rule of this name has in every policy, by which a finding stays the same; not zero.
    pub fn id(&self) -> u32 {
        (fnv1a(self.name.bytes()) as u32).max(1)
    }
}

impl Policy {
    /// The number of the rule that has this id.
    pub fn rule_with(&self, id: u32) -> Option<usize> {
        self.rules.iter().position(|rule| rule.id() == id)
    }

    /// The policy of `text`; `origin` is the name of the file in messages.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub fn parse(text: &str, origin: &str) -> Result<Self, PolicyErrors> {
        Self::parse_with(text, origin, &user_id)
    }

    /// The policy of a file.
    ///
    /// # Errors
    ///
    /// That the file cannot be read, or all that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, PolicyErrors> {
        Self::parse(&file::read(path)?, &path.to_string_lossy())
    }

    /// The policy of an open file; `origin` is its name in messages.
    ///
    /// # Errors
    ///
    /// That it cannot be read, or all that is wrong with it.
    pub fn read_from(source: impl Read, origin: &str) -> Result<Self, PolicyErrors> {
        Self::parse(&file::read_all(source, origin)?, origin)
    }

    /// The zones that an interface of this name is in; there may be several.
    pub fn zones_of(&self, interface_name: &str) -> ZoneSet {
        let mut zones = ZoneSet::EMPTY;
        for (number, zone) in self.zones.iter().enumerate() {
            if zone
                .interfaces
                .iter()
                .any(|pattern| pattern.matches(interface_name))
            {
                zones.insert(number);
            }
        }
        zones
    }

    fn parse_with(
        text: &str,
        origin: &str,
        look_up: dimension::LookUp<'_>,
    ) -> Result<Self, PolicyErrors> {
        let mut report = problem::Report::new(text, origin);
        let raw = file::parse(&mut report);
        let (zones, rules) = check::check(&raw, &mut report, look_up);
        let warnings = report.into_result()?;
        Ok(Self {
            zones,
            rules,
            warnings,
        })
    }
}

impl InterfacePattern {
    /// Whether an interface of this name is meant.
    pub fn matches(&self, name: &str) -> bool {
        self.glob.is_match(name)
    }

    /// The pattern as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for InterfacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl Rule {
    /// Whether it looks at ports, which not every protocol has.
    fn looks_at_ports(&self) -> bool {
        !self.ports.is_empty() || !self.source_ports.is_empty()
    }
}

/// The id of a user of this machine (getpwnam(3)).
fn user_id(name: &str) -> Result<Option<u32>, String> {
    match nix::unistd::User::from_name(name) {
        Ok(user) => Ok(user.map(|user| user.uid.as_raw())),
        // The manual page lists these as what some systems say for "no such user".
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => Ok(None),
        Err(errno) => Err(errno.desc().to_owned()),
    }
}
