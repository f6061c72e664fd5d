//! Whether a passphrase can be guessed.

use secrecy::{ExposeSecret, SecretString};
use zxcvbn::zxcvbn;

use super::seal::SealError;

/// Shortest passphrase, in characters.
pub const MIN_PASSPHRASE_CHARS: usize = 10;

/// Guesses that a passphrase must withstand, as a power of ten. A guess costs an attacker who has the sealed key about 0.3 s of one
/// core and the memory of one derivation; at 10^10 of them a thousand cores are busy for weeks.
const MIN_GUESSES_LOG10: f64 = 10.0;

/// Words that everybody tries for this program.
const OF_THIS_PROGRAM: [&str; 5] = ["outcome", "runtime", "outcome-runtime", "passphrase", "experiment"];

/// Refuses passphrases that are easily guessed: common ones, patterns, and what is made of `known`, such as the member's e-mail and the
/// workspace's name.
///
/// # Errors
/// [`SealError::Weak`] with the reason.
pub fn check_passphrase(passphrase: &SecretString, known: &[&str]) -> Result<(), SealError> {
    let text = passphrase.expose_secret();
    let n_chars = text.chars().count();
    if n_chars < MIN_PASSPHRASE_CHARS {
        return Err(SealError::Weak(format!(
            "it has {n_chars} characters, at least {MIN_PASSPHRASE_CHARS} are needed; several words are easy to remember"
        )));
    }
    let mut words: Vec<&str> = OF_THIS_PROGRAM.to_vec();
    for known in known {
        words.push(known);
        words.extend(known.split(|c: char| !c.is_alphanumeric()).filter(|part| part.chars().count() > 2));
    }
    let found = zxcvbn(text.trim(), &words);
    if found.guesses_log10() >= MIN_GUESSES_LOG10 {
        return Ok(());
    }
    let why = found.feedback().and_then(zxcvbn::feedback::Feedback::warning).map(|warning| warning.to_string());
    let why = why.map_or_else(|| "it can be guessed".to_owned(), |why| lower_first(why.trim_end_matches('.')));
    Err(SealError::Weak(why))
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), SealError> {
        check_passphrase(&SecretString::from(text), &["dana.lee@example.com", "Dana Lee", "checkout-shop"])
    }

    #[test]
    fn what_everybody_tries_first_is_refused() {
        for weak in [
            "short",
            "password12",
            "1234567890",
            "qwertyuiop",
            "passphrase",
            "outcome-runtime",
            "abcde     ",
            "aaaaaaaaaaaaaaaa",
            "dana.lee@example.com",
            "danaleedanalee",
            "checkout-shop",
            "Checkout-Shop1",
            "iloveyou2026",
            "P@ssw0rd!!",
        ] {
            assert!(matches!(check(weak), Err(SealError::Weak(_))), "{weak} is taken");
        }
    }

    #[test]
    fn several_words_are_strong_enough_in_any_language() {
        for strong in [
            "violet tractor crosses seven quiet lakes",
            "correct horse battery staple",
            "wüste lampe gabel morgentau",
            "ペン 夏 山 青い 電車 猫 月",
            "kT9#vq2!Lx7m",
        ] {
            assert_eq!(check(strong), Ok(()), "{strong}");
        }
    }

    #[test]
    fn a_reason_never_holds_the_passphrase() {
        let reason = check("password12").unwrap_err().to_string();
        assert!(!reason.contains("password12") && reason.contains("too weak"), "{reason}");
    }
}
