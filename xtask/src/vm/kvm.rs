//! Whether KVM runs the machines here. What is not tried is not known: where this machine is one itself, KVM may be
//! there and refuse, or never come to an end.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, bail};

use super::{
    kernels::Kernel,
    machine::{Accelerator, End, Machine},
    tools::Tools,
};
use crate::{process::say, workspace::Workspace};

/// A machine that KVM runs is up much sooner.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// KVM where a machine comes up with it, else emulation; says which, and why.
pub fn choose(workspace: &Workspace, tools: &Tools, kernel: &Kernel) -> Accelerator {
    match try_it(workspace, tools, kernel) {
        Ok(()) => {
            say("KVM runs the machines");
            Accelerator::Kvm
        }
        Err(error) => {
            say(format_args!(
                "software emulates the machines, since KVM cannot run them: {error:#}"
            ));
            Accelerator::Emulation
        }
    }
}

fn try_it(workspace: &Workspace, tools: &Tools, kernel: &Kernel) -> Result<()> {
    let device = Path::new("/dev/kvm");
    fs::File::options()
        .read(true)
        .write(true)
        .open(device)
        .with_context(|| format!("cannot open {}", device.display()))?;
    let processors = fs::read_to_string("/proc/cpuinfo").context("cannot read /proc/cpuinfo")?;
    if !has_virtualization(&processors) {
        bail!("the processor has neither VMX nor SVM");
    }
    let machine =
        Machine::new(workspace, tools, kernel, Accelerator::Kvm, "kvm").with_time_limit(TIME_LIMIT);
    if machine.run(&["true".into()])? != (End::Command { success: true }) {
        bail!(
            "a machine did not come up with it: {} has what it printed",
            machine.console().display()
        );
    }
    Ok(())
}

/// Whether `/proc/cpuinfo` has a processor that runs machines by itself.
fn has_virtualization(processors: &str) -> bool {
    processors
        .lines()
        .filter(|line| line.starts_with("flags"))
        .flat_map(str::split_whitespace)
        .any(|flag| matches!(flag, "vmx" | "svm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_flag_of_the_processor_counts() {
        assert!(has_virtualization(
            "processor\t: 0\nflags\t\t: fpu vmx sse\n"
        ));
        assert!(has_virtualization("flags\t\t: svm"));
        assert!(!has_virtualization("flags\t\t: fpu vmxnet hypervisor\n"));
        assert!(!has_virtualization(
            "model name\t: svm vmx\nvmx flags\t: ept\n"
        ));
        assert!(!has_virtualization(""));
    }
}
