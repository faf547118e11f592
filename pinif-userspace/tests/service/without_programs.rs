//! A pinif without its eBPF programs: which builds end with one, and which are refused.

#[path = "../../build/empty.rs"]
mod empty;

use std::ffi::OsStr;

fn message(profile: &str, allowed: Option<&str>) -> String {
    empty::message(
        "pinif.o",
        "PINIF_EBPF_OBJECT",
        profile,
        allowed.map(OsStr::new),
    )
}

#[test]
fn an_optimized_pinif_is_not_built_without_programs() {
    for allowed in [None, Some(""), Some("0")] {
        let message = message("release", allowed);
        assert!(message.starts_with("cargo::error="), "{message}");
        for fix in [
            "`cargo xtask build` first",
            "PINIF_EBPF_OBJECT",
            "PINIF_WITHOUT_PROGRAMS=1",
        ] {
            assert!(message.contains(fix), "{message}");
        }
    }
}

#[test]
fn what_needs_no_programs_is_built_without() {
    for (profile, allowed) in [
        ("debug", None),
        ("debug", Some("1")),
        ("release", Some("1")),
    ] {
        let message = message(profile, allowed);
        assert!(message.starts_with("cargo::warning="), "{message}");
        assert!(message.contains("`cargo xtask build`"), "{message}");
    }
}
