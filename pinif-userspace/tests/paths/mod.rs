//! What the programs execute on each path: instructions and helper calls, counted without a kernel. Beside each path stands what must be
//! counted of it, so that a number is of a run that did its work.

mod frame;
mod host;
mod lives;
mod matrix;
mod packets;
pub mod page;
mod path;
mod refused;
mod state;
mod structures;
mod surroundings;

use anyhow::Result;

pub use path::Path;

/// All of them, in the order of a table.
///
/// # Errors
///
/// Where a program does what it may not, or counts otherwise than it must.
pub fn all() -> Result<Vec<Path>> {
    let parts = [
        lives::datagram(),
        lives::bound(),
        lives::pinned(),
        lives::over_ipv6(),
        lives::stream(),
        lives::accepted(),
        packets::bound(),
        packets::of_others(),
        packets::escaping(),
        packets::breaking(),
        packets::copied(),
        packets::copied_of_any_address(),
        packets::arriving(),
        refused::endpoint(),
    ];
    let mut paths = Vec::new();
    for part in parts {
        paths.extend(part?);
    }
    let lives = lives::whole(&paths);
    paths.extend(lives);
    Ok(paths)
}
