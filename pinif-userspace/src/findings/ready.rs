//! What the first report says: what is audited, and how.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::namespaces::Enter;

/// What is audited, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ready {
    /// The names of the audited interfaces, in the order of `netns`. The same name may stand in several namespaces.
    pub interfaces: Vec<String>,
    /// The audited network namespaces.
    pub netns: Vec<String>,
    /// The kernel's release, as `uname -r` says it.
    pub kernel: String,
    /// How the programs are attached.
    pub attach: Attach,
    /// Whether leaks are dropped (`--enforce`).
    #[serde(default)]
    pub enforce: bool,
    /// The policy in force; null where none is loaded.
    #[serde(default)]
    pub policy: Option<PolicySize>,
    /// The version of pinif.
    pub version: String,
    /// A random UUID of this run of pinif. Runs that go on from each other (`--persist`) have one each.
    #[serde(default)]
    pub run: String,
    /// The UUID of the machine's boot (`/proc/sys/kernel/random/boot_id`): a finding keeps its `id` until the next one.
    #[serde(default)]
    pub boot: Option<String>,
    /// The machine's id (`/etc/machine-id`); null where it has none.
    #[serde(default)]
    pub host: Option<String>,
    /// What the machine is called besides (`--label`): `chassis`, `slot`, or whatever an operator has chosen.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What leads a shell to the namespace, where one alone is audited. Of this host, so that no line has it.
    #[serde(skip)]
    pub enter: Enter,
}

impl Ready {
    /// A command of pinif that looks at what is audited.
    pub fn command(&self, task: &str) -> String {
        let command = format!("pinif {task}");
        self.enter.line(&command).unwrap_or(command)
    }
}

/// How much a policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicySize {
    /// How many zones it has.
    pub zones: usize,
    /// How many rules it has.
    pub rules: usize,
}

impl PolicySize {
    /// Of a policy with so many; none of one that demands nothing, which is as good as none.
    pub fn of(zones: usize, rules: usize) -> Option<Self> {
        (zones + rules > 0).then_some(Self { zones, rules })
    }
}

/// How the programs hang on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Attach {
    /// TCX links, since Linux 6.6.
    Tcx,
    /// Filters of the `clsact` qdisc, before.
    Clsact,
}

impl Attach {
    /// The name in JSON and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}
