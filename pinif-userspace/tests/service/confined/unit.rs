//! A unit file of systemd, as far as it confines a service (systemd.exec(5)).

use std::collections::BTreeSet;

/// The unit of `pinif serve`.
const SERVE: &str = include_str!("../../../../contrib/pinif-serve.service");
/// The unit that pinif is shipped with.
const SHIPPED: &str = include_str!("../../../../contrib/pinif.service");
/// What the group `@system-service` means.
const SYSTEM_SERVICE: &str = include_str!("system-service.txt");

/// What the group `@resources` means.
const RESOURCES: [&str; 13] = [
    "ioprio_set",
    "mbind",
    "migrate_pages",
    "move_pages",
    "nice",
    "sched_setaffinity",
    "sched_setattr",
    "sched_setparam",
    "sched_setscheduler",
    "set_mempolicy",
    "set_mempolicy_home_node",
    "setpriority",
    "setrlimit",
];

/// What the group `@privileged` means, with the groups in it, of what `@system-service` has besides.
const PRIVILEGED: [&str; 22] = [
    "chown",
    "chown32",
    "fchown",
    "fchown32",
    "fchownat",
    "lchown",
    "lchown32",
    "capset",
    "setdomainname",
    "setfsuid",
    "setfsuid32",
    "setgroups",
    "setgroups32",
    "sethostname",
    "setresuid",
    "setresuid32",
    "setreuid",
    "setreuid32",
    "setuid",
    "setuid32",
    "open_by_handle_at",
    "bpf",
];

/// The settings of a unit, in order.
#[derive(Clone)]
pub struct Unit(Vec<(String, String)>);

impl Unit {
    /// The one that pinif is shipped with.
    pub fn shipped() -> Self {
        Self::read(SHIPPED)
    }

    /// That of `pinif serve`.
    pub fn of_serve() -> Self {
        Self::read(SERVE)
    }

    fn read(text: &str) -> Self {
        let is_setting = |line: &&str| !line.starts_with(['#', ';', '[']) && !line.is_empty();
        let settings = text.lines().map(str::trim).filter(is_setting);
        let setting = |line: &str| {
            let (name, value) = line.split_once('=').expect("a setting");
            assert!(
                !value.ends_with('\\'),
                "a line that goes on is not read: {line}"
            );
            (name.trim().to_owned(), value.trim().to_owned())
        };
        Self(settings.map(setting).collect())
    }

    /// The same without a setting.
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(other, _)| other != name);
        self
    }

    /// The words of all settings of this name.
    pub fn words(&self, name: &str) -> impl Iterator<Item = &str> {
        let settings = self.0.iter().filter(move |(other, _)| other == name);
        settings.flat_map(|(_, value)| value.split_whitespace())
    }

    /// The system calls that the service may make.
    pub fn system_calls(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let settings = self.0.iter().filter(|(name, _)| name == "SystemCallFilter");
        for (_, value) in settings {
            // It is of all words of the line.
            let (is_refused, words) = match value.strip_prefix('~') {
                Some(words) => (true, words),
                None => (false, &**value),
            };
            let calls: BTreeSet<String> = words.split_whitespace().flat_map(expand).collect();
            if is_refused {
                all.retain(|call| !calls.contains(call));
            } else {
                all.extend(calls);
            }
        }
        all
    }
}

/// What a word of `SystemCallFilter=` means.
fn expand(word: &str) -> Vec<String> {
    let owned = |calls: &[&str]| calls.iter().map(|call| (*call).to_owned()).collect();
    match word {
        "@system-service" => {
            let lines = SYSTEM_SERVICE.lines().filter(|line| !line.starts_with('#'));
            let calls: Vec<_> = lines.flat_map(str::split_whitespace).collect();
            owned(&calls)
        }
        "@resources" => owned(&RESOURCES),
        "@privileged" => owned(&PRIVILEGED),
        name => {
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            assert!(
                name.chars().all(is_name),
                "{name} has to be expanded here as well"
            );
            owned(&[name])
        }
    }
}

#[test]
fn the_shipped_unit_is_understood() {
    let calls = Unit::shipped().system_calls();
    for call in ["execve", "socket", "bpf", "setns"] {
        assert!(calls.contains(call), "{call}");
    }
    for call in ["ptrace", "setrlimit"] {
        assert!(!calls.contains(call), "{call}");
    }
    let calls = Unit::of_serve().system_calls();
    for call in ["execve", "socket", "setpgid"] {
        assert!(calls.contains(call), "{call}");
    }
    for call in ["bpf", "chown", "setuid", "setpriority"] {
        assert!(!calls.contains(call), "{call}");
    }
}
