//! The policy that is installed: the example, with nothing of it in force.

/// The example.
const EXAMPLE: &str = include_str!("../../../docs/policy.example.toml");
/// What comes before it. Editors read the first line.
const HEAD: &str = "\
#:schema file:///usr/share/pinif/pinif-policy.schema.json
# What may leave by which interface: pinif-policy(5). Nothing below is in force until its # is removed; pinif then reads it by itself.
# Check it with `pinif policy check /etc/pinif/policy.toml`.
";

/// The example behind marks of comments. What was a comment keeps a blank after its mark, what is to be put into force has none.
pub fn policy() -> String {
    // Its own head says where to copy it.
    let body = EXAMPLE.split_once("\n\n").map_or(EXAMPLE, |(_, body)| body);
    let lines = body.lines().map(|line| match line {
        line if line.is_empty() || line.starts_with('#') => format!("{line}\n"),
        line => format!("#{line}\n"),
    });
    std::iter::once(format!("{HEAD}\n")).chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use pinif_userspace::policy::Policy;

    use super::*;

    /// What is left of it once its settings are put into force.
    fn in_force() -> String {
        policy()
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if !setting.is_empty() && !setting.starts_with([' ', ':']) => {
                    format!("{setting}\n")
                }
                _ => format!("{line}\n"),
            })
            .collect()
    }

    #[test]
    fn nothing_of_it_is_in_force_until_a_mark_is_removed() {
        let inert = Policy::parse(&policy(), "policy.toml").expect("no error");
        assert!(inert.zones.is_empty() && inert.rules.is_empty());
        let active = Policy::parse(&in_force(), "policy.toml").expect("no error");
        let example = Policy::parse(EXAMPLE, "policy.toml").expect("no error");
        assert!(!active.zones.is_empty() && !active.rules.is_empty());
        assert_eq!(active.zones.len(), example.zones.len());
        assert_eq!(active.rules.len(), example.rules.len());
    }
}
