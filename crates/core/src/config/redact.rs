//! Blanks what looks like a secret in a line of the file before it is shown. It errs on the side of blanking.

use super::suggest::did_you_mean;

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

/// Keys of secrets; a misspelt one counts too.
const SPELLINGS: &[&str] =
    &["bot_token", "signing_secret", "secret", "token", "api_key", "app_key", "sdk_key", "password", "service_account"];

/// Keys of the file that look like a misspelt [`SPELLINGS`] and hold no secret.
const HARMLESS: &[&str] = &[];

/// True for a key that holds a secret, or that looks like the misspelt name of one.
pub(super) fn is_secret_key(key: &str) -> bool {
    let is_flag_key = key.eq_ignore_ascii_case("flag_key");
    !is_flag_key
        && (names_a_secret(key) || (!HARMLESS.contains(&key) && did_you_mean(key, SPELLINGS.iter().copied()).is_some()))
}

fn names_a_secret(key: &str) -> bool {
    let small = key.to_ascii_lowercase();
    let squeezed: String = small.chars().filter(char::is_ascii_alphanumeric).collect();
    SECRET_KEYS.iter().any(|part| squeezed.contains(part)) || SECRET_KEY_TAILS.iter().any(|tail| small.ends_with(tail))
}

/// True for a text that is nothing but one reference without a default.
pub(super) fn is_reference(value: &str) -> bool {
    is_plain_reference(value.trim())
}

/// True for an address with a password of its own.
pub(super) fn has_url_password(value: &str) -> bool {
    let chars: Vec<char> = value.chars().collect();
    let mut hide = vec![false; chars.len()];
    hide_url_passwords(&chars, &mut hide);
    hide.contains(&true)
}

/// The line with the same number of characters, secrets as `*`, control characters as `.`. `before` is the line in
/// front of it, under whose key it may stand.
pub(super) fn redact_line(line: &str, before: &str) -> String {
    let chars: Vec<char> = line.chars().map(printable).collect();
    let mut hide = vec![false; chars.len()];
    hide_secret_values(&chars, &mut hide);
    hide_after_first_word(&chars, &mut hide);
    hide_known_prefixes(&chars, &mut hide);
    hide_url_passwords(&chars, &mut hide);
    if opens_secret(before) && !line.contains(": ") && !is_plain_reference(line.trim().trim_matches(['"', '\''])) {
        hide.fill(true);
    }
    chars.iter().zip(&hide).map(|(c, hidden)| if *hidden && !c.is_whitespace() { '*' } else { *c }).collect()
}

/// `token:` and `token: |`, whose value stands on the next line.
fn opens_secret(line: &str) -> bool {
    line.trim().trim_end_matches(['|', '>', '-', '+', ' ']).strip_suffix(':').is_some_and(|key| {
        is_secret_key(key.trim_start_matches(['-', ' ', '"', '\'']).trim_end_matches(['"', '\'', ' ']))
    })
}

/// `token abc`, where the colon was forgotten.
fn hide_after_first_word(chars: &[char], hide: &mut [bool]) {
    let begin = chars.iter().position(|c| !matches!(c, ' ' | '-' | '"' | '\'' | '{')).unwrap_or(chars.len());
    let word: String = chars.iter().skip(begin).take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-')).collect();
    let end = begin + word.chars().count();
    let rest: String = chars.iter().skip(end).collect();
    let value = rest.trim_start_matches([':', '=', '"', '\'', ' ']).trim_end_matches(['"', '\'', ' ']);
    if is_secret_key(&word) && !is_plain_reference(value) {
        let colon = chars.iter().enumerate().skip(end).take_while(|(_, c)| matches!(c, ':' | '"' | '\'' | ' ')).count();
        hide_range(hide, end + colon, chars.len());
    }
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
        hide_query_secrets(rest, start, hide);
        from = start;
    }
}

/// `?password=...` in an address.
fn hide_query_secrets(address: &str, start: usize, hide: &mut [bool]) {
    let address = address.split([' ', '"', '\'', '<', '>']).next().unwrap_or("");
    let mut at = 0;
    for pair in address.split_inclusive(['?', '&']) {
        if let Some((key, value)) = pair.split_once('=') {
            let value = value.trim_end_matches(['?', '&']);
            if at > 0 && is_secret_key(key) && !is_plain_reference(value) {
                let begin = start + at + key.len() + 1;
                hide_range(hide, begin, begin + value.len());
            }
        }
        at += pair.len();
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
            ("bot_tokn: hunter2", "bot_tokn: *******"),
            ("url: mysql://db/x?ssl=1&password=hunter2&x=1", "url: mysql://db/x?ssl=1&password=*******&x=1"),
            ("signing_secret hunter2", "signing_secret *******"),
            ("a\u{202e}b\u{1b}c", "a.b.c"),
        ] {
            assert_eq!(redact_line(line, ""), shown, "{line}");
        }
    }

    #[test]
    fn only_keys_that_name_a_secret_are_secret_among_the_known_ones() {
        let keys = crate::config::file::MAPS.iter().flat_map(|(_, fields)| fields.iter().map(|field| field.name()));
        let wrong: Vec<&str> =
            keys.filter(|key| *key != "flag_key" && is_secret_key(key) != names_a_secret(key)).collect();
        assert_eq!(wrong, [""; 0], "they belong in HARMLESS");
    }

    #[test]
    fn blanks_a_value_on_the_line_below_its_key() {
        for before in ["  bot_token:", "  - \"secret\": |", "token: >-"] {
            assert_eq!(redact_line("    hunter2", before), "    *******", "{before}");
        }
        assert_eq!(redact_line("    hunter2", "  title:"), "    hunter2");
    }
}
