//! What fixes a finding, as a terminal shows it: each command stands on a line of its own and is never broken, so that it can be copied.

use crate::{
    findings::explain::Step,
    text::{escape::visible, words::wrapped},
};

/// How much further to the right commands stand.
const COMMANDS: usize = 2;

/// The remedies, safe to show: words are wrapped, commands are not. Lines after the first begin with `indent` spaces; the first is taken to
/// begin with as many already.
pub(crate) fn fix(steps: &[Step], columns: usize, indent: usize) -> String {
    let mut text = String::new();
    for (number, step) in steps.iter().enumerate() {
        let or = if number > 0 { "or " } else { "" };
        let end = if step.commands.is_empty() { "" } else { ":" };
        let order = format!("{or}{}{end}", step.order());
        if number > 0 {
            text.push_str(&format!("\n{:indent$}", ""));
        }
        text.push_str(&wrapped(&visible(&order), columns, indent));
        let at = indent + COMMANDS;
        for command in &step.commands {
            text.push_str(&format!("\n{:at$}{}", "", visible(command)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::explain::Who;

    fn step(order: &str, commands: &[&str]) -> Step {
        let commands: Vec<String> = commands.iter().map(|&line| line.to_owned()).collect();
        let in_brackets = format!(" (`{}`)", commands.join("; "));
        let in_brackets = if commands.is_empty() {
            ""
        } else {
            &in_brackets
        };
        Step {
            who: Who::Operator,
            text: format!("{order}{in_brackets}"),
            commands,
            options: Vec::new(),
        }
    }

    #[test]
    fn commands_stay_whole_on_lines_of_their_own() {
        let route = "ip route replace 10.0.0.2 dev fab0";
        let steps = [
            step("give 10.0.0.2 a route via fab0", &[route]),
            step("do both", &["nft 'add table inet pinif_fix'", "a\u{1b}b"]),
            step("bind the socket to fab0", &[]),
        ];
        assert_eq!(
            fix(&steps, 20, 4),
            "give 10.0.0.2 a\n    route via fab0:\n      ip route replace 10.0.0.2 dev fab0\n    or do both:\n      \
             nft 'add table inet pinif_fix'\n      a\\x1bb\n    or bind the\n    socket to fab0"
        );
        assert_eq!(fix(&[], 20, 4), "");
    }
}
