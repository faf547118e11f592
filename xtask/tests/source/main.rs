//! What the sources and their manifests must hold, whatever is written in them.

mod book;
mod files;
mod imports;
mod installed;
mod links;
mod remedies;
mod words;

use std::path::Path;

/// The workspace's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is in the workspace")
}
