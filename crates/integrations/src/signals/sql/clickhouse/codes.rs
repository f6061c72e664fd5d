//! What the server's error codes mean. <https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp>
//!
//! **Invariant**: the server's text is shown only where its code is about names, types and syntax; of any other error the code is kept,
//! with our own words, since its text can quote a row.

use super::super::engine::{Class, EngineError, Said};

/// Errors about the query alone: columns, functions, types of arguments, tables, syntax.
const OF_THE_QUERY: [u16; 19] = [16, 36, 42, 43, 46, 47, 48, 50, 60, 62, 63, 81, 179, 184, 207, 215, 352, 386, 403];

/// The code in `Code: 62. DB::Exception: ...`, or as 18.16 wrote it, `Code: 62, e.displayText() = ...`.
pub(super) fn code_in(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("Code: ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What an error is.
pub(super) fn error(code: u16, text: &str) -> EngineError {
    let said = |class, meaning: &str| Said::new(class, format!("error {code}: {meaning}"));
    let said = match code {
        396 => return EngineError::TooManyRows,
        159 | 160 | 209 | 394 => return EngineError::Timeout,
        192..=194 | 516 => said(Class::Unauthorized, "the user or the password is wrong"),
        497 => said(Class::Unauthorized, "the user may not read something that the query uses"),
        201 => said(Class::Throttled(None), "the user's quota is used up"),
        202 | 203 | 439 => said(Class::Throttled(None), "it has too many queries at once"),
        210 | 279 | 999 => said(Class::Unreachable, "the server does not reach a part of itself"),
        153 => said(Class::Value, "division by zero").hint("guard the division, as in `x / nullif(y, 0)`"),
        407 | 69 => said(Class::Value, "a number is out of the range of its type, or is none (nan)")
            .hint("leave such rows out, as in `where: isFinite(amount)`"),
        115 => said(Class::Config, "the server does not know a setting that limits the query")
            .hint("use ClickHouse 24.8 or later"),
        452 => said(Class::Config, "the user's profile does not allow the limits that are set for each query")
            .hint("allow the user to change `max_execution_time`, `max_result_rows`, `max_bytes_to_read` and the other settings that \
                   docs/connectors/clickhouse.md lists"),
        158 | 307 => said(Class::Query, "the query reads more than it may")
            .hint("read less, or raise `max_gigabytes` in the connector's `config`"),
        241 => said(Class::Query, "the query needs more memory than it may have")
            .hint("read less, or give the user more memory"),
        164 => said(Class::Query, "the query tried to write, or to change a setting; it may only read"),
        code if OF_THE_QUERY.contains(&code) => Said {
            class: Class::Query,
            detail: message(text),
            hint: "run the query by hand with literal values for its parameters".to_owned(),
            position: position(text),
        },
        6 | 26 | 27 | 38 | 41 | 53 | 70 | 72 | 130 | 349 => said(Class::Query, "a text is not a value of the type that it is converted to"),
        _ => said(Class::Query, "the server stopped the query"),
    };
    said.into()
}

/// What is said between the code and the version, without the query that it repeats.
fn message(text: &str) -> String {
    let text = text.split_once("DB::Exception: ").map_or(text, |(_, rest)| rest);
    let text = text.split_once(". (").filter(|(_, rest)| rest.contains("(version ")).map_or(text, |(before, _)| before);
    let text = text.split_once(" in scope ").map_or(text, |(before, _)| before);
    text.split_once(". Expected one of").map_or(text, |(before, _)| before).trim().to_owned()
}

/// The place in `Syntax error: failed at position 36`, in characters from 1.
fn position(text: &str) -> Option<usize> {
    let (_, rest) = text.split_once("failed at position ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: u16, text: &str) -> Said {
        match error(code, text) {
            EngineError::Said(said) => said,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_about_the_query_is_shown_without_the_query() {
        let text = "Code: 47. DB::Exception: Unknown expression identifier `nope` in scope SELECT nope FROM t. (UNKNOWN_IDENTIFIER) \
                    (version 26.9.2.1 (official build))";
        assert_eq!(code_in(text), Some(47));
        assert_eq!(said(47, text).detail, "Unknown expression identifier `nope`");
        let old = "Code: 62, e.displayText() = DB::Exception: Syntax error: failed at position 8: x. Expected one of: a, b, e.what() = ...";
        assert_eq!((code_in(old), said(62, old).position), (Some(62), Some(8)));
        assert_eq!(said(62, old).detail, "Syntax error: failed at position 8: x");
    }

    #[test]
    fn what_can_quote_a_row_is_not_shown() {
        for code in [6, 53, 72, 395, 407, 1000] {
            let shown =
                said(code, &format!("Code: {code}. DB::Exception: Cannot parse string 'ceo@corp.example' as Int64"))
                    .detail;
            assert!(!shown.contains("ceo"), "{shown}");
        }
    }

    #[test]
    fn limits_and_overloads_are_told_apart() {
        assert!(matches!(error(209, ""), EngineError::Timeout));
        assert!(matches!(error(396, ""), EngineError::TooManyRows));
        assert_eq!(said(202, "").class, Class::Throttled(None));
        assert_eq!(said(516, "").class, Class::Unauthorized);
        assert!(said(307, "").hint.contains("max_gigabytes"));
    }
}
