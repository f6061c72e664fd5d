//! Whether two versions say the same about a workspace. Numbers, names, hashes and instants must be equal; sentences may be
//! put otherwise; what is new may be there too.

use serde_json::Value;

/// Fields that are called otherwise since: the old name, and the new one. An old name must stay readable where it is stored.
const RENAMED: &[(&str, &str)] = &[];

/// Words that are called otherwise since: the old one, and the new one.
const REWORDED: &[(&str, &str)] = &[];

/// Lists to which something may have been added: what was in them must still be there.
const GROWN: &[&str] = &["allowed", "health"];

/// Fields that are not compared: the path of the object they are in (`*` for any, `/*` for the items of a list), their name, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    // `experiment show`: it was there twice, once as a slug and once as an id.
    ("", "outcome"),
    // `learnings`: the same, and the experiment too.
    ("/*", "outcome"),
    ("/*", "experiment"),
    // Proof packs: the seal over everything else, sentences included.
    ("", "hash"),
    // `audit verify`: migrating adds lines to the log.
    ("", "head"),
    ("", "n_lines"),
    // It is judged on single days, which no program of before read (METRICS 6.3).
    ("*", "attainment"),
    // Some minutes of it are left to chance.
    ("*", "next_poll_at"),
];

/// Where `new` says something else than `old`, as sentences.
pub fn differences(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", old, new, &mut found);
    found
}

fn compare(path: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, old) in old.iter().filter(|(name, _)| !is_left_out(path, name)) {
                let later = RENAMED.iter().find(|(before, _)| before == name).map(|(_, later)| *later);
                let new = new.get(name).or_else(|| new.get(later?)).unwrap_or(&Value::Null);
                compare(&format!("{path}/{name}"), old, new, found);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() && !may_have_grown(path) => {
            for (i, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&format!("{path}/{i}"), old, new, found);
            }
        }
        (Value::Array(old), Value::Array(new))
            if may_have_grown(path) && old.iter().all(|item| new.iter().any(|new| has_grown(item, new))) => {}
        (Value::String(old), Value::String(new)) if is_same_text(old, new) => {}
        (Value::Number(old), Value::Number(new)) if old.as_f64() == new.as_f64() => {}
        (old, new) if old == new => {}
        _ => found.push(format!("{path} was {old} and is {new}")),
    }
}

/// The same, or a step that more kinds of principals may take: `paused_by_hand (human)` and `paused_by_hand (local, human)`.
fn has_grown(old: &Value, new: &Value) -> bool {
    let parts = |value: &Value| -> Option<(String, Vec<String>)> {
        let (step, who) = value.as_str()?.strip_suffix(')')?.split_once(" (")?;
        Some((step.to_owned(), who.split(", ").map(ToOwned::to_owned).collect()))
    };
    match (parts(old), parts(new)) {
        (Some((step, who)), Some((later, whoever))) if old != new => {
            step == later && who.iter().all(|kind| whoever.contains(kind))
        }
        _ => old == new,
    }
}

fn may_have_grown(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| GROWN.contains(&name))
}

fn is_left_out(path: &str, name: &str) -> bool {
    let is_item = path.strip_prefix('/').is_some_and(|at| at.parse::<usize>().is_ok());
    let is_there = |at: &str| at == "*" || at == path || (at == "/*" && is_item);
    LEFT_OUT.iter().any(|(at, field)| is_there(at) && *field == name)
}

fn is_same_text(old: &str, new: &str) -> bool {
    let is_sentence = old.contains(' ') && old.chars().any(char::is_lowercase);
    old == new || (is_sentence && !new.trim().is_empty()) || REWORDED.contains(&(old, new))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::differences;

    #[test]
    fn sentences_may_change_and_numbers_names_and_lists_may_not() {
        let old = json!({ "status": "killed", "p": 0.25, "why": "It is worse.", "arms": [1, 2], "gone": null });
        let fine = json!({ "status": "killed", "p": 0.25, "why": "Worse.", "arms": [1, 2], "more": true });
        assert_eq!(differences(&old, &fine), Vec::<String>::new());
        let wrong = json!({ "status": "paused", "p": 0.250_000_000_1, "why": "", "arms": [1] });
        assert_eq!(differences(&old, &wrong).len(), 4);
    }
}
