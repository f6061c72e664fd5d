//! A dependency is one that some line uses: a package's own code for `dependencies`, its tests and benches for
//! `dev-dependencies`.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Exception, Finding};
use super::manifest::{self, Dependency};
use super::source::Module;
use super::tree::Tree;

/// The rule's name.
pub const RULE: &str = "dependency";

/// Dependencies that no line names, as `package folder: name`, and why they stay.
const EXCEPTIONS: &[Exception] = &[(
    "tests: tiktoken-rs",
    "asked for with its features by the package of all tests, so that nothing is compiled twice",
)];

/// Finds dependencies without a use, and uses that only tests make.
pub fn check(tree: &Tree) -> Vec<Finding> {
    look(tree, EXCEPTIONS)
}

fn look(tree: &Tree, exceptions: &[Exception]) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut excused = BTreeSet::new();
    let mut taken = BTreeSet::new();
    let own_names = own_names(tree);
    let manifests = tree.texts.iter().filter_map(|(path, text)| Some((path, path.strip_suffix("/Cargo.toml")?, text)));
    for (path, folder, text) in manifests {
        let add = |line, message| Finding { rule: RULE, file: path.clone(), line, message };
        let dependencies = match manifest::dependencies(text) {
            Ok(dependencies) => dependencies,
            Err(error) => {
                out.push(add(1, format!("cannot be read: {error}")));
                continue;
            }
        };
        let used = Used::by(tree, folder);
        taken.extend(dependencies.iter().map(|dependency| dependency.name.clone()));
        for dependency in &dependencies {
            let name = own_names.get(&dependency.name).cloned().unwrap_or_else(|| dependency.name.replace('-', "_"));
            let Some(message) = problem(dependency, &name, &dependencies, &used) else { continue };
            let key = format!("{folder}: {}", dependency.name);
            match exceptions.iter().find(|(excepted, _)| *excepted == key) {
                Some((excepted, _)) => {
                    excused.insert(*excepted);
                }
                None => out.push(add(dependency.line, message)),
            }
        }
    }
    let shared = tree.texts.get("Cargo.toml").and_then(|text| manifest::shared_dependencies(text).ok());
    for (name, line) in shared.unwrap_or_default().into_iter().filter(|(name, _)| !taken.contains(name)) {
        let message = format!("`{name}` is taken by no package of the workspace");
        out.push(Finding { rule: RULE, file: "Cargo.toml".to_owned(), line, message });
    }
    for (key, _) in exceptions.iter().filter(|(key, _)| !excused.contains(key)) {
        let (folder, name) = key.split_once(": ").unwrap_or((key, ""));
        let path = format!("{folder}/Cargo.toml");
        if tree.texts.contains_key(&path) {
            let message = format!("the exception for `{name}` is no longer needed");
            out.push(Finding { rule: RULE, file: path, line: 1, message });
        }
    }
    out
}

/// Which crates the files of a package name.
struct Used {
    code: BTreeSet<String>,
    tests: BTreeSet<String>,
    build: BTreeSet<String>,
}

impl Used {
    fn by(tree: &Tree, folder: &str) -> Self {
        let mut used = Self { code: BTreeSet::new(), tests: BTreeSet::new(), build: BTreeSet::new() };
        // A package in a folder of this one (a fuzz target) has its own manifest.
        let is_package = |path: &str| tree.texts.contains_key(&format!("{path}/Cargo.toml"));
        for source in &tree.sources {
            let Some(rest) = source.path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')) else { continue };
            let top = rest.split('/').next().unwrap_or_default();
            if rest.contains('/') && is_package(&format!("{folder}/{top}")) {
                continue;
            }
            let is_code = top == "src" || (top == "fuzz_targets" && folder.ends_with("/fuzz"));
            let (code, tests) = match (is_code, rest) {
                (true, _) => (&mut used.code, &mut used.tests),
                (false, "build.rs") => (&mut used.build, &mut used.tests),
                (false, _) => {
                    names(&source.module, true, &mut BTreeSet::new(), &mut used.tests);
                    continue;
                }
            };
            let is_test = rest.starts_with("src/") && (rest.ends_with("/tests.rs") || rest.contains("/tests/"));
            names(&source.module, is_test, code, tests);
        }
        used
    }
}

/// Crates that a module names: the first name of a path with several, or a whole `use`.
fn names(module: &Module, is_test: bool, code: &mut BTreeSet<String>, tests: &mut BTreeSet<String>) {
    let is_test = is_test || module.is_test;
    let is_own = |name: &str| {
        module.children.iter().any(|child| child.name == name) || module.inline.iter().any(|inner| inner.name == name)
    };
    let uses = module.uses.iter().map(|used| (&used.segments, used.is_test));
    let paths = module.paths.keys().filter(|path| path.segments.len() > 1);
    for (segments, is_for_tests) in uses.chain(paths.map(|path| (&path.segments, path.is_test))) {
        if let Some(first) = segments.first().filter(|first| !is_own(first)) {
            let set = if is_test || is_for_tests { &mut *tests } else { &mut *code };
            set.insert(first.clone());
        }
    }
    for inner in &module.inline {
        names(inner, is_test, code, tests);
    }
}

/// What is wrong with a dependency.
fn problem(dependency: &Dependency, name: &str, all: &[Dependency], used: &Used) -> Option<String> {
    let shown = &dependency.name;
    match dependency.table {
        "build-dependencies" if !used.build.contains(name) => Some(format!("`{shown}` is used by no line of build.rs")),
        "build-dependencies" => None,
        "dev-dependencies" => {
            // Beside the dependency of the same name it adds features.
            let is_feature = all.iter().any(|other| other.table == "dependencies" && other.name == *shown);
            let is_used = is_feature || used.tests.contains(name);
            (!is_used).then(|| format!("`{shown}` is used by no test and no bench"))
        }
        _ if used.code.contains(name) => None,
        _ if used.tests.contains(name) => {
            Some(format!("`{shown}` is used by tests only: it belongs to dev-dependencies"))
        }
        _ => Some(format!("`{shown}` is used by no line")),
    }
}

/// What code calls our own packages: their libraries may have a name of their own.
fn own_names(tree: &Tree) -> BTreeMap<String, String> {
    let folders = tree.texts.keys().filter_map(|path| path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml"));
    let folders = folders.filter(|folder| !folder.contains('/'));
    folders.filter_map(|f| Some((manifest::package_name(tree, f)?, manifest::library_name(tree, f)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(manifest: &str, files: &[(&str, &str)]) -> Vec<String> {
        let mut all = vec![("crates/new/Cargo.toml", manifest)];
        all.extend(files);
        let found = look(&Tree::with(&all), &[]);
        found.into_iter().map(|finding| format!("{}: {}", finding.line, finding.message)).collect()
    }

    #[test]
    fn an_exception_holds_as_long_as_it_is_needed() {
        let messages = |code: &str| -> Vec<String> {
            let manifest = ("crates/new/Cargo.toml", "[dependencies]\nrustls = \"1\"\n");
            let tree = Tree::with(&[manifest, ("crates/new/src/lib.rs", code)]);
            let exceptions: &[Exception] = &[("crates/new: rustls", "its features")];
            look(&tree, exceptions).into_iter().map(|finding| finding.message).collect()
        };
        assert_eq!(messages(""), [""; 0]);
        assert_eq!(messages("use rustls::A;"), ["the exception for `rustls` is no longer needed"]);
    }

    const BOTH: &str =
        "[package]\nname = \"new\"\n[dependencies]\nserde-json = \"1\"\n[dev-dependencies]\ninsta = \"1\"\n";

    #[test]
    fn what_no_line_uses_is_found_with_its_line() {
        let wanted = ["4: `serde-json` is used by no line", "6: `insta` is used by no test and no bench"];
        assert_eq!(problems(BOTH, &[("crates/new/src/lib.rs", "fn serde_json() {}")]), wanted);
    }

    #[test]
    fn a_use_in_a_path_a_macro_or_an_attribute_counts() {
        let test = ("crates/new/tests/it/main.rs", "fn f() { insta::assert_snapshot!(x) }");
        for code in [
            "use serde_json::Value;",
            "use serde_json;",
            "fn f() { serde_json::to_string(x) }",
            "fn f() { say!(serde_json::to_string(x)) }",
            "#[serde(with = \"serde_json::text\")] struct A;",
        ] {
            assert_eq!(problems(BOTH, &[("crates/new/src/lib.rs", code), test]), [""; 0], "{code}");
        }
    }

    #[test]
    fn what_only_tests_use_belongs_to_the_tests() {
        let code = "#[cfg(test)] mod tests { use serde_json::Value; use insta::x; }";
        let wanted = ["4: `serde-json` is used by tests only: it belongs to dev-dependencies"];
        assert_eq!(problems(BOTH, &[("crates/new/src/lib.rs", code)]), wanted);
    }

    #[test]
    fn what_the_workspace_lists_is_taken_by_a_package() {
        let shared = "[workspace.dependencies]\nserde-json = \"1\"\ninsta = \"1\"\nuuid = { version = \"1\" }\n";
        let code = "use serde_json::Value; #[cfg(test)] mod tests { use insta::x; }";
        let found = problems(BOTH, &[("crates/new/src/lib.rs", code), ("Cargo.toml", shared)]);
        assert_eq!(found, ["4: `uuid` is taken by no package of the workspace"]);
    }

    #[test]
    fn a_dev_dependency_may_add_features_and_a_module_is_no_crate() {
        let manifest =
            "[dependencies]\nurl = \"2\"\n[dev-dependencies]\nurl = { version = \"2\", features = [\"x\"] }\n";
        assert_eq!(problems(manifest, &[("crates/new/src/lib.rs", "use url::Url;")]), [""; 0]);
        assert_eq!(problems(manifest, &[("crates/new/src/lib.rs", "mod url; use url::Url;")]).len(), 1);
    }
}
