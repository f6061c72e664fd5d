//! What third parties say, made fit to be kept: without our secrets, on one line, at most 500 characters.

use secrecy::{ExposeSecret, SecretString};

/// Longest text of a third party that is kept, in characters.
const MAX_CHARS: usize = 500;

/// Knows the secrets of one third party and takes them out of its texts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Redactor {
    secrets: Vec<SecretString>,
}

impl Redactor {
    /// A redactor for these secrets; empty ones are ignored.
    pub(crate) fn new(secrets: impl IntoIterator<Item = SecretString>) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().filter(|secret| !secret.expose_secret().is_empty()).collect();
        // The longest first: a password that is part of an address must not spoil the match of the whole address.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
        Self { secrets }
    }

    /// As [`Self::clean`], with the line's indentation kept.
    pub(crate) fn clean_line(&self, line: &str) -> String {
        let indent = line.chars().take_while(|c| *c == ' ').take(40).count();
        format!("{}{}", " ".repeat(indent), self.clean(line))
    }

    /// The text without secrets and control characters, on one line, cut.
    pub(crate) fn clean(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in &self.secrets {
            out = out.replace(secret.expose_secret(), "[redacted]");
        }
        let out = out.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
        let out = out.collect::<Vec<_>>().join(" ");
        match out.char_indices().nth(MAX_CHARS) {
            Some((end, _)) => format!("{}...", out.get(..end).unwrap_or_default()),
            None => out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_out_every_secret_also_when_one_contains_another() {
        let redactor = Redactor::new(["hunter2", "postgres://u:hunter2@h/db", ""].map(SecretString::from));
        assert_eq!(
            redactor.clean("cannot open postgres://u:hunter2@h/db\n\twith `hunter2`"),
            "cannot open [redacted] with `[redacted]`"
        );
    }

    #[test]
    fn cuts_at_characters_not_bytes() {
        let cut = Redactor::default().clean(&"é".repeat(600));
        assert_eq!(cut.chars().count(), 503);
    }
}
