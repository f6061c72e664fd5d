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
