//! Did you mean ...?

/// The nearest of the known names, if one is near.
pub fn did_you_mean<'k>(typed: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let typed = normal(typed);
    if typed.len() > 40 {
        return None;
    }
    let limit = |name: &str| (name.len().max(typed.len()) / 3).clamp(1, 4);
    known
        .into_iter()
        .filter(|name| name.len().abs_diff(typed.len()) <= limit(name))
        .map(|name| (strsim::damerau_levenshtein(&typed, &normal(name)), name))
        .filter(|(distance, name)| *distance <= limit(name))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// True for two spellings of one name.
pub fn same_name(one: &str, other: &str) -> bool {
    normal(one) == normal(other)
}

/// `maxConcurrent`, `max-concurrent` and `Max_Concurrent` are all `max_concurrent`.
fn normal(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut was_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && was_lower {
            out.push('_');
        }
        was_lower = c.is_lowercase();
        if c == '-' || c == ' ' {
            out.push('_');
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}
