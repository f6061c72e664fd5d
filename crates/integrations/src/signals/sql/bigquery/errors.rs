//! What the service's reasons mean. <https://cloud.google.com/bigquery/docs/error-messages>
//!
//! **Invariant**: a message is shown only where no row had been read: of a dry run, and of names and rights. A message of a running query
//! can quote a value (`Bad int64 value: ...`).

use super::super::engine::{Class, EngineError, Said};
use super::super::wire::Answer;
use super::wire_types::{Problem, Refusal};

/// What a refusal is. `is_dry`: no row was read.
pub(super) fn of_answer(answer: &Answer, sent: &str, is_dry: bool) -> EngineError {
    let refusal: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
    let problem = refusal.error.errors.first().cloned().unwrap_or_default();
    let problem = Problem {
        reason: if problem.reason.is_empty() { refusal.error.status.clone() } else { problem.reason },
        message: if problem.message.is_empty() { refusal.error.message } else { problem.message },
    };
    if problem.reason.is_empty() {
        let detail = format!("status {}", answer.status);
        return match answer.status {
            401 | 403 => Said::new(Class::Unauthorized, detail).into(),
            500.. => Said::new(Class::Unreachable, detail).into(),
            _ => Said::new(Class::Value, format!("{detail}, and not as BigQuery answers"))
                .hint("check `url` and `project`")
                .into(),
        };
    }
    match error(&problem, sent, is_dry) {
        EngineError::Said(Said { class: Class::Throttled(None), detail, hint, position }) => {
            Said { class: Class::Throttled(answer.retry_after()), detail, hint, position }.into()
        }
        error => error,
    }
}

/// What one of the service's problems is.
pub(super) fn error(problem: &Problem, sent: &str, is_dry: bool) -> EngineError {
    let Problem { reason, message } = problem;
    let ours = |class, meaning: &str| Said::new(class, format!("{}: {meaning}", shown(reason)));
    let theirs = |class| Said::new(class, message.clone());
    let said = match reason.as_str() {
        "invalidQuery" | "invalid" | "INVALID_ARGUMENT" if is_dry => Said {
            class: Class::Query,
            detail: without_place(message).to_owned(),
            hint: "run the query by hand with literal values for its parameters".to_owned(),
            position: position(message, sent),
        },
        "notFound" | "NOT_FOUND" | "duplicate" => {
            theirs(Class::Query).hint("check the names of the project, the dataset and the table, and `location`: a dataset is found only where it is")
        }
        "accessDenied" | "PERMISSION_DENIED" | "authError" | "UNAUTHENTICATED" | "required" => theirs(Class::Unauthorized),
        "accessNotConfigured" | "billingNotEnabled" | "SERVICE_DISABLED" => {
            theirs(Class::Config).hint("enable the BigQuery API and billing in the project that `project` names")
        }
        "bytesBilledLimitExceeded" => ours(Class::Query, "the query reads more than may be billed")
            .hint("read a partition, or raise `max_gigabytes` in the connector's `config`"),
        "rateLimitExceeded" | "jobRateLimitExceeded" | "quotaExceeded" | "RESOURCE_EXHAUSTED" | "tableUnavailable" => {
            ours(Class::Throttled(None), "a limit or quota of the project is reached")
        }
        "backendError" | "internalError" | "jobBackendError" | "jobInternalError" | "INTERNAL" | "UNAVAILABLE" => {
            ours(Class::Unreachable, "the service failed for now")
        }
        "stopped" | "timeout" => return EngineError::Timeout,
        "resourcesExceeded" => ours(Class::Query, "the query needs more memory or shuffle than it may have").hint("read less"),
        "responseTooLarge" => return EngineError::TooManyRows,
        _ => ours(Class::Query, "the query failed while it ran"),
    };
    said.into()
}

/// A reason is one word; anything else is not repeated.
fn shown(reason: &str) -> &str {
    let is_word =
        (1..=40).contains(&reason.len()) && reason.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_word { reason } else { "an unknown reason" }
}

/// The message without ` at [3:7]`.
fn without_place(message: &str) -> &str {
    message.rsplit_once(" at [").map_or(message, |(before, _)| before)
}

/// Line and column of ` at [3:7]`, as the place in what was sent, in characters from 1.
fn position(message: &str, sent: &str) -> Option<usize> {
    let (_, place) = message.rsplit_once(" at [")?;
    let (line, column) = place.split_once(']')?.0.split_once(':')?;
    let (line, column): (usize, usize) = (line.parse().ok()?, column.parse().ok()?);
    let before: usize = sent.lines().take(line.checked_sub(1)?).map(|line| line.chars().count() + 1).sum();
    Some(before + column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(reason: &str, message: &str, is_dry: bool) -> Said {
        let problem = Problem { reason: reason.to_owned(), message: message.to_owned() };
        match error(&problem, "SELECT 1,\n  nope", is_dry) {
            EngineError::Said(said) => said,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_of_a_dry_run_is_shown_with_its_place_and_one_of_a_running_query_is_not() {
        let dry = said("invalidQuery", "Unrecognized name: nope at [2:3]", true);
        assert_eq!((dry.detail.as_str(), dry.position), ("Unrecognized name: nope", Some(13)));
        let running = said("invalidQuery", "Bad int64 value: ceo@corp.example", false);
        assert_eq!(running.detail, "invalidQuery: the query failed while it ran");
        assert!(!said("ceo@corp.example", "ceo@corp.example", false).detail.contains("ceo"));
    }

    #[test]
    fn limits_and_passing_failures_are_told_apart() {
        assert_eq!(said("quotaExceeded", "", false).class, Class::Throttled(None));
        assert_eq!(said("backendError", "", false).class, Class::Unreachable);
        assert_eq!(said("accessDenied", "Access Denied: Table p:d.t", false).class, Class::Unauthorized);
        assert!(said("bytesBilledLimitExceeded", "", false).hint.contains("max_gigabytes"));
    }
}
