//! How much of the tables each may fill: of findings, so that nobody who invents subjects hides another's leak.

use crate::{sighting::FindingKey, subject::SubjectKey};

/// How many findings the table holds.
pub const FINDINGS: u32 = 16_384;
/// How many findings of one kind the programs of one user may have; more are one, of the user's other programs.
pub const OF_A_USER: u64 = 1_024;
/// How many findings all programs may have; more are one, of others. As many as leave room for the rest.
pub const OF_PROGRAMS: u64 = 8_192;
/// How many findings may have any other subject; more are one, of others.
pub(crate) const OF_OTHER_SUBJECTS: u64 = 6_144;

/// Who holds findings.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareKey {
    /// The user, where `kind` is set; else one of the classes.
    pub holder: u32,
    /// The [`crate::verdict::Kind`]'s number; zero for a class.
    pub kind: u32,
}

impl ShareKey {
    /// All programs together.
    pub const PROGRAMS: Self = Self { holder: 0, kind: 0 };
    /// All other subjects together.
    pub(crate) const OTHER_SUBJECTS: Self = Self { holder: 1, kind: 0 };

    /// What a user's programs have of a kind.
    #[inline(always)]
    pub(crate) const fn of_user(uid: u32, kind: u8) -> Self {
        Self {
            holder: uid,
            kind: kind as u32,
        }
    }
}

/// What a finding is charged to: a user's share, if a user's, and a class's. Nothing for what stands for others: of those
/// there is one for each of the things that nobody invents.
#[inline(always)]
pub const fn charged(key: &FindingKey) -> Option<(Option<ShareKey>, ShareKey)> {
    if key.subject.is_of_others() {
        return None;
    }
    Some(match key.subject.user_of_program() {
        Some(uid) => (Some(ShareKey::of_user(uid, key.kind)), ShareKey::PROGRAMS),
        None => (None, ShareKey::OTHER_SUBJECTS),
    })
}

/// How many findings a class may have.
#[inline(always)]
pub const fn limit_of_class(class: ShareKey) -> u64 {
    if class.holder == ShareKey::PROGRAMS.holder {
        OF_PROGRAMS
    } else {
        OF_OTHER_SUBJECTS
    }
}

/// Whose finding takes what has none of its own, where the user's share is full; and where the class's is.
#[inline(always)]
pub const fn stands_in(key: &FindingKey, user_is_full: bool) -> SubjectKey {
    match key.subject.user_of_program() {
        Some(uid) if user_is_full => SubjectKey::other_programs(uid),
        _ => SubjectKey::OTHERS,
    }
}

const _: () = assert!(OF_PROGRAMS + OF_OTHER_SUBJECTS < FINDINGS as u64);
const _: () = assert!(size_of::<ShareKey>() == 8);

#[cfg(feature = "user")]
mod pod {
    // SAFETY: `repr(C)`, two integers of one size.
    unsafe impl aya::Pod for super::ShareKey {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{intent::Owner, key::IfIndex};

    fn key(subject: SubjectKey) -> FindingKey {
        FindingKey {
            kind: 4,
            subject,
            ..FindingKey::default()
        }
    }

    #[test]
    fn a_program_is_charged_to_its_user_and_what_stands_for_others_to_nobody() {
        let owner = Owner {
            uid: 1000,
            ..Owner::default()
        };
        let program = key(SubjectKey::program(&owner));
        let user = ShareKey {
            holder: 1000,
            kind: 4,
        };
        assert_eq!(charged(&program), Some((Some(user), ShareKey::PROGRAMS)));
        let others = stands_in(&program, true);
        assert_eq!(others, SubjectKey::other_programs(1000));
        assert_eq!(charged(&key(others)), None);
        assert_eq!(stands_in(&program, false), SubjectKey::OTHERS);

        let forwarded = key(SubjectKey::forwarded(IfIndex(3), 17));
        assert_eq!(charged(&forwarded), Some((None, ShareKey::OTHER_SUBJECTS)));
        assert_eq!(stands_in(&forwarded, false), SubjectKey::OTHERS);
        assert_eq!(charged(&key(SubjectKey::OTHERS)), None);
    }
}
