//! Where a value of the file holds references, and to what.

use super::secret_error::SecretError;
use crate::sealing::is_secret_name;

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part<'t> {
    Plain(&'t str),
    Var { name: &'t str, default: Option<&'t str> },
    File { path: &'t str },
    Secret { name: &'t str },
    Keyring { name: &'t str },
}

/// Splits a value at its references.
pub(super) fn parts(text: &str) -> Result<Vec<Part<'_>>, SecretError> {
    let malformed = |problem: &str| SecretError::Malformed { problem: problem.to_owned() };
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if !before.is_empty() {
            out.push(Part::Plain(before));
        }
        let (inside, behind) = after.split_once('}').ok_or_else(|| malformed("`${` is not closed by `}`"))?;
        out.push(part(inside)?);
        rest = behind;
    }
    if !rest.is_empty() {
        out.push(Part::Plain(rest));
    }
    Ok(out)
}

fn part(inside: &str) -> Result<Part<'_>, SecretError> {
    let malformed = |problem: &str| SecretError::Malformed { problem: problem.to_owned() };
    if let Some(path) = inside.strip_prefix("file:") {
        return match path.trim() {
            "" => Err(malformed("`${file:}` names no file")),
            path => Ok(Part::File { path }),
        };
    }
    let named = |kind: &str, name| match is_secret_name(name) {
        true => Ok(name),
        false => Err(malformed(&format!("`${{{kind}:}}` names no secret: a name has letters, digits and `_`"))),
    };
    if let Some(name) = inside.strip_prefix("secret:") {
        return Ok(Part::Secret { name: named("secret", name)? });
    }
    if let Some(name) = inside.strip_prefix("keyring:") {
        return Ok(Part::Keyring { name: named("keyring", name)? });
    }
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name {
        Ok(Part::Var { name, default })
    } else {
        Err(malformed("there is no variable name between `${` and `}`"))
    }
}

/// Names of the stored secrets that a text refers to, such as settings as JSON: those of the store, and those of the keyring.
///
/// A name that is none is not found here: whoever resolves the text says so.
#[must_use]
pub fn stored_names(text: &str) -> (Vec<&str>, Vec<&str>) {
    let of = |kind: &str| {
        let mut names: Vec<&str> = text
            .split(kind)
            .skip(1)
            .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
            .filter(|name| is_secret_name(name))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    (of("${secret:"), of("${keyring:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_stored_secrets_are_found_in_settings() {
        let settings = serde_json::json!({
            "url": "postgres://app:${secret:PW}@${HOST:-db}/x", "token": "${keyring:TOKEN}",
            "headers": ["${secret:A1}", "${secret:PW}", "${secret:a b}", "${secret:open"],
        });
        assert_eq!(stored_names(&settings.to_string()), (vec!["A1", "PW"], vec!["TOKEN"]));
        assert_eq!(stored_names("${file:secret:A}"), (vec![], vec![]));
    }
}
