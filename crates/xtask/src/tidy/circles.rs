//! No circle of `use` between the files of a crate: each file can be read, moved and tested without the files that use it.
//!
//! An edge leads from a file to the file that defines what it names, through re-exports, in `use` lines and in code, also in
//! functions and macros. `mod x;`, re-exports of a module's own children, and code for tests are no edges. Of a module that is
//! imported as a whole, what is used of it counts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::finding::Finding;
use super::graph::{Found, Graph};
use super::tree::Tree;

/// The rule's name.
pub const RULE: &str = "circle";

/// Which names a file takes from which file, with the first line of each.
type Edges<'t> = BTreeMap<&'t str, BTreeMap<&'t str, BTreeMap<String, usize>>>;

/// Finds the circles. Each is cut at its thinnest edge before the next one is sought, so that a knot of files is a short list
/// of circles, and not every way through it.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut edges = edges(&Graph::new(tree));
    let is_mutual = |from: &str, to: &str| from < to && edges.get(to).is_some_and(|back| back.contains_key(from));
    let all = edges.iter().flat_map(|(from, to)| to.keys().map(move |to| (*from, *to)));
    let pairs: Vec<[&str; 2]> = all.filter(|(from, to)| is_mutual(from, to)).map(<[&str; 2]>::from).collect();
    let mut out: Vec<Finding> = pairs.iter().filter_map(|pair| cut(&mut edges, pair)).collect();
    while let Some(found) = shortest(&edges).and_then(|circle| cut(&mut edges, &circle)) {
        out.push(found);
    }
    out
}

/// Takes the thinnest edge out of a circle, and says what ties it.
fn cut<'t>(edges: &mut Edges<'t>, circle: &[&'t str]) -> Option<Finding> {
    let pairs = circle.iter().copied().zip(circle.iter().copied().cycle().skip(1));
    let ties: Vec<_> = pairs.filter_map(|(from, to)| Some((from, to, edges.get(from)?.get(to)?.clone()))).collect();
    let (from, to, names) = ties.iter().min_by_key(|(_, _, names)| names.len())?;
    let shown: Vec<String> = ties.iter().map(|(from, to, names)| tie(from, to, names)).collect();
    edges.get_mut(from)?.remove(to);
    Some(Finding {
        rule: RULE,
        file: (*from).to_owned(),
        line: names.values().min().copied().unwrap_or(1),
        message: format!("{} files in a circle:\n    {}", circle.len(), shown.join("\n    ")),
    })
}

/// `a.rs -> b.rs: Name (12), other (40)`.
fn tie(from: &str, to: &str, names: &BTreeMap<String, usize>) -> String {
    let shown: Vec<String> = names.iter().take(8).map(|(name, line)| format!("{name} ({line})")).collect();
    let more = names.len().checked_sub(8).filter(|n| *n > 0).map(|n| format!(" and {n} more")).unwrap_or_default();
    format!("{from} -> {to}: {}{more}", shown.join(", "))
}

fn edges<'t>(graph: &Graph<'t>) -> Edges<'t> {
    let mut edges = Edges::new();
    let mut add = |from: usize, found: Option<Found>, line: usize| {
        let Some(Found { home, item: Some(name), .. }) = found else { return };
        let (Some(node), Some(target)) = (graph.nodes.get(from), graph.nodes.get(home)) else { return };
        if graph.is_same_unit(from, home) && node.source.path != target.source.path && !target.is_test {
            let names = edges.entry(&node.source.path).or_default().entry(target.source.path.as_str()).or_default();
            let first = names.entry(name).or_insert(line);
            *first = line.min(*first);
        }
    };
    for (id, node) in graph.nodes.iter().enumerate().filter(|(_, node)| !node.is_test) {
        for used in node.module.uses.iter().filter(|used| !used.is_test) {
            let found = graph.resolve(id, &used.segments, true);
            let is_own = found.as_ref().is_some_and(|found| graph.is_below(found.home, id));
            if !(used.is_reexport && is_own) {
                add(id, found, used.line);
            }
        }
        for (path, line) in node.module.paths.iter().filter(|(path, _)| !path.is_test) {
            add(id, graph.resolve(id, &path.segments, path.is_macro), *line);
        }
    }
    edges
}

/// The shortest circle.
fn shortest<'t>(edges: &Edges<'t>) -> Option<Vec<&'t str>> {
    let knotted = knotted(edges);
    let circles = knotted.iter().filter_map(|start| around(edges, start, &knotted));
    circles.min_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)))
}

/// The files that may be on a circle: what is left when the ones that use or are used by no other are taken away.
fn knotted<'t>(edges: &Edges<'t>) -> BTreeSet<&'t str> {
    let mut left: BTreeSet<&str> = edges.keys().copied().collect();
    loop {
        let targets = |from: &str| edges.get(from).into_iter().flat_map(|to| to.keys().copied());
        let used: BTreeSet<&str> = left.iter().flat_map(|from| targets(from)).collect();
        let is_tied = |file: &&str| used.contains(file) && targets(file).any(|to| left.contains(to));
        let next: BTreeSet<&str> = left.iter().copied().filter(is_tied).collect();
        if next.len() == left.len() {
            return next;
        }
        left = next;
    }
}

/// The shortest way from a file back to it.
fn around<'t>(edges: &Edges<'t>, start: &'t str, among: &BTreeSet<&'t str>) -> Option<Vec<&'t str>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(file) = waiting.pop_front() {
        for to in edges.get(file).into_iter().flat_map(|to| to.keys()).copied().filter(|to| among.contains(to)) {
            if to == start {
                let mut way = vec![file];
                while let Some(before) = way.last().filter(|last| **last != start).and_then(|last| came_from.get(last))
                {
                    way.push(before);
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(to) {
                came_from.insert(to, file);
                waiting.push_back(to);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::with(files)).into_iter().map(|finding| finding.message).collect()
    }

    const LIB: (&str, &str) = ("crates/core/src/lib.rs", "mod a; mod b; mod c;");

    #[test]
    fn two_files_that_use_each_other_are_a_circle() {
        let found = circles(&[
            LIB,
            ("crates/core/src/a.rs", "use crate::b::B;\npub struct A(B);"),
            ("crates/core/src/b.rs", "pub struct B;\nfn f() -> crate::a::A { todo() }"),
        ]);
        let wanted = "2 files in a circle:\n    crates/core/src/a.rs -> crates/core/src/b.rs: B (1)\n    \
                      crates/core/src/b.rs -> crates/core/src/a.rs: A (2)";
        assert_eq!(found, [wanted]);
    }

    #[test]
    fn a_circle_may_hide_in_a_function_a_macro_or_an_attribute() {
        for b in [
            "pub struct B; fn f() { use crate::a::A; }",
            "pub struct B; fn f() { on_db!(tx, |c| crate::a::A.run(c)) }",
            "pub struct B; macro_rules! m { () => { $crate::a::A } }",
            "#[serde(with = \"crate::a::A\")] pub struct B;",
            "use crate::a; pub struct B(a::A);",
            "use super::c::A; pub struct B;",
            "pub use crate::a::A; pub struct B;",
        ] {
            let found = circles(&[
                LIB,
                ("crates/core/src/a.rs", "use crate::b::B; pub struct A;"),
                ("crates/core/src/b.rs", b),
                ("crates/core/src/c.rs", "pub use crate::a::A;"),
            ]);
            assert_eq!(found.len(), 1, "{b}: {found:?}");
        }
    }

    #[test]
    fn children_that_use_their_parent_and_are_used_by_it_are_a_circle() {
        let child = ("crates/core/src/a/child.rs", "use super::Context; pub fn go(_: Context) {}");
        let lib = ("crates/core/src/lib.rs", "mod a;");
        let uses = "mod child; pub struct Context; pub fn go() { child::go(Context) }";
        assert_eq!(circles(&[lib, ("crates/core/src/a/mod.rs", uses), child]).len(), 1);
        let names = "mod child; pub struct Context; pub use child::go;";
        assert_eq!(circles(&[lib, ("crates/core/src/a/mod.rs", names), child]), [""; 0], "a re-export is no edge");
    }

    #[test]
    fn siblings_through_their_parents_re_exports_are_no_circle_with_it() {
        let found = circles(&[
            ("crates/core/src/lib.rs", "pub mod a;"),
            ("crates/core/src/a/mod.rs", "mod x; mod y; pub use x::X; pub use y::Y;"),
            ("crates/core/src/a/x.rs", "pub struct X;"),
            ("crates/core/src/a/y.rs", "use super::X; pub struct Y(X);"),
        ]);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn tests_may_use_what_they_test() {
        let found = circles(&[
            ("crates/core/src/lib.rs", "mod a; mod b;"),
            ("crates/core/src/a.rs", "use crate::b::B; pub struct A; #[cfg(test)] mod tests;"),
            ("crates/core/src/a/tests.rs", "use super::*; use crate::a::A;"),
            ("crates/core/src/b.rs", "pub struct B; #[cfg(test)] mod tests { use crate::a::A; }"),
        ]);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn a_knot_is_a_short_list_of_circles() {
        let found = circles(&[
            LIB,
            ("crates/core/src/a.rs", "use crate::b::B; use crate::c::{X, Y}; pub struct A;"),
            ("crates/core/src/b.rs", "use crate::c::{X, Y}; pub struct B;"),
            ("crates/core/src/c.rs", "use crate::a::A; pub struct X; pub struct Y;"),
        ]);
        let lengths: Vec<&str> = found.iter().filter_map(|message| message.split(' ').next()).collect();
        assert_eq!(lengths, ["2"], "with its thinnest edge the longer one is gone: {found:?}");
    }
}
