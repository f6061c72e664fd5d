//! Rules that the compiler does not know.

use std::path::{Path, PathBuf};

use crate::{generated, manifest, root};

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// Modules of the core and what they may never name in a `use` line or path: dependencies point one way.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "domain",
        &[
            "crate::store",
            "crate::usecases",
            "crate::connectors",
            "crate::flags",
            "crate::stats",
            "crate::lifecycle",
            "crate::config",
            "crate::signing",
            "crate::scope",
            "reqwest",
            "tokio",
        ],
    ),
    (
        "lifecycle",
        &[
            "crate::store",
            "crate::usecases",
            "crate::connectors",
            "crate::flags",
            "crate::config",
            "sqlx",
            "reqwest",
            "tokio",
            "crate::clock",
            "rand",
        ],
    ),
    ("signing", &["crate::store", "crate::usecases", "crate::connectors", "sqlx", "reqwest", "tokio", "crate::clock"]),
    ("audit", &["crate::store", "crate::usecases", "crate::connectors", "sqlx", "reqwest", "tokio", "crate::clock"]),
    ("hypotheses", &["crate::store", "crate::usecases", "crate::connectors", "sqlx", "reqwest", "tokio"]),
    ("config", &["crate::store", "crate::usecases", "crate::connectors", "sqlx", "reqwest", "tokio"]),
    ("scope", &["crate::store", "crate::usecases", "crate::connectors", "sqlx", "reqwest"]),
    ("store", &["crate::usecases", "crate::connectors", "crate::flags", "reqwest"]),
    ("connectors", &["crate::usecases", "crate::store", "crate::lifecycle", "crate::stats"]),
    ("flags", &["crate::usecases", "crate::store", "crate::lifecycle", "crate::stats"]),
];

#[test]
fn dependencies_point_one_way() {
    let mut broken = Vec::new();
    for (module, forbidden) in ARROWS {
        for path in rust_files(&root().join("crates/core/src").join(module)) {
            let is_test = path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
            if is_test {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for line in code.lines().filter(|line| line.trim_start().starts_with("use ")) {
                for name in *forbidden {
                    let used = line.trim_start().trim_start_matches("use ");
                    if used.starts_with(&format!("{name}::")) || used.starts_with(&format!("{name};")) {
                        broken.push(format!("{}: {}", path.display(), line.trim()));
                    }
                }
            }
        }
    }
    assert!(broken.is_empty(), "docs/ARCHITECTURE.md does not draw these arrows:\n{}", broken.join("\n"));
}

#[test]
fn front_ends_write_no_sql() {
    for crate_name in ["mcp", "daemon", "cli"] {
        for path in rust_files(&root().join("crates").join(crate_name).join("src")) {
            // The demonstration plays a shop with a database of its own.
            if path.components().any(|part| part.as_os_str() == "demo") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("sqlx::"), "{} writes SQL: that is the store's work", path.display());
        }
    }
}

#[test]
fn generated_files_are_up_to_date() {
    generated::check(&generated::files().unwrap(), "docs").unwrap();
}

#[test]
fn manifests_say_what_the_built_server_says() {
    let program = manifest::program().unwrap();
    generated::check(&manifest::files(&program).unwrap(), "manifest").unwrap();
}

#[test]
fn migrations_stand_in_pairs_and_drop_no_data() {
    let names = |engine: &str| {
        let mut names: Vec<_> = std::fs::read_dir(root().join("migrations").join(engine))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
    for engine in ["sqlite", "postgres"] {
        let read = |name: &String| -> String {
            let text = std::fs::read_to_string(root().join("migrations").join(engine).join(name)).unwrap();
            text.lines().filter(|line| !line.starts_with("--")).map(|line| format!("{line}\n")).collect()
        };
        let all: String = names(engine).iter().map(read).collect();
        for name in names(engine) {
            for statement in read(&name).split(';').filter(|statement| statement.to_uppercase().contains("DROP ")) {
                let statement = statement.trim();
                // An index can be made anew from the rows, and so can a full-text table.
                let is_derived = match statement.split_whitespace().collect::<Vec<_>>().as_slice() {
                    ["DROP", "INDEX" | "TRIGGER", _] => true,
                    ["DROP", "TABLE", table] => all.contains(&format!("CREATE VIRTUAL TABLE {table} ")),
                    _ => false,
                };
                assert!(is_derived, "{engine}/{name}: `{statement}` drops data: migrations only grow");
            }
        }
    }
}
