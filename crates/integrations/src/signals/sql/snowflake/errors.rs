//! What the service's refusals mean: its code, SQLSTATE and message.
//! <https://docs.snowflake.com/en/developer-guide/sql-api/handling-errors>
//!
//! **Invariant**: a message is shown only where the statement had not begun to run: of compiling it, of rights, of the sign-in. A message of
//! a running query can quote a value (`Numeric value 'ceo@...' is not recognized`).

use serde::Deserialize;

use super::super::dialect::Dialect;
use super::super::engine::{Class, EngineError, Said};
use super::super::wire::Answer;
use super::super::words;

/// A refusal.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Refusal {
    code: String,
    sql_state: String,
    message: String,
}

const NETWORK_POLICY: &str = "; a network policy does not let this address in, or the token's user has none: let in the address of this machine alone \
    (docs/connectors/snowflake.md)";

/// What a refusal is.
pub(super) fn of_answer(answer: &Answer, sent: &str) -> EngineError {
    let Refusal { code, sql_state, message } = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = if message.is_empty() { format!("status {}", answer.status) } else { message };
    match answer.status {
        401 | 403 => {
            let lower = text.to_lowercase();
            let is_policy = ["network policy", "not allowed to access", "ip address", "ip/token"]
                .iter()
                .any(|words| lower.contains(words));
            let detail = format!("{text}{}", if is_policy { NETWORK_POLICY } else { "" });
            Said::new(Class::Unauthorized, detail).into()
        }
        408 => EngineError::Timeout,
        422 => of_statement(&code, &sql_state, &text, sent),
        500.. => Said::new(Class::Unreachable, format!("status {}", answer.status)).into(),
        status => Said::new(
            Class::Value,
            format!("it answers with status {status}, and not as Snowflake's SQL API does"),
        )
        .hint("check that `url` is the address of the account, such as https://myorg-myaccount.snowflakecomputing.com")
        .into(),
    }
}

/// What a refusal of the statement is.
fn of_statement(code: &str, sql_state: &str, text: &str, sent: &str) -> EngineError {
    let ours = |class| Said::new(class, words::of_code(Dialect::Snowflake, sql_state, None));
    let is_compiling = text.starts_with("SQL compilation error") || code == "000008";
    let said = match (code, sql_state) {
        (_, "57014") | ("000604" | "000630", _) => return EngineError::Timeout,
        (_, "42501") | ("003001", _) => Said::new(Class::Unauthorized, text),
        ("000606", _) => Said::new(Class::Config, "no warehouse computes for it")
            .hint("check `warehouse`, which is written as Snowflake writes it, and that the role has USAGE on it"),
        _ if text.contains("resource monitor") => {
            Said::new(Class::Throttled(None), "a resource monitor has stopped the warehouse")
        }
        (_, "22012") => ours(Class::Value).hint("guard the division, as in `x / nullif(y, 0)`"),
        _ if is_compiling => Said {
            class: Class::Query,
            detail: without_place(text),
            hint: "run the query by hand with literal values for its parameters".to_owned(),
            position: position(text, sent),
        },
        _ => ours(Class::Query),
    };
    said.into()
}

/// The message without `error line 2 at position 4`.
fn without_place(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines = lines.map(|line| match line.split_once("error line ") {
        Some((before, rest)) => format!("{before}{}", rest.split_once('\n').map_or("", |(_, after)| after)),
        None => line.to_owned(),
    });
    let text = lines.collect::<Vec<_>>().join(" ");
    text.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

/// Line (from 1) and position (from 0) of `error line 2 at position 4`, as the place in what was sent, in characters from 1.
fn position(text: &str, sent: &str) -> Option<usize> {
    let (line, rest) = text.split_once("error line ")?.1.split_once(" at position ")?;
    let at: usize = rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    let line: usize = line.parse().ok()?;
    let before: usize = sent.lines().take(line.checked_sub(1)?).map(|line| line.chars().count() + 1).sum();
    Some(before + at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: &str, sql_state: &str, text: &str) -> Said {
        match of_statement(code, sql_state, text, "SELECT 1,\n  nope") {
            EngineError::Said(said) => said,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_said_of_compiling_is_shown_with_its_place_and_of_running_only_the_code() {
        let error =
            said("000904", "42000", "SQL compilation error: error line 2 at position 2\ninvalid identifier 'NOPE'");
        assert_eq!(
            (error.detail.as_str(), error.position),
            ("SQL compilation error: invalid identifier 'NOPE'", Some(13))
        );
        let error = said("100038", "22018", "Numeric value 'ceo@corp.example' is not recognized");
        assert_eq!(error.detail, "SQLSTATE 22018: a text is not a value of the type that it is converted to");
    }

    #[test]
    fn rights_limits_and_settings_are_told_apart() {
        assert!(matches!(of_statement("000630", "57014", "", ""), EngineError::Timeout));
        assert_eq!(said("003001", "42501", "SQL access control error: x").class, Class::Unauthorized);
        assert_eq!(said("000606", "57P03", "No active warehouse selected").class, Class::Config);
        let text = "Warehouse 'W' cannot be resumed because resource monitor 'M' has exceeded its quota.";
        assert_eq!(said("090073", "22000", text).class, Class::Throttled(None));
        assert_eq!(said("100051", "22012", "Division by zero").class, Class::Value);
    }
}
