//! `pinif-pages DIRECTORY`: the manual pages of pinif's commands and of its files, the completions of three shells, a policy to
//! begin with, and the layout of the maps that its programs count in, by which a package knows before it is installed whether this
//! build can take over what another has left.
//!
//! They follow from the command line's own definition and from `docs`, so that they say what the binary does.

mod document;
mod inert;

use std::{env, fs, path::Path};

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_complete::Shell;
use pinif_userspace::{cli::Cli, kernel::map_layout_of_this_build};

/// The shells that pinif is completed in.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

fn main() -> Result<()> {
    let directory = env::args_os()
        .nth(1)
        .context("name the directory that the pages go to")?;
    write(Path::new(&directory))
}

/// Writes all below a directory: `man`, `completions`, `policy.toml`, and `map-layout` where this build has its programs.
fn write(directory: &Path) -> Result<()> {
    let manual = directory.join("man");
    let completions = directory.join("completions");
    for directory in [&manual, &completions] {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    clap_mangen::generate_to(Cli::command(), &manual).context("cannot write the manual pages")?;
    for document in document::DOCUMENTS {
        let path = manual.join(format!("{}.5", document.name));
        fs::write(path, document.page()).context("cannot write a file's page")?;
    }
    fs::write(directory.join("policy.toml"), inert::policy()).context("cannot write the policy")?;
    if let Some(layout) = map_layout_of_this_build()? {
        fs::write(directory.join("map-layout"), layout + "\n")
            .context("cannot write the maps' layout")?;
    }
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut Cli::command(), "pinif", &completions)
            .with_context(|| format!("cannot write the completions of {shell}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_and_each_shell_completes_it() -> Result<()> {
        let directory = tempfile::tempdir()?;
        write(directory.path())?;
        let read = |path: &str| fs::read_to_string(directory.path().join(path));
        let commands: Vec<_> = Cli::command()
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
            .map(|command| command.get_name().to_owned())
            .collect();
        assert!(commands.iter().any(|command| command == "audit"));
        for command in &commands {
            let page = read(&format!("man/pinif-{command}.1"))?;
            assert!(page.contains(".SH NAME"), "{command}: {page}");
            for file in ["pinif.bash", "_pinif", "pinif.fish"] {
                let completions = read(&format!("completions/{file}"))?;
                assert!(completions.contains(command.as_str()), "{file}: {command}");
            }
        }
        Ok(())
    }
}
