//! `ide-configs/` shows what `init --client` writes into an empty repository and home: made from the same table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use outcome_core::scope::steers_an_agent;
use pretty_assertions::assert_eq;

use super::{Act, Client, Places, files};

/// Path beneath `ide-configs/` and text of every file.
fn examples() -> BTreeMap<String, String> {
    let root = PathBuf::from("/absolute/path/to/your/repository");
    let home = PathBuf::from("/absolute/path/to/your/home");
    let server = PathBuf::from("/absolute/path/to/outcome-runtime-mcp");
    let places = Places { root: root.clone(), home: home.clone(), server, env: &|_| None };
    let mut all = BTreeMap::new();
    for client in Client::value_variants() {
        for file in files::plan(&[*client], None, &places, Act::Write).unwrap().remove(0).files {
            let path = file.path.strip_prefix(&root).or_else(|_| file.path.strip_prefix(&home)).unwrap();
            // By its name alone where the folder depends on the system.
            let path = if file.path.starts_with(&home) { Path::new(path.file_name().unwrap()) } else { path };
            all.insert(format!("{}/{}", client.id(), path.display()), file.new.unwrap());
        }
    }
    all
}

fn committed(folder: &Path, prefix: &str, all: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        // Made by `cargo xtask manifest`.
        let is_package = ["mcpb", "plugins", "registry"].contains(&name.as_str());
        if is_package {
            continue;
        }
        if entry.path().is_dir() {
            committed(&entry.path(), &format!("{name}/"), all);
        } else if name != "README.md" {
            all.insert(name, std::fs::read_to_string(entry.path()).unwrap());
        }
    }
}

#[test]
fn ide_configs_is_what_init_writes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ide-configs");
    let expected = examples();
    if std::env::var_os("UPDATE").is_some() {
        for (path, text) in &expected {
            std::fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
            std::fs::write(folder.join(path), text).unwrap();
        }
    }
    let mut found = BTreeMap::new();
    committed(&folder, "", &mut found);
    assert_eq!(found, expected, "UPDATE=1 cargo test -p outcome-runtime ide_configs");
}

#[test]
fn a_build_that_changes_a_file_of_a_client_in_the_project_is_noted() {
    let root = PathBuf::from("/repository");
    let places = Places { root: root.clone(), home: "/home/sam".into(), server: "/x".into(), env: &|_| None };
    for client in Client::value_variants() {
        for file in files::plan(&[*client], None, &places, Act::Write).unwrap().remove(0).files {
            let Ok(path) = file.path.strip_prefix(&root) else { continue };
            assert!(steers_an_agent(&path.to_string_lossy()), "{}", path.display());
        }
    }
}
