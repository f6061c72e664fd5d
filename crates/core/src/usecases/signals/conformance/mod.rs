//! Whether a source does what the runtime relies on, as far as that can be seen from outside: it is asked about windows that are over and
//! about nobody, and its answers are compared with each other. Nothing is written.

mod by_variant;
mod check;
mod level;
mod windows;

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use self::check::Seen;
use super::Signals;
use crate::config::Config;
use crate::domain::{OutcomeSpec, SignalSpec, Slug};
use crate::error::{Error, Result};
use crate::ports::SignalSource;
use crate::usecases::kernel::unlock::Unlock;
use crate::usecases::kernel::workspace_file::{is_pushed, reads_by_variant, source};

pub use self::check::{Check, CheckState};

/// Where the protocol is described.
const PAGES: &str = "docs/connectors/exec.md, docs/connectors/http-json.md";
/// Most signals of a connector that are tried.
const MAX_SIGNALS: usize = 20;

/// What was found about a source.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Conformance {
    /// Name of the connector.
    pub connector: String,
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
    /// How many passed.
    pub n_passed: usize,
    /// How many failed.
    pub n_failed: usize,
    /// How many could not be tried.
    pub n_skipped: usize,
}

impl Conformance {
    fn of(connector: &str, checks: Vec<Check>) -> Self {
        let n = |state| checks.iter().filter(|check| check.state == state).count();
        let [n_passed, n_failed, n_skipped] = [CheckState::Passed, CheckState::Failed, CheckState::Skipped].map(n);
        Self { connector: connector.to_owned(), checks, n_passed, n_failed, n_skipped }
    }
}

/// A source and a signal that it is asked for.
#[derive(Clone, Copy)]
pub struct Trial<'t> {
    /// The source.
    pub source: &'t dyn SignalSource,
    /// The signal.
    pub signal: &'t SignalSpec,
    /// Whether it answers by variant.
    pub has_variants: bool,
    /// A flag that people were exposed to.
    pub flag: Option<&'t str>,
    /// As which experiment it is asked.
    pub experiment: &'t Slug,
    /// Now.
    pub now: Timestamp,
}

impl Trial<'_> {
    /// Everything that can be tried about this signal, one question after the other.
    pub async fn checks(&self) -> Vec<Check> {
        let mut checks = self.levels().await;
        if self.has_variants {
            checks.extend(self.variants().await);
        }
        for tried in self.source.protocol(self.signal, windows::week(self.now).whole()).await {
            let seen = match tried.problem {
                None => Seen::Right(tried.expected.to_owned()),
                Some((what, hint)) => Seen::wrong(what, hint),
            };
            checks.push(self.check(tried.check, seen));
        }
        checks
    }

    fn check(&self, check: &'static str, seen: Seen) -> Check {
        seen.of(check, Some(&self.signal.name))
    }
}

/// What a source says about itself.
pub async fn about(source: &dyn SignalSource) -> Vec<Check> {
    let answers = match source.test().await {
        Ok(report) => Seen::Right(report.server),
        Err(error) => Seen::failure(error),
    };
    let is_there = matches!(answers, Seen::Right(_));
    let mut checks = vec![answers.of("answers", None)];
    if is_there {
        let listed = match source.list().await {
            Ok(listed) => Seen::Right(format!("{} metrics", listed.len())),
            Err(error) => Seen::failure(error),
        };
        checks.push(listed.of("list", None));
    }
    checks
}

impl Signals<'_> {
    /// Tries what can be seen from outside of a source that the file in the work tree declares. `flag`: one that people were exposed to
    /// lately, for the checks by variant.
    ///
    /// # Errors
    /// As [`Signals::connector_test`]. What it does wrong is in the result.
    #[tracing::instrument(level = "debug", name = "signals.connector_conformance", skip_all, fields(name))]
    pub async fn connector_conformance(
        self,
        name: &str,
        flag: Option<&str>,
        unlock: Option<&Unlock>,
    ) -> Result<Conformance> {
        let config = self.to_be_tested(name, unlock).await?;
        let opened = source(self.0, &config, name).await?;
        if is_pushed(&config, name) {
            let seen = Seen::unknown(
                "it pushes, so it is not asked",
                "what it pushes is checked when it comes; docs/connectors/webhook.md says what is refused",
            );
            return Ok(Conformance::of(name, vec![seen.of("answers", None)]));
        }
        let mut checks = about(&*opened).await;
        if checks.iter().any(|check| check.check == "answers" && check.state != CheckState::Passed) {
            return Ok(Conformance::of(name, checks));
        }
        let experiment: Slug = "conformance".parse().map_err(|_| Error::not_found("slug", "conformance"))?;
        let signals = signals_of(&config, name);
        for signal in signals.iter().take(MAX_SIGNALS) {
            let has_variants = reads_by_variant(&config, signal);
            let now = self.0.now();
            let trial = Trial { source: &*opened, signal, has_variants, flag, experiment: &experiment, now };
            checks.extend(trial.checks().await);
        }
        if signals.is_empty() {
            let seen = Seen::unknown(
                "no signal of the file is read from it",
                "declare one, with `source` and `metric`: it need not be applied",
            );
            checks.push(seen.of("level", None));
        }
        Ok(Conformance::of(name, checks))
    }
}

/// The signals of the file that are read from a connector, each question once.
fn signals_of(config: &Arc<Config>, name: &str) -> Vec<SignalSpec> {
    let of_outcome = |spec: &OutcomeSpec| -> Vec<SignalSpec> {
        let guards = spec.guardrails().map(|(signal, ..)| signal);
        std::iter::once(&spec.signal).chain(&spec.secondary_signals).chain(guards).cloned().collect()
    };
    let mut found: Vec<SignalSpec> = Vec::new();
    for signal in config.outcomes.iter().flat_map(of_outcome).filter(|signal| signal.source == name) {
        let is_known = found.iter().any(|known| {
            (&known.metric, &known.segment, &known.query) == (&signal.metric, &signal.segment, &signal.query)
        });
        if !is_known {
            found.push(signal);
        }
    }
    found
}
