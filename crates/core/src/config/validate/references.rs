//! Values that may hold `${...}` references, and values that must.

use super::report::{At, Problem, Reporter};
use crate::config::SecretError;
use crate::config::reference::{Part, parts};
use crate::config::secrets::{in_keyring, sealed};
use crate::sealing::KEY_VARIABLES;

/// Checks the references of a value; with an environment, also whether they can be resolved.
pub fn references(at: &At<String>, reporter: &mut Reporter<'_>) -> bool {
    let parts = match parts(&at.value) {
        Ok(parts) => parts,
        Err(error) => {
            reporter.push(
                Problem::error("config.malformed_reference", at.span, error.to_string())
                    .valid("`${NAME}`, `${NAME:-default}`, `${file:path}`, `${secret:NAME}`, `${keyring:NAME}`")
                    .help(unclosed_help(&at.value)),
            );
            return false;
        }
    };
    let leads_to_key = parts.iter().find_map(|part| match part {
        Part::Var { name, .. } if KEY_VARIABLES.contains(name) => Some(SecretError::IsKey { name: (*name).to_owned() }),
        _ => None,
    });
    if let Some(error) = leads_to_key {
        let problem = Problem::error("config.malformed_reference", at.span, error.to_string());
        reporter.push(problem.valid("any other variable, a file or a stored secret").help(error.hint()));
        return false;
    }
    let Some(env) = reporter.env() else { return true };
    let mut is_ok = true;
    for part in parts {
        let missing = match part {
            Part::File { path } if env.is_key_file(std::path::Path::new(path)) => {
                Some(SecretError::IsKey { name: path.to_owned() })
            }
            Part::Plain(_) | Part::Var { default: Some(_), .. } => None,
            Part::Var { name, default: None } => match env.var(name) {
                None => Some(SecretError::Unset { name: name.to_owned() }),
                Some(value) if value.is_empty() => Some(SecretError::Empty { name: name.to_owned() }),
                Some(_) => None,
            },
            Part::File { path } => {
                env.file(std::path::Path::new(path)).err().map(|cause| SecretError::File { path: path.into(), cause })
            }
            Part::Secret { name } => sealed(name, env).err(),
            Part::Keyring { name } => in_keyring(name, env).err(),
        };
        if let Some(error) = missing {
            let problem = Problem::error("config.unset_reference", at.span, error.to_string());
            reporter.push(
                problem
                    .valid("a variable, file or stored secret that exists when this program runs")
                    .help(error.hint()),
            );
            is_ok = false;
        }
    }
    is_ok
}

fn unclosed_help(value: &str) -> &'static str {
    if value.contains('}') {
        "a name has letters, digits and `_`: `${DATABASE_URL}`"
    } else {
        "close it: `${DATABASE_URL}`"
    }
}

/// Checks a value that is a secret: it must be one reference, without a default that would be a secret in the file.
pub fn secret(key: &str, example: &str, at: &At<String>, reporter: &mut Reporter<'_>) {
    let value = at.value.trim();
    let message = match parts(value) {
        Err(_) => {
            references(at, reporter);
            return;
        }
        Ok(parts) => match parts.as_slice() {
            [
                Part::Var { default: None | Some(""), .. }
                | Part::File { .. }
                | Part::Secret { .. }
                | Part::Keyring { .. },
            ] => {
                references(at, reporter);
                return;
            }
            [Part::Var { default: Some(_), .. }] => format!("the default of `{key}` is a secret written into the file"),
            _ => format!("`{key}` holds a secret written into the file"),
        },
    };
    reporter.push(
        Problem::error("config.literal_secret", at.span, message)
            .valid(format!(
                "a reference: `${{{example}}}`, `${{secret:{example}}}`, `${{keyring:{example}}}` or `${{file:path}}`"
            ))
            .help(format!(
                "put the secret into the environment and write `{key}: ${{{example}}}`;\n\
                 if this file was ever committed or shared, replace the secret: it is no longer secret"
            )),
    );
}

/// Checks that an address carries no password of its own.
pub fn no_inline_password(at: &At<String>, example: &str, reporter: &mut Reporter<'_>) {
    let Some((_, rest)) = at.value.split_once("://") else { return };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let user_info = rest.rsplit_once('@').map_or("", |(before, _)| before);
    let user_info =
        if authority.contains('@') { authority.rsplit_once('@').map_or("", |(user, _)| user) } else { user_info };
    let in_authority = user_info.split_once(':').is_some_and(|(_, password)| is_literal(password));
    let in_query = rest.split(['?', '&']).skip(1).any(|pair| {
        pair.split_once('=').is_some_and(|(key, value)| {
            matches!(key.to_ascii_lowercase().as_str(), "password" | "sslpassword" | "token" | "secret")
                && is_literal(value)
        })
    });
    if in_authority || in_query {
        reporter.push(
            Problem::error("config.literal_secret", at.span, "the address contains a password written into the file")
                .valid(format!(
                    "`${{{example}}}`, or an address whose password is a reference: `user:${{PASSWORD}}@host`"
                ))
                .help(format!(
                    "put the address into the environment and write `url: ${{{example}}}`;\n\
                     if this file was ever committed or shared, replace the password: it is no longer a secret"
                )),
        );
    }
}

/// Text that is there in the file, be it beside a reference or as its default.
fn is_literal(value: &str) -> bool {
    !value.is_empty()
        && !parts(value).is_ok_and(|parts| {
            parts.iter().all(|part| match part {
                Part::Var { default, .. } => default.is_none_or(str::is_empty),
                Part::File { .. } | Part::Secret { .. } | Part::Keyring { .. } => true,
                Part::Plain(_) => false,
            })
        })
}
