//! Names of states, types and recommendations as words.

/// A name as the first words of a line: `approve_with_conditions` is `Approve with conditions`.
#[must_use]
pub fn words(name: &str) -> String {
    let text = plain(name);
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}

/// A name within a sentence: `awaiting_launch_gate` is `awaiting launch gate`.
#[must_use]
pub fn plain(name: &str) -> String {
    name.replace('_', " ")
}

/// The plural of an English singular, near enough for what units and tables are called.
#[must_use]
pub fn plural(word: &str) -> String {
    match word {
        "person" => return "people".to_owned(),
        "news" | "series" => return word.to_owned(),
        _ => {}
    }
    if let Some(stem) = word.strip_suffix('y')
        && !stem.ends_with(['a', 'e', 'o', 'u'])
    {
        return format!("{stem}ies");
    }
    if ["s", "sh", "ch", "x"].iter().any(|ending| word.ends_with(ending)) {
        return format!("{word}es");
    }
    format!("{word}s")
}

/// Characters of a hash that are shown to people.
pub const HASH_PREFIX: usize = 12;

/// The beginning of a hash, which tells it from others.
#[must_use]
pub fn short(hash: &str) -> String {
    hash.chars().take(HASH_PREFIX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_words() {
        assert_eq!(words("approve_with_conditions"), "Approve with conditions");
        assert_eq!(plain("awaiting_launch_gate"), "awaiting launch gate");
        assert_eq!(words(""), "");
    }
}
