//! Dependencies point one way: along the map in `map.rs`.
//!
//! Inside of a crate an arrow leads to the module that defines what is named; from another crate to the module it is taken
//! from, so that a use case may return a type of the store. Code for tests may use everything.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Finding;
use super::graph::{Found, Graph};
use super::map::{BASE, Layer, MAP, RESERVED};
use super::tree::Tree;

/// The rule's name.
pub const RULE: &str = "arrow";

/// Finds arrows that the map does not have, and modules without a row in it.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let graph = Graph::new(tree);
    // Per file and layer that it may not use: the names and their lines.
    let mut arrows: BTreeMap<(&str, &str, &str), BTreeMap<String, usize>> = BTreeMap::new();
    let mut out = Vec::new();
    let mut homeless = BTreeSet::new();
    for (id, node) in graph.nodes.iter().enumerate().filter(|(_, node)| !node.is_test) {
        let Some(layer) = layer_of(&node.path) else {
            let top = node.path.get(..2).unwrap_or(&node.path).join("::");
            if homeless.insert(top.clone()) {
                let message = format!("`{top}` has no row in the map (crates/xtask/src/tidy/map.rs)");
                out.push(Finding { rule: RULE, file: node.source.path.clone(), line: 1, message });
            }
            continue;
        };
        let uses = node.module.uses.iter().filter(|used| !used.is_test).map(|used| (&used.segments, true, used.line));
        let paths = node.module.paths.iter().filter(|(path, _)| !path.is_test);
        for (segments, is_whole, line) in uses.chain(paths.map(|(path, line)| (&path.segments, path.is_macro, *line))) {
            let (to, name) = match graph.resolve(id, segments, true) {
                Some(found) => {
                    let target = seen_from(&graph, id, &found);
                    let Some(target) = graph.nodes.get(target) else { continue };
                    match layer_of(&target.path) {
                        Some(to) if !may_use(layer, to.name) => (to.name, found.item.unwrap_or_else(|| target.name())),
                        _ => continue,
                    }
                }
                None => match segments.first().and_then(|first| reserved(first)) {
                    Some((to, may)) if (segments.len() > 1 || is_whole) && !is_among(&node.path, layer, may) => {
                        (to, segments.join("::"))
                    }
                    _ => continue,
                },
            };
            let names = arrows.entry((&node.source.path, layer.name, to)).or_default();
            let first = names.entry(name).or_insert(line);
            *first = line.min(*first);
        }
    }
    out.extend(arrows.into_iter().map(|((file, from, to), names)| {
        let shown: Vec<String> = names.iter().take(8).map(|(name, line)| format!("{name} ({line})")).collect();
        let more = if names.len() > 8 { format!(" and {} more", names.len() - 8) } else { String::new() };
        let line = names.values().min().copied().unwrap_or(1);
        let message = format!("{from} may not use {to}: {}{more}", shown.join(", "));
        Finding { rule: RULE, file: file.to_owned(), line, message }
    }));
    out
}

/// The module in which an arrow ends.
fn seen_from(graph: &Graph<'_>, from: usize, found: &Found) -> usize {
    if graph.is_same_unit(from, found.home) || graph.is_root(found.door) { found.home } else { found.door }
}

/// The layer of a module: the longest row that its path begins with.
fn layer_of(path: &[String]) -> Option<&'static Layer> {
    MAP.iter().filter(|layer| begins(path, layer.name)).max_by_key(|layer| layer.name.len())
}

fn begins(path: &[String], name: &str) -> bool {
    let mut path = path.iter();
    name.split("::").all(|part| path.next().is_some_and(|found| found == part))
}

fn is_within(name: &str, outer: &str) -> bool {
    name.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn may_use(layer: &Layer, to: &str) -> bool {
    let is_floor = BASE.contains(&layer.name) || ["stats", "core::clock"].contains(&layer.name);
    is_within(to, layer.name)
        || layer.uses.iter().copied().flatten().any(|used| is_within(to, used))
        || (!is_floor && BASE.iter().any(|base| is_within(to, base)))
}

fn reserved(name: &str) -> Option<(&'static str, &'static [&'static str])> {
    RESERVED.iter().find(|(crate_name, _)| *crate_name == name).copied()
}

/// Whether a module is in one of these places. A root's file counts as its crate.
fn is_among(path: &[String], layer: &Layer, places: &[&str]) -> bool {
    places.iter().any(|place| begins(path, place) || is_within(layer.name, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrows(files: &[(&str, &str)]) -> Vec<String> {
        let mut all = vec![
            ("crates/core/Cargo.toml", "[package]\nname = \"outcome-core\""),
            ("crates/stats/Cargo.toml", "[package]\nname = \"outcome-stats\""),
            ("crates/stats/src/lib.rs", "pub struct Moments;"),
            ("crates/integrations/Cargo.toml", "[package]\nname = \"outcome-integrations\""),
            ("crates/integrations/src/lib.rs", "pub fn table() {}"),
            (
                "crates/core/src/lib.rs",
                "pub mod domain; pub mod error; pub mod store; pub mod usecases; pub use error::Error;
                 pub use outcome_stats as stats; #[cfg(test)] mod testing_only;",
            ),
            ("crates/core/src/error.rs", "pub struct Error;"),
            ("crates/core/src/store.rs", "use crate::domain::Slug; pub struct Db;"),
            ("crates/core/src/usecases.rs", "pub use crate::store::Db;"),
        ];
        let replaced = |path: &str| files.iter().any(|(new, _)| *new == path);
        all.retain(|(path, _)| !replaced(path));
        all.extend(files);
        check(&Tree::with(&all)).into_iter().map(|finding| format!("{}: {}", finding.file, finding.message)).collect()
    }

    const DOMAIN: &str = "crates/core/src/domain.rs";

    #[test]
    fn arrows_of_the_map_are_fine() {
        let domain = "use crate::error::Error; use crate::stats::Moments; use serde::Serialize; pub struct Slug;";
        assert_eq!(arrows(&[(DOMAIN, domain)]), [""; 0]);
    }

    #[test]
    fn an_arrow_that_the_map_does_not_have_is_found_in_every_form() {
        for domain in [
            "use crate::store::Db;",
            "use crate::store;",
            "use crate::usecases::Db;",
            "fn f(db: &crate::store::Db) {}",
            "fn f() { text!(crate::store::Db) }",
            "fn f() { use super::store::Db as D; }",
        ] {
            let found = arrows(&[(DOMAIN, domain)]);
            assert_eq!(found.len(), 1, "{domain}: {found:?}");
            assert!(found.iter().all(|text| text.contains("core::domain may not use core::store")), "{found:?}");
        }
    }

    #[test]
    fn tests_may_use_everything() {
        let domain = "#[cfg(test)] mod tests { use crate::store::Db; } #[cfg(test)] use tokio::runtime::Runtime;";
        assert_eq!(arrows(&[(DOMAIN, domain)]), [""; 0]);
        let only = ("crates/core/src/testing_only.rs", "use crate::usecases::Db;");
        assert_eq!(arrows(&[(DOMAIN, "pub struct Slug;"), only]), [""; 0]);
    }

    #[test]
    fn crates_with_side_effects_have_their_places() {
        for domain in ["use tokio::fs;", "use tokio;", "fn f() -> reqwest::Client {}", "#[tokio::main] fn f() {}"] {
            assert_eq!(arrows(&[(DOMAIN, domain)]).len(), 1, "{domain}");
        }
        assert_eq!(arrows(&[(DOMAIN, "#[derive(sqlx::Type)] pub struct Slug;")]), [""; 0]);
        assert_eq!(arrows(&[(DOMAIN, "fn f(tokio: usize) -> usize { tokio }")]), [""; 0], "a variable is no crate");
    }

    #[test]
    fn front_ends_use_doors_and_only_their_root_the_vendors() {
        let main = "mod go; use outcome_core::usecases::Db; fn main() { outcome_integrations::table() }";
        let go = "use outcome_core::usecases::Db; use outcome_core::Error; use outcome_core::stats::Moments;";
        let domain = (DOMAIN, "pub struct Slug;");
        assert_eq!(arrows(&[domain, ("crates/cli/src/main.rs", main), ("crates/cli/src/go.rs", go)]), [""; 0]);
        for (go, wanted) in [
            ("use outcome_core::store::Db;", "cli may not use core::store: Db (1)"),
            ("use outcome_integrations::table;", "cli may not use integrations: table (1)"),
            ("fn f() { sqlx::query() }", "cli may not use sqlx: sqlx::query (1)"),
        ] {
            let found = arrows(&[domain, ("crates/cli/src/main.rs", main), ("crates/cli/src/go.rs", go)]);
            assert_eq!(found, [format!("crates/cli/src/go.rs: {wanted}")]);
        }
    }

    #[test]
    fn a_module_needs_a_place_on_the_map() {
        let lib = ("crates/core/src/lib.rs", "pub mod domain; mod drawer;");
        let found = arrows(&[lib, (DOMAIN, ""), ("crates/core/src/drawer.rs", "")]);
        assert!(found.iter().any(|text| text.contains("`core::drawer` has no row in the map")), "{found:?}");
    }

    #[test]
    fn every_row_names_rows() {
        let is_row = |name: &str| MAP.iter().any(|layer| is_within(layer.name, name) || is_within(name, layer.name));
        let named = MAP.iter().flat_map(|layer| layer.uses.iter().copied().flatten()).chain(BASE);
        let named = named.chain(RESERVED.iter().flat_map(|(_, places)| places.iter()));
        for name in named {
            assert!(is_row(name), "{name}");
        }
    }
}
