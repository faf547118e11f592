//! netconsole, the kernel's log by UDP: it hands its packets to the driver by netpoll
//! (Documentation/networking/netconsole.rst).

use std::{fs, io, path::Path};

use super::found::{Found, if_there};

/// Where its targets are configured, for the whole machine.
const DIRECTORY: &str = "/sys/kernel/config/netconsole";

/// The interfaces that its targets send by; none where it is not loaded. They are of the namespace in which it was configured, the
/// first process's but for odd cases.
pub fn devices() -> Found<String> {
    devices_in(Path::new(DIRECTORY))
}

fn devices_in(directory: &Path) -> Found<String> {
    let targets = match if_there(fs::read_dir(directory)) {
        Ok(targets) => targets.into_iter().flatten(),
        Err(error) => return vec![Err(error)],
    };
    let devices = targets.filter_map(|target| match target {
        Ok(target) => device(&target.path()).transpose(),
        Err(error) => Some(Err(error)),
    });
    devices.collect()
}

/// The interface of a target, if it is on. One that was removed meanwhile has none.
fn device(target: &Path) -> io::Result<Option<String>> {
    let read = |name: &str| if_there(fs::read_to_string(target.join(name)));
    let (Some(enabled), Some(device)) = (read("enabled")?, read("dev_name")?) else {
        return Ok(None);
    };
    let device = device.trim().to_owned();
    Ok((enabled.trim() == "1" && !device.is_empty()).then_some(device))
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
        let devices: io::Result<Vec<_>> = devices_in(directory.path()).into_iter().collect();
        assert_eq!(devices.expect("targets"), ["eth1"]);
        assert!(devices_in(&directory.path().join("none")).is_empty());
    }

    #[test]
    fn a_target_that_cannot_be_read_hides_no_other() {
        let directory = tempfile::tempdir().expect("a directory");
        for target in ["a", "b"] {
            fs::create_dir(directory.path().join(target)).expect("a target");
        }
        fs::write(directory.path().join("a/enabled"), "1").expect("a file");
        fs::write(directory.path().join("a/dev_name"), "eth1").expect("a file");
        fs::create_dir(directory.path().join("b/enabled")).expect("no file");
        let (found, failed): (Vec<_>, Vec<_>) = devices_in(directory.path())
            .into_iter()
            .partition(Result::is_ok);
        assert_eq!(Vec::from_iter(found.into_iter().flatten()), ["eth1"]);
        assert_eq!(failed.len(), 1);
        // A file where the directory of the targets should be.
        let file = directory.path().join("a/enabled");
        assert!(matches!(devices_in(&file)[..], [Err(_)]));
    }
}
