//! References inside of the address of a database: what a variable holds is a part of the address and no syntax of it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::reference::{Part, parts};
use crate::error::Result;

/// What means itself in every part of an address.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const IN_PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// Stands for a reference while the address is looked at.
const PLACE: char = '\0';

/// The address with its references replaced, each by what `resolve` says of it alone. In user, password, path and query a value is
/// percent-encoded, so that a password may hold any character; one that is the whole address, or its scheme or host, is taken as it is.
///
/// # Errors
/// What `resolve` says, and for a malformed reference.
pub fn resolve_address(text: &str, resolve: &dyn Fn(&str) -> Result<SecretString>) -> Result<SecretString> {
    let parts = parts(text)?;
    let template: String = parts.iter().map(|part| if let Part::Plain(plain) = part { plain } else { "\0" }).collect();
    let mut places = template.match_indices(PLACE).map(|(at, _)| set_at(&template, at));
    let mut out = Zeroizing::new(String::new());
    for part in &parts {
        let reference = match part {
            Part::Plain(plain) => {
                out.push_str(plain);
                continue;
            }
            Part::Var { name, default: None } => format!("${{{name}}}"),
            Part::Var { name, default: Some(default) } => format!("${{{name}:-{default}}}"),
            Part::File { path } => format!("${{file:{path}}}"),
            Part::Secret { name } => format!("${{secret:{name}}}"),
            Part::Keyring { name } => format!("${{keyring:{name}}}"),
        };
        let value = resolve(&reference)?;
        match places.next().flatten() {
            Some(set) => {
                for piece in utf8_percent_encode(value.expose_secret(), set) {
                    out.push_str(piece);
                }
            }
            None => out.push_str(value.expose_secret()),
        }
    }
    Ok(SecretString::from(out.as_str()))
}

/// What is encoded at a place of the template; `None` where a value is taken as it is.
fn set_at(template: &str, at: usize) -> Option<&'static AsciiSet> {
    let authority = template.find("://")? + "://".len();
    if at < authority {
        return None;
    }
    let rest = template.get(authority..)?;
    let end = authority + rest.find(['/', '?', '#']).unwrap_or(rest.len());
    if at < end {
        let user_end = template.get(authority..end)?.rfind('@').map(|found| authority + found);
        return user_end.filter(|user_end| at < *user_end).map(|_| UNRESERVED);
    }
    let is_in_query = template.get(end..at).is_some_and(|before| before.contains('?'));
    Some(if is_in_query { UNRESERVED } else { IN_PATH })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> String {
        let resolve = |reference: &str| {
            let value = match reference {
                "${PW}" => "p@s/s:w%41#?ä 'x",
                "${DB}" => "my db",
                "${HOST}" => "db.example.com:5433",
                "${URL}" => "postgres://app:p%40ss@db.example.com/x",
                "${file:pw}" => "a${HOME}b",
                "${USER_NAME:-app}" => "app",
                "${secret:PW}" => "p@s",
                "${keyring:PW}" => "k/y",
                other => panic!("{other}"),
            };
            Ok(SecretString::from(value))
        };
        resolve_address(text, &resolve).unwrap().expose_secret().to_owned()
    }

    #[test]
    fn a_password_may_hold_any_character_and_a_whole_address_is_taken_as_it_is() {
        for (text, want) in [
            (
                "postgres://app:${PW}@${HOST}/x",
                "postgres://app:p%40s%2Fs%3Aw%2541%23%3F%C3%A4%20%27x@db.example.com:5433/x",
            ),
            ("postgres://${USER_NAME:-app}:${file:pw}@db/${DB}", "postgres://app:a%24%7BHOME%7Db@db/my%20db"),
            ("mysql://db/x?password=${PW}", "mysql://db/x?password=p%40s%2Fs%3Aw%2541%23%3F%C3%A4%20%27x"),
            ("postgres://app:${secret:PW}@db/x?token=${keyring:PW}", "postgres://app:p%40s@db/x?token=k%2Fy"),
            ("${URL}", "postgres://app:p%40ss@db.example.com/x"),
            ("sqlite:${DB}", "sqlite:my db"),
        ] {
            assert_eq!(resolved(text), want, "{text}");
        }
    }
}
