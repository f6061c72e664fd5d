//! Did you mean ...?

/// The nearest of the known names, if one is near.
pub(super) fn did_you_mean<'k>(typed: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let typed = normal(typed);
    if typed.len() > 80 {
        return None;
    }
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&typed, &normal(name)), name))
        .filter(|(distance, name)| *distance <= (name.len().max(typed.len()) / 3).clamp(1, 4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
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
        out.push_str(&if c == '-' || c == ' ' { "_".to_owned() } else { c.to_lowercase().to_string() });
    }
    out
}
