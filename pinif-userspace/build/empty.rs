//! What becomes of a build whose eBPF object is empty. `tests` include this file as well.

use std::ffi::OsStr;

/// The environment variable that allows an optimized pinif without programs, by the value 1.
pub const ALLOWED: &str = "PINIF_WITHOUT_PROGRAMS";

/// What cargo gets when the object `name` is empty: an error, which ends the build, if pinif is optimized, else a warning.
/// `variable` names another object; `profile` is cargo's `PROFILE`, `release` for every profile that inherits from it.
pub fn message(name: &str, variable: &str, profile: &str, allowed: Option<&OsStr>) -> String {
    let is_error = profile == "release" && allowed.is_none_or(|value| value != "1");
    if is_error {
        format!(
            "cargo::error=this pinif would have no eBPF programs inside ({name} is empty): run `cargo xtask build` first, in a \
             clone of the repository, or name an object in {variable}; {ALLOWED}=1 builds pinif without programs"
        )
    } else {
        format!(
            "cargo::warning=this pinif has no eBPF programs of {name} inside; `cargo xtask build` makes one that has"
        )
    }
}
