//! What the rules read of a `Cargo.toml`.

use toml_edit::{Document, DocumentMut, Item, TableLike, TomlError};

use super::tree::Tree;

/// The name under which other crates use the library of `crates/<folder>`.
pub fn library_name(tree: &Tree, folder: &str) -> String {
    let name = tree.texts.get(&format!("crates/{folder}/Cargo.toml")).and_then(|text| {
        let manifest: DocumentMut = text.parse().ok()?;
        let name = |table: &str| manifest.get(table)?.get("name")?.as_str().map(ToOwned::to_owned);
        name("lib").or_else(|| name("package"))
    });
    name.unwrap_or_else(|| folder.to_owned()).replace('-', "_")
}

/// A dependency of a package.
#[derive(Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Its table: `dependencies`, `dev-dependencies`, `build-dependencies`.
    pub table: &'static str,
    /// Its name there.
    pub name: String,
    /// Its line.
    pub line: usize,
}

/// The dependencies of a package.
pub fn dependencies(text: &str) -> Result<Vec<Dependency>, TomlError> {
    let manifest: Document<&str> = Document::parse(text)?;
    let mut out = Vec::new();
    let root = manifest.as_table();
    let targets = root.get("target").and_then(Item::as_table_like).into_iter().flat_map(|found| found.iter());
    let targets = targets.filter_map(|(_, target)| target.as_table_like());
    for parent in std::iter::once(root as &dyn TableLike).chain(targets) {
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(found) = parent.get(table).and_then(Item::as_table_like) else { continue };
            let rows = rows(found, text);
            out.extend(rows.into_iter().map(|(name, line)| Dependency { table, name, line }));
        }
    }
    Ok(out)
}

/// What the workspace's manifest lists for its packages, with lines.
pub fn shared_dependencies(text: &str) -> Result<Vec<(String, usize)>, TomlError> {
    let manifest: Document<&str> = Document::parse(text)?;
    let found = manifest.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    Ok(found.and_then(Item::as_table_like).map(|found| rows(found, text)).unwrap_or_default())
}

/// The keys of a table, with their lines.
fn rows(table: &dyn TableLike, text: &str) -> Vec<(String, usize)> {
    let line = |name: &str| {
        let start = table.key(name).and_then(|key| key.span()).map(|span| span.start)?;
        Some(text.get(..start)?.matches('\n').count() + 1)
    };
    table.iter().map(|(name, _)| (name.to_owned(), line(name).unwrap_or(1))).collect()
}

/// The name of the package in `crates/<folder>`.
pub fn package_name(tree: &Tree, folder: &str) -> Option<String> {
    let manifest: DocumentMut = tree.texts.get(&format!("crates/{folder}/Cargo.toml"))?.parse().ok()?;
    manifest.get("package")?.get("name")?.as_str().map(ToOwned::to_owned)
}
