//! What the scenarios expect that ask for something else than a whole report, for the table of `cargo xtask scenarios`.

/// Each scenario with what it expects, in words; a name that ends with `*` stands for all that begin so. The first that fits is
/// meant.
const PROMISES: &[(&str, &str)] = &[
    ("2 bond-lacp", "nothing, beside what the bond negotiates"),
    (
        "5 same-index-in-two-namespaces",
        "2 device-escape, policy-escape; each in its namespace",
    ),
    (
        "5 same-index-in-two-namespaces-clsact",
        "2 device-escape, policy-escape; each in its namespace",
    ),
    ("6 netkit-both", "nothing; a cell in each namespace"),
    ("6 netns-all", "nothing; the namespaces that are meant"),
    ("6 netns-container-link", "nothing; the container's cell"),
    ("6 netns-container-name", "nothing; the container's name"),
    ("6 netns-container-socket", "nothing; the container's cell"),
    ("6 netns-many", "nothing; a cell for each sender"),
    ("6 netns-moved", "nothing; a cell in each namespace"),
    ("6 netns-named-goes", "nothing; its cell stays"),
    ("6 netns-named-later", "nothing; its cell"),
    ("6 netns-unnamed", "nothing; its cell"),
    ("6 veth-both", "nothing; a cell in each namespace"),
    ("15 syn-ack", "address-escape"),
    ("enforce for-enter", "the confirmation"),
    (
        "enforce for-undone",
        "2 device-escape, dropped and not; device-escape",
    ),
    ("enforce killed*", "dropped until then"),
    ("enforce not-audited", "nothing is refused"),
    ("enforce solicited-not", "nothing, and nothing dropped"),
    ("enforce window-*", "nothing, and nothing dropped"),
    ("service fail-on-leak", "the exit status"),
    ("service fail-on-risk", "the exit status"),
    ("service full-output", "an error, and the exit status"),
    ("service handed-on-in-time", "the process, in time"),
    ("service human-end", "the exit status"),
    (
        "service interface-later-in-the-second-namespace",
        "nothing; a cell in each namespace",
    ),
    ("service journal", "the lines' priorities"),
    ("service journal-elsewhere", "lines without priorities"),
    ("service journal-json", "JSON beside the journal"),
    ("service names-human", "names without control characters"),
    (
        "service names-interface",
        "names without control characters",
    ),
    ("service names-journal", "names without control characters"),
    ("service names-json", "names as they are"),
    ("service names-no-text", "a warning"),
    ("service no-cgroup", "an error with its fix"),
    ("service no-interface", "an error with its fix"),
    ("service no-privileges", "an error with its fix"),
    ("service no-reader", "the exit status"),
    ("service reader-leaves", "the exit status"),
    ("service reader-leaves-leak", "the exit status"),
    ("service reload-hangup", "the new policy in force"),
    ("service reload-link", "the new policy in force"),
    ("service reload-removed", "the old policy in force"),
    ("service reload-replaced", "the new policy in force"),
    ("service reload-volume", "the new policy in force"),
    ("service reload-warnings", "the policy's warnings"),
    ("service reload-written", "the new policy in force"),
    (
        "service reload-wrong",
        "the old policy in force, then the new",
    ),
    ("service unknown-namespace", "an error with its fix"),
    ("service unreadable-policy", "an error with its fix"),
    ("service watchdog", "the watchdog's messages"),
    ("12 cause-link-gone", "policy-escape, with its cause"),
    ("12 cause-vrf-miss", "policy-escape, with its cause"),
    ("12 window-*", "nothing, while names change"),
    ("2 window-*", "nothing, while links change"),
    ("3 vrf-exec-cleaned-up", "its cgroup is removed"),
    ("4 vxlan-moved", "nothing, while the underlay changes"),
    ("4 window-*", "nothing, while links change"),
    ("6 netkit-*", "nothing"),
    ("8 router-id", "nothing"),
    ("9 window-*", "nothing, while addresses move"),
    ("exact *", "every packet counted, or reported as uncounted"),
    ("foresee errors", "an error with its fix"),
    ("foresee *", "what would leave elsewhere, and does"),
    ("gap doctor", "each gap, by `pinif doctor`"),
    ("gap qdisc-bypass-nft", "nftables sees the frames"),
    ("kinds *", "what its page says"),
    ("pin errors", "an error with its fix"),
    ("pin *", "nothing leaves elsewhere; the pin's account"),
    (
        "random topologies",
        "what the topology makes of each packet",
    ),
    ("run errors", "an error with its fix"),
    ("run *", "nothing leaves elsewhere; the account at the end"),
    ("sockets *", "each socket's line"),
    ("enforce session held", "the new policy is refused"),
    ("enforce session inside", "nothing is refused"),
    ("enforce session later", "the new policy is refused"),
    ("enforce session *", "it is refused, or warned of"),
    ("persist another-*", "it is refused"),
    ("persist detach-clsact", "no filter is left"),
    (
        "persist fails-closed",
        "nothing leaves; the total of all collectors",
    ),
    ("persist gone-namespace", "its finding, once more"),
    (
        "persist killed-while-reading",
        "the total of all collectors",
    ),
    ("persist no-bpffs", "an error with its fix"),
];

/// What a scenario expects beside findings.
pub fn of(scenario: &str) -> &'static str {
    let is_it = |name: &str| match name.strip_suffix('*') {
        Some(beginning) => scenario.starts_with(beginning),
        None => scenario == name,
    };
    PROMISES
        .iter()
        .find(|(name, _)| is_it(name))
        .map_or("what its test says", |(_, promise)| promise)
}
