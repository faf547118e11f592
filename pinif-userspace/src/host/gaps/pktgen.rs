//! pktgen, the kernel's own traffic generator: it hands its packets to the driver (Documentation/networking/pktgen.rst).

use std::fs;

use crate::host::netns::NetNs;

/// Where it shows itself, in the namespace of the thread that looks.
const DIRECTORY: &str = "/proc/thread-self/net/pktgen";

/// The interfaces that it is told to send by; none where it is not loaded, or the namespace cannot be entered.
pub fn devices(netns: &NetNs) -> Vec<String> {
    let list = || {
        let entries = fs::read_dir(DIRECTORY).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter_map(|name| device(&name)).collect()
    };
    let mut devices: Vec<String> = netns.run(list).unwrap_or_default();
    devices.sort_unstable();
    devices.dedup();
    devices
}

/// The interface of a file there: `eth1`, or `eth1@0` for one of its queues. Others are pktgen's own.
fn device(file: &str) -> Option<String> {
    if file == "pgctrl" || file.starts_with("kpktgend_") {
        return None;
    }
    Some(file.split('@').next().unwrap_or(file).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_files_are_no_interfaces() {
        assert_eq!(device("pgctrl"), None);
        assert_eq!(device("kpktgend_0"), None);
        assert_eq!(device("eth1").as_deref(), Some("eth1"));
        assert_eq!(device("eth1@3").as_deref(), Some("eth1"));
    }
}
