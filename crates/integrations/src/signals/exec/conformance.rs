//! What a program must do with a question of a later version.

use outcome_core::domain::{SignalSpec, Window};
use outcome_core::ports::ProtocolTry;
use serde_json::Value;

use super::protocol::{Level, Question};
use super::{ExecSource, PAGE};

impl ExecSource {
    /// A field that it does not know changes nothing.
    pub(super) async fn later_question(&self, signal: &SignalSpec, window: Window) -> ProtocolTry {
        let of = &signal.name;
        let plain = self.ask::<Level>(of, &Question::level(signal, window)).await;
        let later = self.ask::<Level>(of, &Question::level(signal, window).later()).await;
        let sums = |level: &Level| level.sums.sums().ok();
        let problem = match (&plain, &later) {
            (Ok(plain), Ok(later)) if sums(plain) == sums(later) => None,
            (_, Ok(_)) => Some("its answer changes with a field that it does not know".to_owned()),
            (_, Err(error)) => {
                Some(format!("it does not answer a question with a field that it does not know: {error}"))
            }
        };
        ProtocolTry {
            check: "unknown_field",
            expected: "a field that it does not know changes nothing",
            problem: problem
                .map(|what| (what, format!("ignore fields that you do not know; {PAGE} has those of today"))),
        }
    }

    /// A question that it does not know has no number for an answer.
    pub(super) async fn unknown_question(&self) -> ProtocolTry {
        let answered = self.ask::<Value>("a question of a later version", &Question::unknown()).await;
        let problem = answered.ok().map(|_| {
            (
                "it answers a question that it does not know".to_owned(),
                "look at `ask`, and answer what you do not know with `{\"error\": {\"kind\": \"query\", \"message\": \"...\"}}`".to_owned(),
            )
        });
        ProtocolTry {
            check: "unknown_question",
            expected: "it has no answer to a question that it does not know",
            problem,
        }
    }
}
