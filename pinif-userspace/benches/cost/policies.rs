//! The policies that are measured: few words, and many.

use std::fmt::Write as _;

const ZONES: &str = r#"
[zone.backplane]
interfaces = ["fab*"]
contained = true

[zone.front]
interfaces = ["eth*"]
"#;

/// Control traffic stays on the backplane: one rule, one prefix.
pub fn one_prefix() -> String {
    format!("{ZONES}{}", rule("control-plane", "\"10.0.0.0/8\""))
}

/// The same with `count` addresses of `10.64.0.0/16` in a hundred rules before it, none of which overlap.
pub fn prefixes(count: u32) -> String {
    const RULES: u32 = 100;
    let mut text = ZONES.to_owned();
    for number in 0..RULES {
        let mut destinations = String::new();
        for host in (number..count).step_by(RULES as usize) {
            let _infallible = write!(destinations, "\"10.64.{}.{}\",", host / 256, host % 256);
        }
        text += &rule(&format!("rule-{number}"), &destinations);
    }
    text + &rule("control-plane", "\"10.0.0.0/8\"")
}

fn rule(name: &str, destinations: &str) -> String {
    format!(
        "\n[[rule]]\nname = \"{name}\"\ndestination = [{destinations}]\nonly_via = [\"backplane\"]\n"
    )
}
