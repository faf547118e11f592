//! What pinif's own capabilities allow (capabilities(7)).

use procfs::{ProcResult, process::Process};

use super::outcome::Outcome;

/// Capabilities by their numbers (capabilities(7), linux/capability.h), with what they are needed for.
const NEEDED: [(u32, &str); 3] = [(39, "CAP_BPF"), (38, "CAP_PERFMON"), (12, "CAP_NET_ADMIN")];
const CAP_SYS_ADMIN: u32 = 21;
const USEFUL: [(u32, &str, &str); 3] = [
    (
        CAP_SYS_ADMIN,
        "CAP_SYS_ADMIN",
        "enter other network namespaces",
    ),
    (19, "CAP_SYS_PTRACE", "name the processes of other users"),
    (2, "CAP_DAC_READ_SEARCH", "find cgroups by their ids"),
];

/// The capabilities in effect.
pub(super) struct Privileges(u64);

impl Privileges {
    /// Those of this process.
    ///
    /// # Errors
    /// Where /proc cannot be read.
    pub fn read() -> ProcResult<Self> {
        let status = Process::myself()?.status()?;
        Ok(Self(status.capeff))
    }

    fn has(&self, capability: u32) -> bool {
        self.0 >> capability & 1 != 0
    }

    /// What is lacking to load and attach programs. CAP_SYS_ADMIN holds CAP_BPF and CAP_PERFMON (`bpf_capable`).
    fn lacking(&self) -> Vec<&'static str> {
        let held = |capability| self.has(capability) || capability >= 38 && self.has(CAP_SYS_ADMIN);
        NEEDED
            .into_iter()
            .filter(|(capability, _)| !held(*capability))
            .map(|(_, name)| name)
            .collect()
    }

    /// Whether programs can be loaded and attached.
    pub fn may_load(&self) -> bool {
        self.lacking().is_empty()
    }

    /// What there is to say of them.
    pub fn outcome(&self) -> Outcome {
        let lacking = self.lacking();
        if !lacking.is_empty() {
            return Outcome::fatal(
                format!("root is needed, or at least {} as well", lacking.join(", ")),
                "run it as root: `sudo pinif …`",
            );
        }
        let missed: Vec<_> = USEFUL
            .into_iter()
            .filter(|(capability, ..)| !self.has(*capability))
            .collect();
        if missed.is_empty() {
            return Outcome::Ok(
                "may load programs, enter namespaces and look into processes".to_owned(),
            );
        }
        let cannot: Vec<_> = missed.iter().map(|(.., purpose)| *purpose).collect();
        let names: Vec<_> = missed.iter().map(|(_, name, _)| *name).collect();
        Outcome::lack(
            format!("pinif cannot {}", cannot.join(", nor ")),
            format!("give it {}", names.join(", ")),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::capabilities::outcome::{Check, obstacle};

    fn is_fatal(outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Lack { fatal: true, .. })
    }

    #[test]
    fn what_capabilities_allow() {
        let all = |numbers: &[u32]| Privileges(numbers.iter().map(|number| 1 << number).sum());
        assert!(matches!(Privileges(u64::MAX).outcome(), Outcome::Ok(_)));
        assert!(
            matches!(all(&[12, 2, 19, CAP_SYS_ADMIN]).outcome(), Outcome::Ok(_)),
            "CAP_SYS_ADMIN holds CAP_BPF"
        );
        let few = all(&[12, 38, 39, 2]);
        assert!(few.may_load());
        let expected = Outcome::lack(
            "pinif cannot enter other network namespaces, nor name the processes of other users",
            "give it CAP_SYS_ADMIN, CAP_SYS_PTRACE",
        );
        assert_eq!(few.outcome(), expected);
        let none = all(&[]);
        assert!(!none.may_load() && is_fatal(&none.outcome()));
        let check = Check {
            name: "privileges",
            outcome: all(&[12]).outcome(),
        };
        let sentence = "root is needed, or at least CAP_BPF, CAP_PERFMON as well; run it as root: `sudo pinif …`";
        assert_eq!(obstacle(&[check]).as_deref(), Some(sentence));
    }
}
