//! What a dimension is.

use std::{borrow::Cow, fmt, path::Path};

use pinif_ebpf::policy::{Active, RuleSet, Slot};

use super::cache_input::CacheInput;
use crate::policy::{file_id::FileId, key::Key, problem::Flaw, raw::Scalar};

/// The id of a user, if there is such a user; the reason, if that cannot be said.
pub(in crate::policy) type LookUp<'l> = &'l dyn Fn(&str) -> Result<Option<u32>, String>;
/// The file of a program at a path; none where there is none.
pub(in crate::policy) type LookUpFile<'l> = dyn Fn(&Path) -> Option<FileId> + 'l;

/// Something of a packet, or of who sends it, that a rule can look at.
pub(in crate::policy) trait Dimension {
    /// One of a rule's values.
    type Value: Clone + fmt::Debug;
    /// The entries in the kernel's table.
    type Table: Clone + fmt::Debug;
    /// The same table, asked in userspace.
    type Answers: fmt::Debug;

    /// Its key in a rule.
    const KEY: Key;
    /// What other tools call the key.
    const OTHER_NAMES: &'static [&'static str];
    /// How many values the rules together may have, so that two policies fit into the kernel's table: a range of ports is up
    /// to 30 entries, any other value is one.
    const MOST: usize;
    /// Its bit ([`pinif_ebpf::policy::dimension`]).
    const BIT: u32;
    /// What the verdict cache compares.
    const CACHE: CacheInput;

    /// The meaning of a value in the file.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and the fix.
    fn parse(value: &Scalar, look_up: LookUp<'_>) -> Result<Self::Value, Flaw>;

    /// The values that a rule wants, of those that it lists; none are any.
    fn wanted(listed: &[Self::Value], _looks_at_ports: bool) -> Cow<'_, [Self::Value]> {
        Cow::Borrowed(listed)
    }

    /// Whether a rule with the outer values matches wherever one with the inner does.
    fn covers(outer: &[Self::Value], inner: &[Self::Value]) -> bool;

    /// The rules that take any value, and the entries of what each rule wants.
    fn compile(wanted: &[Vec<Self::Value>], slot: Slot) -> (RuleSet, Self::Table);

    /// Whether no rule looks at it.
    fn is_unused(table: &Self::Table) -> bool;

    /// Where the kernel finds the rules that take any value.
    fn any(active: &mut Active) -> &mut RuleSet;

    /// The table in userspace.
    fn answers(table: &Self::Table, file: &LookUpFile<'_>) -> Self::Answers;
}
