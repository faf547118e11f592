//! eBPF: which programs and maps the kernel knows.

use aya::{
    maps::MapType,
    programs::ProgramType,
    sys::{is_map_supported, is_program_supported},
};

use super::outcome::Outcome;

pub(super) fn programs() -> Outcome {
    let wanted = [
        (ProgramType::SchedClassifier, "sched_cls"),
        (ProgramType::CgroupSock, "cgroup_sock"),
        (ProgramType::CgroupSockAddr, "cgroup_sock_addr"),
        (ProgramType::CgroupSockopt, "cgroup_sockopt"),
    ];
    let probed = wanted.map(|(kind, name)| {
        (
            name,
            is_program_supported(kind).map_err(|error| root_cause(&error)),
        )
    });
    supported(
        &probed,
        "use a kernel that is built with CONFIG_BPF_SYSCALL, CONFIG_NET_CLS_BPF and CONFIG_CGROUP_BPF",
    )
}

pub(super) fn maps() -> Outcome {
    let wanted = [
        (MapType::Hash, "hash"),
        (MapType::PerCpuArray, "percpu_array"),
        (MapType::LpmTrie, "lpm_trie"),
        // A kernel with this one has storage for sockets (`BPF_MAP_TYPE_SK_STORAGE`, three years older), which each start
        // would make, only to wait 30 ms until it is gone (`bpf_local_storage_map_free`).
        (MapType::RingBuf, "ringbuf"),
    ];
    let probed = wanted.map(|(kind, name)| {
        (
            name,
            is_map_supported(kind).map_err(|error| root_cause(&error)),
        )
    });
    supported(
        &probed,
        "use Linux 5.8 or later, built with CONFIG_BPF_SYSCALL and CONFIG_NET",
    )
}

pub(super) fn supported(probed: &[(&str, Result<bool, String>)], fix: &str) -> Outcome {
    if let Some((name, Err(error))) = probed.iter().find(|(_, result)| result.is_err()) {
        return Outcome::fatal(
            format!("the kernel refuses to try {name}: {error}"),
            "run it outside of containers and user namespaces, or allow bpf(2) there",
        );
    }
    let named = |wanted: bool| {
        let names: Vec<_> = probed
            .iter()
            .filter(|(_, r)| *r == Ok(wanted))
            .map(|(name, _)| *name)
            .collect();
        names.join(", ")
    };
    let lacking = named(false);
    if lacking.is_empty() {
        Outcome::Ok(named(true))
    } else {
        Outcome::fatal(format!("the kernel has no {lacking}"), fix)
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_probe_is_reported_once() {
        let refused = Err("Operation not permitted (os error 1)".to_owned());
        let outcome = supported(
            &[("a", Ok(true)), ("b", refused.clone()), ("c", refused)],
            "fix",
        );
        let Outcome::Lack {
            why, fatal: true, ..
        } = outcome
        else {
            panic!("{outcome:?}")
        };
        assert_eq!(
            why,
            "the kernel refuses to try b: Operation not permitted (os error 1)"
        );
        let lacking = supported(
            &[("a", Ok(true)), ("b", Ok(false)), ("c", Ok(false))],
            "fix",
        );
        assert_eq!(lacking, Outcome::fatal("the kernel has no b, c", "fix"));
        assert_eq!(
            supported(&[("a", Ok(true)), ("b", Ok(true))], "fix"),
            Outcome::Ok("a, b".to_owned())
        );
    }
}
