//! What the machines are made of: the tools and the kernels, or why they are not there.

use super::{
    kernels::{self, Kernel, Line},
    service,
    tools::{self, Tools},
};
use crate::{debian::apt::Architecture, workspace::Workspace};

/// What could be brought.
#[derive(Debug)]
pub struct Supply {
    /// What boots the machines; or why it cannot be had.
    pub tools: Result<Tools, String>,
    /// Each kernel that was asked for; or why it cannot be had.
    pub kernels: Vec<(Line, Result<Kernel, String>)>,
    /// What the unit and the packages are tried in, if [`service::LINE`] was asked for; or why it cannot be had.
    pub systemd: Option<Result<service::Roots, String>>,
}

impl Supply {
    /// Brings what is not there.
    pub fn bring(workspace: &Workspace, lines: &[Line]) -> Self {
        let tools = tools::ensure(workspace).map_err(|error| format!("{error:#}"));
        let kernel = |line: Line| match &tools {
            Ok(tools) => kernels::ensure(workspace, tools, line, Architecture::Own)
                .map_err(|error| format!("{error:#}")),
            Err(reason) => Err(reason.clone()),
        };
        let kernels = lines.iter().map(|&line| (line, kernel(line))).collect();
        let systemd = lines.contains(&service::LINE).then(|| match &tools {
            Ok(_) => service::Roots::ensure(workspace).map_err(|error| format!("{error:#}")),
            Err(reason) => Err(reason.clone()),
        });
        Self {
            tools,
            kernels,
            systemd,
        }
    }

    /// The releases of the kernels that are there.
    pub fn kernels(&self) -> Vec<String> {
        self.kernels
            .iter()
            .filter_map(|(_, kernel)| Some(kernel.as_ref().ok()?.release.clone()))
            .collect()
    }

    /// Why each thing is missing that could not be brought.
    pub fn missing(&self) -> Vec<String> {
        if let Err(reason) = &self.tools {
            return vec![reason.clone()];
        }
        let kernels = self.kernels.iter().filter_map(|(line, kernel)| {
            let reason = kernel.as_ref().err()?;
            Some(format!("Linux {} is not there: {reason}", line.name()))
        });
        let systemd = self.systemd.as_ref();
        let systemd = systemd.and_then(|systemd| systemd.as_ref().err());
        let systemd = systemd.map(|reason| format!("systemd is not there: {reason}"));
        kernels.chain(systemd).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lacks_for_all_is_named_once() {
        let reason = || "no QEMU".to_owned();
        let supply = Supply {
            tools: Err(reason()),
            kernels: Line::ALL.map(|line| (line, Err(reason()))).into(),
            systemd: Some(Err(reason())),
        };
        assert_eq!(supply.missing(), [reason()]);
        assert!(supply.kernels().is_empty());
    }

    #[test]
    fn each_thing_that_lacks_is_named() {
        let supply = Supply {
            tools: Ok(Tools { bin: "/bin".into() }),
            kernels: vec![
                (
                    Line::V6_1,
                    Ok(Kernel {
                        line: Line::V6_1,
                        release: "6.1.0-1-amd64".to_owned(),
                        image: "/boot/vmlinuz".into(),
                    }),
                ),
                (Line::V6_12, Err("no package".to_owned())),
            ],
            systemd: Some(Err("no apt".to_owned())),
        };
        assert_eq!(supply.kernels(), ["6.1.0-1-amd64"]);
        assert_eq!(
            supply.missing(),
            [
                "Linux 6.12 is not there: no package",
                "systemd is not there: no apt"
            ]
        );
    }
}
