//! Which machine it is: figures without it say little.

use nix::sys::utsname::uname;
use procfs::Current as _;

/// The kernel, the processor and how many there are.
pub fn description() -> String {
    let kernel = uname().map_or_else(
        |_| "?".to_owned(),
        |name| name.release().to_string_lossy().into_owned(),
    );
    // A machine without /proc/cpuinfo is not named.
    let processors = procfs::CpuInfo::current().ok();
    let model = processors
        .as_ref()
        .and_then(|processors| processors.model_name(0).map(str::to_owned));
    let count = processors.map_or(0, |processors| processors.num_cores());
    format!(
        "Linux {kernel}, {count} × {}",
        model.unwrap_or_else(|| "an unnamed processor".to_owned())
    )
}
