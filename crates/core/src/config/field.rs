//! What is known about a key before any file is read.

use serde_json::Value as Json;

use super::change::Change;

/// A key that a map knows.
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    /// Older spellings.
    pub aliases: &'static [&'static str],
    pub is_required: bool,
    /// In YAML.
    pub default: Option<&'static str>,
    pub doc: &'static str,
    pub example: &'static str,
    /// Whether a change of it may be applied without a signature.
    pub change: Change,
    /// The keys of the map that it holds, or that the items of its list are.
    pub keys: &'static [Field],
    /// Its default as [`super::decode::Decode::to_json`] writes it; null without one.
    pub default_json: fn() -> Json,
}

/// The key that a field of a [`crate::yaml_map`] is about. `at_key` is the key `at`: the field `at` says where the map stands.
/// A key that ends so itself has the ending twice: `api_key_key` is the key `api_key`.
#[must_use]
pub fn key_of(field: &'static str) -> &'static str {
    let name = field.trim_start_matches("r#");
    name.strip_suffix("_key").unwrap_or(name)
}

impl Field {
    #[must_use]
    pub fn name(&self) -> &'static str {
        key_of(self.name)
    }

    pub(super) fn is(&self, key: &str) -> bool {
        self.name() == key || self.aliases.contains(&key)
    }

    /// The first sentence of its documentation, without its full stop and with a small letter.
    pub(super) fn summary(&self) -> String {
        let first = self.doc.trim().split([';', '\n']).next().unwrap_or("");
        let first =
            first.split(". ").next().unwrap_or("").split(": ").next().unwrap_or("").trim_end_matches('.').trim();
        let mut chars = first.chars();
        chars.next().map_or_else(String::new, |c| c.to_lowercase().chain(chars).collect())
    }

    /// What its documentation gives as an example (", as `x`"), else an example of its type.
    pub(super) fn example(&self) -> &'static str {
        let named = self.doc.split_once(", as `").and_then(|(_, rest)| rest.split('`').next());
        named.unwrap_or(self.example)
    }
}
