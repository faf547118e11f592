//! pktgen, the kernel's own traffic generator: it hands its packets to the driver (Documentation/networking/pktgen.rst).

use std::{collections::BTreeSet, fs, io, path::Path};

use super::found::{Found, if_there};
use crate::host::netns::NetNs;

/// The network's files, in the namespace of the thread that looks.
const NETWORK: &str = "/proc/thread-self/net";
/// Where it shows itself among them.
const DIRECTORY: &str = "pktgen";

/// The interfaces that it is set up to send by; none where it is not loaded.
pub fn devices(netns: &NetNs) -> Found<String> {
    let looked = netns.run(|| devices_in(Path::new(NETWORK)));
    match looked.and_then(|devices| devices) {
        Ok(devices) => devices.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }
}

fn devices_in(network: &Path) -> io::Result<BTreeSet<String>> {
    // Without /proc, nobody knows whether it is loaded.
    fs::metadata(network)?;
    let mut devices = BTreeSet::new();
    for file in if_there(fs::read_dir(network.join(DIRECTORY)))?
        .into_iter()
        .flatten()
    {
        devices.extend(device(&file?.file_name().to_string_lossy()));
    }
    Ok(devices)
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

    #[test]
    fn an_interface_is_found_once_and_without_pktgen_there_is_none() {
        let network = tempfile::tempdir().expect("a directory");
        assert!(devices_in(network.path()).expect("a directory").is_empty());
        let directory = network.path().join(DIRECTORY);
        fs::create_dir(&directory).expect("a directory");
        for file in ["pgctrl", "eth1@0", "eth1@1"] {
            fs::write(directory.join(file), "").expect("a file");
        }
        let devices = devices_in(network.path()).expect("a directory");
        assert_eq!(Vec::from_iter(devices), ["eth1"]);
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let network = tempfile::tempdir().expect("a directory");
        let hidden = devices_in(&network.path().join("net")).expect_err("no /proc");
        assert_eq!(hidden.kind(), io::ErrorKind::NotFound);
        fs::write(network.path().join(DIRECTORY), "").expect("a file");
        let unread = devices_in(network.path()).expect_err("no directory");
        assert_eq!(unread.kind(), io::ErrorKind::NotADirectory);
    }
}
