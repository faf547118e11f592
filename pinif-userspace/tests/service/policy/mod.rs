//! The policy file: what its errors look like, what a good one means, and that the documentation's examples are good.

mod drop_ins;
mod errors;
mod files;
mod large;
mod meaning;
mod random;
mod reference;
mod schema;

use pinif_userspace::policy::{Policy, PolicyErrors};

/// Two zones for the rules of a test to name.
const ZONES: &str = "\
[zone.backplane]
interfaces = [\"fab*\"]
contained = true

[zone.front]
interfaces = [\"eth*\"]

";

/// The errors of a bad policy.
fn errors_of(text: &str) -> PolicyErrors {
    match Policy::parse(text, "policy.toml") {
        Ok(policy) => panic!("this policy has errors, and none was found: {policy:#?}"),
        Err(errors) => errors,
    }
}

/// A good policy; the schema has to take it, too.
fn good(text: &str) -> Policy {
    schema::takes(text);
    Policy::parse(text, "policy.toml").unwrap_or_else(|errors| panic!("{errors}"))
}
