//! Keeping answers small: clients cut or hide what is longer, without saying so. We say so.

use serde_json::{Map, Value};

/// Bytes of an answer unless more is asked for.
pub(crate) const CONCISE: usize = 4_000;
/// Bytes that no answer exceeds.
pub(crate) const HARD: usize = 10_000;

/// Texts up to this many characters are never cut.
const SHORT_TEXT: usize = 240;

/// Length of the value as compact JSON, in bytes.
pub(crate) fn size(value: &Value) -> usize {
    value.to_string().len()
}

/// Takes out everything that is null, at every depth.
pub(crate) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, without_nulls(v))).collect())
        }
        Value::Array(items) => items.into_iter().filter(|v| !v.is_null()).map(without_nulls).collect(),
        other => other,
    }
}

/// Shortens the longest texts and lists until the value fits; what is left out is counted: texts say how many characters
/// follow, and beside a shortened list `things` stands `n_more_things`.
pub(crate) fn fit(value: &mut Value, budget: usize) {
    // Each round halves something, so this ends long before the limit of rounds.
    for _ in 0..2_000 {
        if size(value) <= budget {
            return;
        }
        let longest = longest_text(value);
        let texts_weigh_most = longest > SHORT_TEXT && longest * 4 > size(value).saturating_sub(budget).min(2_000);
        if (texts_weigh_most && cut_text(value, longest)) || cut_list(value) || cut_text(value, longest) {
            continue;
        }
        break;
    }
    if size(value) > budget {
        *value = serde_json::json!({ "note": "the answer is too large; request less" });
    }
}

fn longest_text(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.iter().map(longest_text).max().unwrap_or(0),
        Value::Object(map) => map.values().map(longest_text).max().unwrap_or(0),
        _ => 0,
    }
}

/// Halves the first text of `length` characters.
fn cut_text(value: &mut Value, length: usize) -> bool {
    match value {
        Value::String(text) if length > SHORT_TEXT && text.chars().count() == length => {
            let keep = (length / 2).max(SHORT_TEXT - 40);
            let (kept, before) = match text.rsplit_once(" ... (+") {
                Some((kept, tail)) => (kept, tail.split(' ').next().and_then(|n| n.parse::<usize>().ok()).unwrap_or(0)),
                None => (text.as_str(), 0),
            };
            let n_kept = kept.chars().count();
            let shown: String = kept.chars().take(keep.min(n_kept)).collect();
            let missing = before + n_kept.saturating_sub(keep);
            *text = format!("{shown} ... (+{missing} characters)");
            true
        }
        Value::Array(items) => items.iter_mut().any(|item| cut_text(item, length)),
        Value::Object(map) => map.values_mut().any(|item| cut_text(item, length)),
        _ => false,
    }
}

/// Halves the heaviest list that holds no list which could be halved itself.
fn cut_list(value: &mut Value) -> bool {
    let heaviest = heaviest_list(value);
    heaviest > 0 && halve(value, heaviest)
}

fn is_cuttable(key: &str) -> bool {
    !matches!(key, "next_actions" | "valid")
}

fn heaviest_list(value: &Value) -> usize {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| is_cuttable(key))
            .map(|(_, item)| match item {
                Value::Array(items) => {
                    let inner = items.iter().map(heaviest_list).max().unwrap_or(0);
                    if inner == 0 && items.len() > 1 { size(item) } else { inner }
                }
                other => heaviest_list(other),
            })
            .max()
            .unwrap_or(0),
        Value::Array(items) => items.iter().map(heaviest_list).max().unwrap_or(0),
        _ => 0,
    }
}

fn halve(value: &mut Value, weight: usize) -> bool {
    match value {
        Value::Object(map) => {
            let found = map.iter().find_map(|(key, item)| match item {
                Value::Array(items)
                    if is_cuttable(key)
                        && items.len() > 1
                        && items.iter().all(|item| heaviest_list(item) == 0)
                        && size(item) == weight =>
                {
                    Some((key.clone(), items.len() / 2))
                }
                _ => None,
            });
            match found {
                Some((key, keep)) => shorten(map, &key, keep),
                None => map.iter_mut().any(|(key, item)| is_cuttable(key) && halve(item, weight)),
            }
        }
        Value::Array(items) => items.iter_mut().any(|item| halve(item, weight)),
        _ => false,
    }
}

fn shorten(map: &mut Map<String, Value>, key: &str, keep: usize) -> bool {
    let Some(Value::Array(items)) = map.get_mut(key) else { return false };
    let dropped = items.len().saturating_sub(keep);
    items.truncate(keep);
    let counter = format!("n_more_{key}");
    let before = map.get(&counter).and_then(Value::as_u64).unwrap_or(0);
    map.insert(counter, Value::from(before + dropped as u64));
    dropped > 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nulls_vanish_at_every_depth() {
        assert_eq!(
            without_nulls(json!({ "a": null, "b": [null, { "c": null, "d": 1 }] })),
            json!({ "b": [{ "d": 1 }] })
        );
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let mut value = json!({ "a": [1, 2, 3] });
        fit(&mut value, 100);
        assert_eq!(value, json!({ "a": [1, 2, 3] }));
    }

    #[test]
    fn a_long_list_says_how_much_is_missing() {
        let mut value = json!({ "paths": (0..1000).map(|n| format!("src/file_{n}.rs")).collect::<Vec<_>>() });
        fit(&mut value, 1_000);
        let kept = value["paths"].as_array().unwrap().len() as u64;
        assert_eq!(kept + value["n_more_paths"].as_u64().unwrap(), 1000);
        assert!(size(&value) <= 1_000);
    }

    #[test]
    fn a_long_text_says_how_much_is_missing() {
        let mut value = json!({ "statement_says": "ä".repeat(4000) });
        fit(&mut value, 1_000);
        let text = value["statement_says"].as_str().unwrap();
        let kept = text.chars().filter(|c| *c == 'ä').count();
        assert!(text.ends_with(&format!(" ... (+{} characters)", 4000 - kept)), "{text}");
        assert!(size(&value) <= 1_000);
    }

    #[test]
    fn every_shape_fits_in_the_end() {
        let wide: Map<String, Value> = (0..5000).map(|n| (format!("k{n}"), json!("v"))).collect();
        let nested = json!({ "a": (0..50).map(|_| json!({ "b": (0..50).map(|_| "x".repeat(300)).collect::<Vec<_>>() })).collect::<Vec<_>>() });
        for mut value in [Value::Object(wide), nested, json!("x".repeat(100_000)), json!([["y".repeat(9000)]])] {
            fit(&mut value, 2_000);
            assert!(size(&value) <= 2_000);
        }
    }
}
