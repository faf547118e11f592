//! netconsole, the kernel's log by UDP: it hands its packets to the driver by netpoll
//! (Documentation/networking/netconsole.rst).

use std::{fs, path::Path};

/// Where its targets are configured, for the whole machine.
const DIRECTORY: &str = "/sys/kernel/config/netconsole";

/// The interfaces that it sends by; none where it is not loaded. They are of the namespace in which it was configured, the
/// first process's but for odd cases.
pub fn devices() -> Vec<String> {
    devices_in(Path::new(DIRECTORY))
}

fn devices_in(directory: &Path) -> Vec<String> {
    let targets = fs::read_dir(directory).into_iter().flatten();
    let mut devices: Vec<String> = targets
        .filter_map(|target| {
            let target = target.ok()?.path();
            let read = |name: &str| fs::read_to_string(target.join(name)).ok();
            let is_on = read("enabled")?.trim() == "1";
            let device = read("dev_name")?.trim().to_owned();
            (is_on && !device.is_empty()).then_some(device)
        })
        .collect();
    devices.sort_unstable();
    devices.dedup();
    devices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_that_are_on_name_their_interfaces() {
        let directory = tempfile::tempdir().expect("a directory");
        for (target, enabled, device) in [("a", "1\n", "eth1\n"), ("b", "0\n", "eth2\n")] {
            let target = directory.path().join(target);
            fs::create_dir(&target).expect("a target");
            fs::write(target.join("enabled"), enabled).expect("a file");
            fs::write(target.join("dev_name"), device).expect("a file");
        }
        assert_eq!(devices_in(directory.path()), ["eth1"]);
        assert!(devices_in(&directory.path().join("none")).is_empty());
    }
}
