//! Blanks what looks like a secret in a line of the file before it is shown. It errs on the side of blanking.

/// Key names (parts of them) whose value is never shown unless it is a `${...}` reference.
const SECRET_KEYS: &[&str] = &["token", "secret", "password", "passwd", "passphrase", "credential", "apikey", "sdkkey"];
const SECRET_KEY_TAILS: &[&str] = &["_key", "-key"];
/// Beginnings by which well-known secrets are recognised wherever they stand.
const SECRET_PREFIXES: &[&str] = &[
    "xoxb-",
    "xoxp-",
    "xapp-",
    "xoxa-",
    "sdk-",
    "sk-",
    "ghp_",
    "github_pat_",
    "glpat-",
    "AKIA",
    "eyJ",
    "whsec_",
    "pk_live",
    "sk_live",
];

/// True for a key that holds a secret.
pub(super) fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let squeezed: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
    key != "flag_key"
        && (SECRET_KEYS.iter().any(|part| squeezed.contains(part))
            || SECRET_KEY_TAILS.iter().any(|tail| key.ends_with(tail))
            || squeezed.ends_with("apikey"))
}

/// The line with the same number of characters, secrets as `*`, control characters as `.`.
pub(super) fn redact_line(line: &str) -> String {
    let chars: Vec<char> = line.chars().map(printable).collect();
    let mut hide = vec![false; chars.len()];
    hide_secret_values(&chars, &mut hide);
    hide_known_prefixes(&chars, &mut hide);
    hide_url_passwords(&chars, &mut hide);
    chars.iter().zip(&hide).map(|(c, hidden)| if *hidden && !c.is_whitespace() { '*' } else { *c }).collect()
}

/// Neither control characters nor marks that turn the direction of writing reach a terminal.
fn printable(c: char) -> char {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c == '\t' {
        ' '
    } else if c.is_control() || turns {
        '.'
    } else {
        c
    }
}

fn hide_range(hide: &mut [bool], from: usize, to: usize) {
    for flag in hide.iter_mut().take(to).skip(from) {
        *flag = true;
    }
}

/// `token: abc` and `{token: abc, x: y}`: everything behind the colon, since a secret may hold any character.
fn hide_secret_values(chars: &[char], hide: &mut [bool]) {
    for (at, _) in chars.iter().enumerate().filter(|(_, c)| **c == ':') {
        if !chars.get(at + 1).is_none_or(|next| next.is_whitespace() || *next == '"' || *next == '\'') {
            continue;
        }
        let key: String = chars.iter().take(at).collect();
        let key = key.trim_end().trim_end_matches(['"', '\'']);
        let key = key.rsplit(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).next().unwrap_or("");
        if !is_secret_key(key) {
            continue;
        }
        let rest: String = chars.iter().skip(at + 1).collect();
        let value = rest.trim().trim_matches(['"', '\'']);
        if is_plain_reference(value) {
            continue;
        }
        hide_range(hide, at + 1, chars.len());
    }
}

/// `${NAME}` or `${file:path}`, with nothing that could hold a secret itself.
fn is_plain_reference(value: &str) -> bool {
    let value = value.split(" #").next().unwrap_or("").trim().trim_end_matches([',', '}', '"', '\'', ' ']);
    value.strip_prefix("${").is_some_and(|name| !name.contains(":-") && !name.contains('$') && !name.contains(' '))
}

fn hide_known_prefixes(chars: &[char], hide: &mut [bool]) {
    for at in 0..chars.len() {
        let starts_word = at == 0 || chars.get(at - 1).is_some_and(|c| !c.is_alphanumeric() && *c != '_' && *c != '-');
        if !starts_word {
            continue;
        }
        for prefix in SECRET_PREFIXES {
            let n = prefix.chars().count();
            if chars.iter().skip(at).take(n).copied().eq(prefix.chars()) {
                let end = chars.iter().enumerate().skip(at).find(|(_, c)| !is_token_char(**c)).map(|(end, _)| end);
                let end = end.unwrap_or(chars.len());
                if end - at >= n + 8 {
                    hide_range(hide, at + n, end);
                }
            }
        }
    }
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+' | '=')
}

/// `://user:password@host`: the password, unless it is a reference.
fn hide_url_passwords(chars: &[char], hide: &mut [bool]) {
    let text: String = chars.iter().map(|c| if c.is_ascii() { *c } else { '?' }).collect();
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find("://")) {
        let start = from + found + 3;
        let rest = text.get(start..).unwrap_or("");
        let authority = rest.split([' ', '"', '\'', '<', '>']).next().unwrap_or("");
        if let Some((user, _)) = authority.rsplit_once('@')
            && let Some((name, password)) = user.split_once(':')
            && !is_plain_reference(password)
        {
            hide_range(hide, start + name.len() + 1, start + user.len());
        }
        from = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_secrets_and_keeps_columns() {
        for (line, shown) in [
            ("bot_token: xoxb-123", "bot_token: ********"),
            ("bot_token: \"${SLACK}\"", "bot_token: \"${SLACK}\""),
            ("secret: ${A:-hunter2}", "secret: *************"),
            ("  url: postgres://app:hunter2@db/x", "  url: postgres://app:*******@db/x"),
            ("  url: postgres://app:${PW}@db/x", "  url: postgres://app:${PW}@db/x"),
            ("title: sdk-0123456789abc", "title: sdk-*************"),
            ("{api_key: a,c}", "{api_key: ****"),
            ("flag_key: new-checkout", "flag_key: new-checkout"),
            ("a\u{202e}b\u{1b}c", "a.b.c"),
        ] {
            assert_eq!(redact_line(line), shown, "{line}");
        }
    }
}
