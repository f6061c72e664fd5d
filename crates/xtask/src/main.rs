//! Chores of the project: `cargo xtask docs` writes what is generated from the core, `cargo xtask manifest` what is generated
//! from the built MCP server; `cargo test -p xtask` fails when one is out of date. `cargo xtask tidy [FOLDER]` prints what
//! breaks the rules of the code, which the tests apply as well. `cargo xtask bundle` packs the server for clients.
//! `cargo xtask record` records the demonstration. `cargo xtask field-trial` plays experiments through the built programs. The other commands are proofs of the statistics
//! (docs/testing.md).

mod field_trial;
#[cfg(feature = "generated")]
mod generated;
#[cfg(feature = "generated")]
mod manifest;
mod programs;
mod proofs;
mod record;
mod root;
mod tidy;

use std::path::PathBuf;

use root::root;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    match command.as_str() {
        #[cfg(feature = "generated")]
        "docs" => generated::write(&generated::files()?),
        #[cfg(feature = "generated")]
        "manifest" if rest.is_empty() => {
            manifest::build()?;
            generated::write(&manifest::files(&manifest::program()?)?)
        }
        #[cfg(feature = "generated")]
        "manifest" if rest == ["--check"] => {
            manifest::build()?;
            generated::check(&manifest::files(&manifest::program()?)?, "manifest")
        }
        #[cfg(feature = "generated")]
        "bundle" => {
            use std::io::Write as _;
            let written = manifest::bundle::bundle(&rest)?;
            Ok(written.iter().try_for_each(|path| writeln!(std::io::stdout(), "{}", path.display()))?)
        }
        "record" => record::run(),
        "tidy" => tidy::run(&rest.first().map_or_else(root, PathBuf::from)),
        "coverage" => proofs::coverage(),
        "mutants" => proofs::mutants(&rest),
        "fuzz" => proofs::fuzz(&rest),
        "field-trial" => field_trial::run(&rest),
        _ => anyhow::bail!(
            "usage: cargo xtask docs | tidy [FOLDER] | manifest [--check] | bundle [PROGRAM [FOLDER]] | record | coverage | mutants \
             [arguments of cargo-mutants] | fuzz [seconds [target]] | field-trial [--aa N] [--ab N] [--engine N] [--days N] [--seed N] \
             [--minutes N] [--json] [--write]"
        ),
    }
}
