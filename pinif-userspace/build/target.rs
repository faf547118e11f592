//! Which targets pinif is built for. `xtask` includes this file as well: both refuse the same targets, in the same words.

/// The targets that pinif is tested on, each with its architecture.
pub const TESTED: [(&str, &str); 2] = [
    ("x86_64-unknown-linux-gnu", "x86_64"),
    ("aarch64-unknown-linux-gnu", "aarch64"),
];

/// Why pinif is not built for a target.
pub fn refusal(target: &str) -> String {
    format!(
        "pinif is built for {}, and not for {target}: it reads the kernel's structures as those of a 64-bit little-endian \
         Linux, and only these are tested",
        TESTED.map(|(target, _)| target).join(" and ")
    )
}
