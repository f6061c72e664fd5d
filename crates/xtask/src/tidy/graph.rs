//! The modules of our crates, and which of them defines what a path names.
//!
//! It knows items, modules, `use` lines, re-exports and stars, but neither types nor macros: a name that a macro defines
//! belongs to the module in which it is looked for, and calls of methods are not seen.

use std::collections::{BTreeMap, BTreeSet};

use super::manifest;
use super::source::{Module, Source};
use super::tree::Tree;

/// The modules of `crates/*/src`.
pub struct Graph<'t> {
    /// Every module; a file that a library and a program both declare appears twice.
    pub nodes: Vec<Node<'t>>,
    units: Vec<Unit>,
}

/// A library or a program.
struct Unit {
    /// What other crates call it; programs have no such name.
    name: Option<String>,
    root: usize,
}

/// A module in its place.
pub struct Node<'t> {
    /// Folder of its crate under `crates`, and names of modules from there; the root of a library is `[crate, "lib"]`, that of a
    /// program `[crate, "main"]`, the modules below them do without that word.
    pub path: Vec<String>,
    /// Its file.
    pub source: &'t Source,
    /// Content.
    pub module: &'t Module,
    /// Whether it is compiled for tests only.
    pub is_test: bool,
    unit: usize,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
}

impl Node<'_> {
    /// `core::store::db`.
    pub fn name(&self) -> String {
        self.path.join("::")
    }
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The module that defines it, or the module itself.
    pub home: usize,
    /// The last module on the path as it is written: where the reader takes it from.
    pub door: usize,
    /// The item's name; `None` for a module.
    pub item: Option<String>,
}

/// Names that are being looked up, so that two stars that name each other end.
type Seen = BTreeSet<(usize, String, Wanted)>;

/// What a name is to be: a module and a function may share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Module,
    Item,
    Macro,
}

impl<'t> Graph<'t> {
    /// Finds the modules.
    pub fn new(tree: &'t Tree) -> Self {
        let mut graph = Self { nodes: Vec::new(), units: Vec::new() };
        for source in &tree.sources {
            let folders: Vec<&str> = source.path.split('/').collect();
            let (folder, is_library) = match folders.as_slice() {
                ["crates", folder, "src", "lib.rs"] => (*folder, true),
                ["crates", folder, "src", "main.rs"] | ["crates", folder, "src", "bin", _] => (*folder, false),
                _ => continue,
            };
            let root = graph.nodes.len();
            let unit = graph.units.len();
            let name = is_library.then(|| manifest::library_name(tree, folder));
            graph.units.push(Unit { name, root });
            let word = if is_library { "lib" } else { "main" };
            let path = vec![folder.to_owned(), word.to_owned()];
            graph.add(tree, Place { unit, parent: None, path, source, is_test: false }, &source.module);
        }
        graph
    }

    fn add(&mut self, tree: &'t Tree, place: Place<'t>, module: &'t Module) -> usize {
        let Place { unit, parent, path, source, is_test } = place;
        let is_test = is_test || module.is_test;
        let id = self.nodes.len();
        let node = Node { path: path.clone(), source, module, is_test, unit, parent, children: BTreeMap::new() };
        self.nodes.push(node);
        let below = |name: &str| {
            let above = if parent.is_none() { path.iter().take(1) } else { path.iter().take(path.len()) };
            above.cloned().chain([name.to_owned()]).collect::<Vec<_>>()
        };
        let mut children = BTreeMap::new();
        for inner in &module.inline {
            let place = Place { unit, parent: Some(id), path: below(&inner.name), source, is_test };
            children.insert(inner.name.clone(), self.add(tree, place, inner));
        }
        let folder = folder_of(source, &self.nodes, id);
        for child in &module.children {
            let beside = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let places = match &child.path {
                Some(path) => vec![format!("{beside}/{path}")],
                None => {
                    vec![format!("{folder}/{}.rs", child.name), format!("{folder}/{}/mod.rs", child.name)]
                }
            };
            let found = places.iter().find_map(|path| tree.index(path)).and_then(|index| tree.sources.get(index));
            let Some(found) = found else { continue };
            let is_test = is_test || child.is_test;
            let place = Place { unit, parent: Some(id), path: below(&child.name), source: found, is_test };
            children.insert(child.name.clone(), self.add(tree, place, &found.module));
        }
        if let Some(node) = self.nodes.get_mut(id) {
            node.children = children;
        }
        id
    }

    /// What a path means in a module. `is_macro` finds macros of the modules around it too. `None`: not ours.
    pub fn resolve(&self, from: usize, segments: &[String], is_macro: bool) -> Option<Found> {
        self.find(from, segments, if is_macro { Wanted::Macro } else { Wanted::Item }, &mut Seen::new())
    }

    /// Whether a module is a descendant of another one.
    pub fn is_below(&self, module: usize, above: usize) -> bool {
        let mut next = self.nodes.get(module).and_then(|node| node.parent);
        while let Some(parent) = next {
            if parent == above {
                return true;
            }
            next = self.nodes.get(parent).and_then(|node| node.parent);
        }
        false
    }

    /// Whether two modules belong to one library or program.
    pub fn is_same_unit(&self, a: usize, b: usize) -> bool {
        self.nodes.get(a).map(|node| node.unit) == self.nodes.get(b).map(|node| node.unit)
    }

    /// Whether a module is the root of its crate.
    pub fn is_root(&self, module: usize) -> bool {
        self.nodes.get(module).is_some_and(|node| node.parent.is_none())
    }

    fn find(&self, from: usize, segments: &[String], wanted: Wanted, seen: &mut Seen) -> Option<Found> {
        let (first, mut rest) = segments.split_first()?;
        let node = self.nodes.get(from)?;
        let mut at = match first.as_str() {
            "crate" => self.units.get(node.unit)?.root,
            "self" => from,
            "super" => node.parent?,
            name => {
                let is_last = rest.is_empty();
                let first = if is_last { wanted } else { Wanted::Module };
                let start = self.named(from, name, first, seen);
                let start = start.or_else(|| if first == Wanted::Macro { self.macro_around(from, name) } else { None });
                let start = start.or_else(|| {
                    let unit = self.units.iter().find(|unit| unit.name.as_deref() == Some(name))?;
                    Some(Found { home: unit.root, door: unit.root, item: None })
                })?;
                return self.walk(start, rest, wanted, seen);
            }
        };
        while let Some((next, after)) = rest.split_first()
            && next == "super"
        {
            at = self.nodes.get(at)?.parent?;
            rest = after;
        }
        self.walk(Found { home: at, door: at, item: None }, rest, wanted, seen)
    }

    fn walk(&self, start: Found, rest: &[String], wanted: Wanted, seen: &mut Seen) -> Option<Found> {
        let mut at = start;
        let mut rest = rest;
        while let Some((name, after)) = rest.split_first() {
            if at.item.is_some() {
                break;
            }
            let module = at.home;
            at = match self.named(module, name, if after.is_empty() { wanted } else { Wanted::Module }, seen) {
                Some(found) if found.item.is_none() => Found { home: found.home, door: found.home, item: None },
                Some(found) => Found { home: found.home, door: module, item: found.item },
                // What a macro defines.
                None => Found { home: module, door: module, item: Some(name.clone()) },
            };
            rest = after;
        }
        Some(at)
    }

    /// What a module calls by this name.
    fn named(&self, module: usize, name: &str, wanted: Wanted, seen: &mut Seen) -> Option<Found> {
        if !seen.insert((module, name.to_owned(), wanted)) {
            return None;
        }
        let found = self.named_once(module, name, wanted, seen);
        seen.remove(&(module, name.to_owned(), wanted));
        found
    }

    fn named_once(&self, module: usize, name: &str, wanted: Wanted, seen: &mut Seen) -> Option<Found> {
        let node = self.nodes.get(module)?;
        let child = node.children.get(name).map(|child| Found { home: *child, door: *child, item: None });
        if wanted == Wanted::Module && child.is_some() {
            return child;
        }
        if node.module.items.contains(name) || node.module.macros.contains(name) {
            return Some(Found { home: module, door: module, item: Some(name.to_owned()) });
        }
        let mut imported = None;
        for used in node.module.uses.iter().filter(|used| !used.is_local && used.name.as_deref() == Some(name)) {
            let Some(found) = self.find(module, &used.segments, wanted, seen) else { continue };
            if found.item.is_none() == (wanted == Wanted::Module) {
                return Some(found);
            }
            imported = imported.or(Some(found));
        }
        imported.or(child).or_else(|| {
            let stars = node.module.uses.iter().filter(|used| !used.is_local && used.name.is_none());
            let by_star = stars.into_iter().find_map(|star| {
                let target = self.find(module, &star.segments, Wanted::Module, seen)?;
                if target.item.is_some() { None } else { self.named(target.home, name, wanted, seen) }
            });
            by_star.or_else(|| self.exported(module, name))
        })
    }

    /// A macro that the root of a crate has from anywhere in it.
    fn exported(&self, module: usize, name: &str) -> Option<Found> {
        let root = self.nodes.get(module).filter(|node| node.parent.is_none())?;
        let home = self.nodes.iter().position(|node| node.unit == root.unit && node.module.exported.contains(name))?;
        Some(Found { home, door: module, item: Some(name.to_owned()) })
    }

    /// A macro of a module around this one, which needs no path.
    fn macro_around(&self, from: usize, name: &str) -> Option<Found> {
        let mut next = self.nodes.get(from)?.parent;
        while let Some(id) = next {
            let node = self.nodes.get(id)?;
            if node.module.macros.contains(name) {
                return Some(Found { home: id, door: id, item: Some(name.to_owned()) });
            }
            next = node.parent;
        }
        None
    }
}

/// Marks the files that are compiled for tests only because a module around them is.
pub fn mark_tests(tree: &mut Tree) {
    let graph = Graph::new(tree);
    let files = |is_test: bool| -> BTreeSet<&str> {
        let nodes = graph.nodes.iter().filter(|node| node.is_test == is_test && node.module.name.is_empty());
        nodes.map(|node| node.source.path.as_str()).collect()
    };
    let marked: BTreeSet<String> = files(true).difference(&files(false)).map(|path| (*path).to_owned()).collect();
    for source in &mut tree.sources {
        source.is_test |= marked.contains(&source.path);
    }
}

struct Place<'t> {
    unit: usize,
    parent: Option<usize>,
    path: Vec<String>,
    source: &'t Source,
    is_test: bool,
}

/// Where the files of a module's children are.
fn folder_of(source: &Source, nodes: &[Node<'_>], id: usize) -> String {
    let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let mut out = match file {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        file => format!("{folder}/{}", file.trim_end_matches(".rs")),
    };
    let mut inline = Vec::new();
    let mut next = Some(id);
    while let Some(node) = next.and_then(|id| nodes.get(id)).filter(|node| !node.module.name.is_empty()) {
        inline.push(node.module.name.as_str());
        next = node.parent;
    }
    for name in inline.iter().rev() {
        out = format!("{out}/{name}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        Tree::with(&[
            (
                "crates/core/src/lib.rs",
                "pub mod a; pub mod b; mod made; pub use b::Thing; pub use outcome_stats as stats;",
            ),
            ("crates/core/src/a.rs", "use crate::b::*; mod inner { use super::Own; } pub struct Own;"),
            (
                "crates/core/src/b/mod.rs",
                "macro_rules! m { () => {} } mod thing; mod run; pub use thing::Thing; pub use run::run;",
            ),
            ("crates/core/src/b/thing.rs", "pub struct Thing;"),
            ("crates/core/src/b/run.rs", "pub fn run() {} pub fn other() {}"),
            ("crates/core/src/made.rs", "ids! { Made }"),
            ("crates/core/Cargo.toml", "[package]\nname = \"outcome-core\""),
            ("crates/stats/src/lib.rs", "mod mean; pub use mean::mean;"),
            ("crates/stats/src/mean.rs", "pub fn mean() {}"),
            ("crates/stats/Cargo.toml", "[package]\nname = \"outcome-stats\""),
            ("crates/cli/src/main.rs", "mod go; fn main() {}"),
            ("crates/cli/src/go.rs", ""),
        ])
    }

    /// Home, door and item of a path in the file.
    fn found(file: &str, path: &str, is_macro: bool) -> Option<(String, String, String)> {
        let tree = tree();
        let graph = Graph::new(&tree);
        let from = graph.nodes.iter().position(|node| node.source.path == file).unwrap();
        let segments: Vec<String> = path.split("::").map(ToOwned::to_owned).collect();
        let found = graph.resolve(from, &segments, is_macro)?;
        let name = |id: usize| graph.nodes[id].name();
        Some((name(found.home), name(found.door), found.item.unwrap_or_default()))
    }

    fn is(home: &str, door: &str, item: &str) -> Option<(String, String, String)> {
        Some((home.to_owned(), door.to_owned(), item.to_owned()))
    }

    #[test]
    fn a_path_leads_through_re_exports_to_the_file_that_defines() {
        let a = "crates/core/src/a.rs";
        assert_eq!(found(a, "crate::b::Thing::new", false), is("core::b::thing", "core::b", "Thing"));
        assert_eq!(found(a, "crate::Thing", false), is("core::b::thing", "core::lib", "Thing"));
        assert_eq!(found(a, "super::b", false), is("core::b", "core::b", ""));
        assert_eq!(found(a, "crate::made::Made", false), is("core::made", "core::made", "Made"), "a macro made it");
        assert_eq!(found(a, "crate::stats::mean", false), is("stats::mean", "stats::lib", "mean"));
    }

    #[test]
    fn a_star_brings_names_and_a_name_may_be_module_and_function() {
        let a = "crates/core/src/a.rs";
        assert_eq!(found(a, "Thing", false), is("core::b::thing", "core::b::thing", "Thing"));
        assert_eq!(found(a, "crate::b::run", false), is("core::b::run", "core::b", "run"));
        assert_eq!(found(a, "crate::b::run::other", false), is("core::b::run", "core::b::run", "other"));
    }

    #[test]
    fn what_is_not_ours_is_not_found() {
        assert_eq!(found("crates/core/src/a.rs", "serde::Serialize", false), None);
        assert_eq!(found("crates/core/src/a.rs", "Vec", false), None);
    }

    #[test]
    fn macros_of_a_module_around_need_no_path() {
        assert_eq!(found("crates/core/src/b/run.rs", "m", true), is("core::b", "core::b", "m"));
        assert_eq!(found("crates/core/src/b/run.rs", "m", false), None);
    }

    #[test]
    fn an_exported_macro_is_named_at_the_root_and_defined_in_its_module() {
        let tree = Tree::with(&[
            ("crates/core/src/lib.rs", "mod a; mod b;"),
            ("crates/core/src/a.rs", "#[macro_export] macro_rules! made { () => {} }"),
            ("crates/core/src/b.rs", "crate::made! {}"),
        ]);
        let graph = Graph::new(&tree);
        let from = graph.nodes.iter().position(|node| node.name() == "core::b").unwrap();
        let found = graph.resolve(from, &["crate".to_owned(), "made".to_owned()], true).unwrap();
        assert_eq!(graph.nodes[found.home].name(), "core::a");
    }

    #[test]
    fn other_crates_are_known_by_the_name_of_their_library() {
        assert_eq!(
            found("crates/cli/src/go.rs", "outcome_core::stats::mean", false),
            is("stats::mean", "stats::lib", "mean")
        );
        assert_eq!(found("crates/cli/src/go.rs", "outcome_cli::x", false), None);
    }

    #[test]
    fn a_file_that_is_declared_for_tests_is_for_tests() {
        let mut tree = Tree::with(&[
            ("crates/core/src/lib.rs", "#[cfg(test)] mod samples; mod code;"),
            ("crates/core/src/samples/mod.rs", "mod more;"),
            ("crates/core/src/samples/more.rs", ""),
            ("crates/core/src/code.rs", ""),
        ]);
        mark_tests(&mut tree);
        let found: Vec<_> = tree.sources.iter().filter(|source| source.is_test).map(|source| &source.path).collect();
        assert_eq!(found, ["crates/core/src/samples/mod.rs", "crates/core/src/samples/more.rs"]);
    }
}
