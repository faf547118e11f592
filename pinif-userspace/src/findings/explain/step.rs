//! A remedy as a step that somebody can take: who, and by which commands or socket options.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One way to fix a finding, by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Who can do it.
    pub who: Who,
    /// What is to be done, in words.
    pub text: String,
    /// The lines of a shell that do it, in this order, as root and where pinif runs: where the finding is of another network namespace,
    /// each names or enters that. None where words alone say it.
    /// `COMMAND` stands for the program's own command line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// What the program has to do with its socket, by the names of socket(7), ip(7), ipv6(7) and packet(7); none for an operator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<SocketOption>,
}

impl Step {
    /// What is to be done, in words alone: the text without the commands in brackets after it.
    pub fn order(&self) -> &str {
        let commands = in_brackets(&self.commands);
        self.text.strip_suffix(&commands).unwrap_or(&self.text)
    }

    /// Says in its words what keeps it from helping.
    pub(super) fn warn(&mut self, what: &str) {
        let commands = in_brackets(&self.commands);
        self.text = format!("{}, {what}{commands}", self.order());
    }
}

/// Commands as a text has them after its words; nothing where there are none.
pub(super) fn in_brackets(commands: &[String]) -> String {
    match commands {
        [] => String::new(),
        commands => format!(" (`{}`)", commands.join("; ")),
    }
}

/// Who can take a step.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// Whoever runs the host.
    Operator,
    /// Whoever can change the program.
    Developer,
}

/// Something that a program sets of its socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SocketOption {
    /// Its name: `SO_BINDTODEVICE`, `bind`, `IP_PKTINFO`, ….
    pub name: String,
    /// The interface or the address that it takes; null where it is not to be used.
    pub value: Option<String>,
}
