//! What the README shows is what the built programs print, and what it links to is there.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use outcome_tests::programs::program;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn readme() -> Result<String> {
    Ok(std::fs::read_to_string(root().join("README.md"))?)
}

#[test]
fn the_thirty_seconds_are_what_the_program_prints() -> Result<()> {
    let readme = readme()?;
    let block = readme.split("```console\n$ outcome-runtime ").nth(1).context("no block")?;
    let (command, rest) = block.split_once('\n').context("no command")?;
    let shown = rest.split("```").next().context("no end")?;
    let empty = tempfile::tempdir()?;
    let done = std::process::Command::new(program("outcome-runtime")?)
        .args(command.split(' '))
        .env_clear()
        .env("HOME", empty.path())
        .current_dir(empty.path())
        .output()?;
    let printed = String::from_utf8(done.stdout)?;
    ensure!(done.status.success() && printed.starts_with(shown), "the README shows\n{shown}\nand it prints\n{printed}");
    Ok(())
}

#[test]
fn every_page_that_the_readme_links_to_is_there() -> Result<()> {
    let readme = readme()?;
    let mut n = 0;
    for link in readme.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
        if link.contains("://") || link.is_empty() {
            continue;
        }
        ensure!(root().join(link).exists(), "{link} is not there");
        n += 1;
    }
    ensure!(n > 20, "only {n} links were found");
    Ok(())
}

#[test]
fn the_clients_that_the_readme_names_can_be_set_up() -> Result<()> {
    let readme = readme()?;
    let line = readme.lines().find(|line| line.contains("init --client claude-code")).context("no client")?;
    let named = line.split("(also ").nth(1).and_then(|rest| rest.split(", ...").next()).context("no others")?;
    let help = std::process::Command::new(program("outcome-runtime")?).args(["init", "--help"]).output()?;
    let help = String::from_utf8(help.stdout)?;
    for client in named.split(", ") {
        ensure!(help.contains(client), "`init` does not know {client}:\n{help}");
    }
    Ok(())
}
