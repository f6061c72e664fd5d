//! What differs between two outcome files, and which differences may be applied without a signature.
//!
//! Each key declares it beside its type, in [`super::file`]; a list or map without such a declaration of its own parts is signed as
//! a whole. Values are compared as they are meant: a default that is written out, another spelling of a duration or a comment is no
//! difference.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::change::Change;
use super::field::Field;
use super::file::RootFile;
use super::redact::{is_reference, is_secret_key, redact_line};
use crate::domain::Period;

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Where, such as `outcomes.signup.target.to`.
    pub field: String,
    /// Id of the outcome that it belongs to.
    pub outcome: Option<String>,
    /// The value before; null for none. Secrets are blanked.
    pub from: Json,
    /// The value now.
    pub to: Json,
    /// True when a member must sign it.
    pub is_signed: bool,
}

/// The differences between what is applied (null for nothing) and what a file declares, by [`super::Config::declared`].
///
/// `is_draft`: whether the outcome with this id is stored as a draft, or not at all; what a draft says is signed when it is activated.
#[must_use]
pub fn differences(applied: &Json, wanted: &Json, is_draft: &dyn Fn(&str) -> bool) -> Vec<Difference> {
    let mut walk = Walk { is_draft, found: Vec::new() };
    walk.map(&Place::default(), RootFile::FIELDS, applied, wanted, false);
    walk.found
}

#[derive(Clone, Default)]
struct Place {
    path: String,
    outcome: Option<String>,
}

impl Place {
    fn below(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { path, outcome: self.outcome.clone() }
    }
}

struct Walk<'a> {
    is_draft: &'a dyn Fn(&str) -> bool,
    found: Vec<Difference>,
}

impl Walk<'_> {
    /// `is_signed`: a map or list around it is signed as a whole.
    fn map(&mut self, place: &Place, fields: &'static [Field], from: &Json, to: &Json, is_signed: bool) {
        for field in fields {
            let value = |map: &Json| match map.get(field.name()) {
                Some(value) if !value.is_null() => value.clone(),
                _ => (field.default_json)(),
            };
            self.key(&place.below(field.name()), field, &value(from), &value(to), is_signed);
        }
    }

    fn key(&mut self, place: &Place, field: &'static Field, from: &Json, to: &Json, is_signed: bool) {
        if from == to {
            return;
        }
        let is_signed_here = is_signed || field.change == Change::Signed;
        let are_lists = from.is_array() || to.is_array();
        if !field.keys.is_empty() && are_lists {
            return self.items(place, field, from, to, is_signed_here);
        }
        if !field.keys.is_empty() && (from.is_object() || to.is_object()) {
            return self.map(place, field.keys, from, to, is_signed_here);
        }
        let is_free = match field.change {
            Change::Free => true,
            Change::Shorter => period(to).zip(period(from)).is_some_and(|(to, from)| to < from),
            Change::Higher => is_higher(from, to),
            Change::More => is_within(from, to),
            Change::Fewer => is_within(to, from) && is_some(to) || !is_some(from),
            Change::Signed | Change::Within | Change::Each => false,
        };
        self.found_at(place, field.name(), from, to, is_signed || !is_free);
    }

    /// Items of a list of maps, by their names where they have any.
    fn items(&mut self, place: &Place, field: &'static Field, from: &Json, to: &Json, is_signed: bool) {
        let (from, to) = (by_name(from), by_name(to));
        let names: std::collections::BTreeSet<&String> = from.keys().chain(to.keys()).collect();
        for name in names {
            let mut place = place.below(name);
            let is_outcome = field.change == Change::Each;
            if is_outcome {
                place.outcome = Some(name.clone());
            }
            let is_draft = is_outcome && (self.is_draft)(name);
            match (from.get(name), to.get(name)) {
                (Some(from), Some(to)) if is_draft => self.draft(&place, field, from, to),
                (Some(from), Some(to)) => self.map(&place, field.keys, from, to, is_signed),
                (from, to) => {
                    let null = Json::Null;
                    let is_new_draft = from.is_none() && is_draft;
                    let (from, to) = (from.unwrap_or(&null), to.unwrap_or(&null));
                    self.found_at(&place, field.name(), from, to, is_signed || !is_new_draft);
                }
            }
        }
    }

    fn draft(&mut self, place: &Place, field: &'static Field, from: &Json, to: &Json) {
        let before = self.found.len();
        self.map(place, field.keys, from, to, false);
        for difference in self.found.iter_mut().skip(before) {
            difference.is_signed = false;
        }
    }

    fn found_at(&mut self, place: &Place, key: &str, from: &Json, to: &Json, is_signed: bool) {
        if from == to {
            return;
        }
        let (from, to) = (blanked(key, from), blanked(key, to));
        self.found.push(Difference { field: place.path.clone(), outcome: place.outcome.clone(), from, to, is_signed });
    }
}

fn period(value: &Json) -> Option<Period> {
    value.as_str()?.parse().ok()
}

fn is_higher(from: &Json, to: &Json) -> bool {
    match (from, to) {
        (Json::Number(from), Json::Number(to)) => to.as_f64() > from.as_f64(),
        // `A3` and `A4`.
        (Json::String(from), Json::String(to)) => to > from,
        _ => false,
    }
}

fn texts(value: &Json) -> Vec<&str> {
    value.as_array().map(|items| items.iter().filter_map(Json::as_str).collect()).unwrap_or_default()
}

fn is_some(list: &Json) -> bool {
    !texts(list).is_empty()
}

/// Every item of `small` is in `large`.
fn is_within(small: &Json, large: &Json) -> bool {
    let large_texts = texts(large);
    texts(small).iter().all(|item| large_texts.contains(item))
}

/// The items of a list of maps under their names; without names their places count.
fn by_name(list: &Json) -> std::collections::BTreeMap<String, Json> {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut named = std::collections::BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        let name = ["id", "name", "signal", "metric"].iter().find_map(|key| item.get(key).and_then(Json::as_str));
        let name = name.map_or_else(|| format!("{}", at + 1), ToOwned::to_owned);
        let name = if named.contains_key(&name) { format!("{name} {}", at + 1) } else { name };
        named.insert(name, item.clone());
    }
    named
}

/// The value with secrets blanked, which may stand in the file itself.
fn blanked(key: &str, value: &Json) -> Json {
    match value {
        Json::String(text) if is_secret_key(key) && !is_reference(text) => Json::from("(a secret, not shown)"),
        Json::String(text) => Json::from(text.lines().map(|line| redact_line(line, "")).collect::<Vec<_>>().join("\n")),
        Json::Array(items) => items.iter().map(|item| blanked(key, item)).collect(),
        Json::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), blanked(key, value))).collect::<Map<_, _>>().into()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => value.clone(),
    }
}
