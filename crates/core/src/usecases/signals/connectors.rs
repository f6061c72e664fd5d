//! The connectors of the outcome file, looked at by hand: the source itself, and every query that it will be asked.

use std::sync::Arc;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Serialize;

use super::Signals;
use crate::config::Config;
use crate::config::vendor::Asked;
use crate::domain::{OutcomeSpec, SignalSpec, Window, text_enum};
use crate::error::{Code, Error, Result};
use crate::ports::{QueryKind, QueryPlan, ReadError, SignalSource, SourceReport};
use crate::usecases::kernel::query_check::{cannot_run, queries, try_query};
use crate::usecases::kernel::unlock::{Unlock, member_key};
use crate::usecases::kernel::workspace_file::{config, proposed, sends_secret_elsewhere, source};

/// How far back the window of a plan reaches. Over nobody a database would choose an index that it does not choose for a month.
const PLANNED: SignedDuration = SignedDuration::from_hours(28 * 24);

text_enum! {
    /// What a signal is for.
    pub enum SignalRole {
        /// Decides.
        Primary,
        /// Shown.
        Secondary,
        /// Must not get worse.
        Constraint,
    }
}
text_enum! {
    /// What is known about a query.
    pub enum QueryState {
        /// It runs.
        Ok,
        /// The source refused it, or the user that asks.
        Refused,
        /// Nobody knows: the source did not answer, or a secret is missing.
        Unchecked,
    }
}

/// What was found about a connector.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ConnectorReport {
    /// Name of the connector.
    pub connector: String,
    /// What it is; absent when it could not be asked.
    pub source: Option<SourceReport>,
    /// Why it could not be asked.
    pub problem: Option<ConnectorProblem>,
    /// Each query of each signal that it is asked for, in the order of the file.
    pub queries: Vec<QueryReport>,
}

/// Why something does not work.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ConnectorProblem {
    /// Stable code.
    pub code: &'static str,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The code, for the exit code of a program.
    #[serde(skip)]
    pub kind: Code,
}

/// What was found about a query.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct QueryReport {
    /// Slug of the outcome.
    pub outcome: String,
    /// Name of the signal.
    pub signal: String,
    /// What the signal is for.
    pub role: SignalRole,
    /// Which of its queries.
    pub query: QueryKind,
    /// What is known about it.
    pub state: QueryState,
    /// Why it was refused or is unchecked.
    pub problem: Option<ConnectorProblem>,
    /// How long it took on an empty window; absent where it was not tried.
    pub seconds: Option<f64>,
    /// Whether an index helps, in words.
    pub index: Option<String>,
    /// How the source would answer it about the last 28 days.
    pub plan: Option<QueryPlan>,
}

/// A user that only reads, as statements.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ReaderRole {
    /// Name of the connector.
    pub connector: String,
    /// The statements and remarks, a line each; absent where the source has no users.
    pub statements: Option<Vec<String>>,
}

impl ConnectorReport {
    /// Why its user is refused: a right that a read-only transaction does not hold back.
    #[must_use]
    pub fn overpowered(&self) -> Option<Error> {
        let risk = self.source.as_ref()?.risks.iter().find(|risk| risk.is_refused())?;
        let message = format!("the user of connector `{}` can do too much: {}", self.connector, risk.what);
        let hint = format!("`outcome-runtime connectors role {}` prints a user that can only read", self.connector);
        Some(Error::new(Code::SourceOverpowered, message).hint(hint))
    }

    /// The first query that was refused.
    #[must_use]
    pub fn refused(&self) -> Option<&QueryReport> {
        self.queries.iter().find(|query| query.state == QueryState::Refused)
    }
}

impl From<&Error> for ConnectorProblem {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code().as_str(),
            message: error.message().to_owned(),
            hint: error.hint_text().map(ToOwned::to_owned),
            kind: error.code(),
        }
    }
}

impl Signals<'_> {
    /// Tries an applied connector and every query that it is asked: each once on an empty window, with its plan. Nothing is written.
    ///
    /// # Errors
    /// [`Code::ConnectorUnknown`], [`Code::ConfigNotFound`]. That it does not answer is in the result.
    #[tracing::instrument(level = "debug", name = "signals.connector_test_applied", skip_all, fields(name))]
    pub async fn connector_test_applied(self, name: &str) -> Result<ConnectorReport> {
        self.tested(name, config(self.0).await?).await
    }

    /// The same for a connector as the file in the work tree declares it. Where it would send secrets to an address that nobody
    /// approved, that needs a member's passphrase.
    ///
    /// # Errors
    /// As [`Self::connector_test_applied`]; [`Code::ConfigInvalid`], [`Code::PassphraseNeeded`], [`Code::PassphraseWrong`].
    #[tracing::instrument(level = "debug", name = "signals.connector_test", skip_all, fields(name))]
    pub async fn connector_test(self, name: &str, unlock: Option<&Unlock>) -> Result<ConnectorReport> {
        let proposed = self.to_be_tested(name, unlock).await?;
        self.tested(name, proposed).await
    }

    /// The file in the work tree, whose connector `name` may be asked.
    pub(super) async fn to_be_tested(self, name: &str, unlock: Option<&Unlock>) -> Result<Arc<Config>> {
        let (_, proposed) = proposed(self.0).await?;
        if sends_secret_elsewhere(self.0, &proposed, name).await? {
            let unlock = unlock.ok_or_else(|| {
                let message = format!("`{name}` is not applied as the file declares it, and it is sent secrets");
                Error::new(Code::PassphraseNeeded, message)
                    .hint("test it with your passphrase, or apply the file first: nobody else may send secrets to a new address")
            })?;
            member_key(self.0, None, unlock).await?;
        }
        Ok(proposed)
    }

    async fn tested(self, name: &str, config: Arc<Config>) -> Result<ConnectorReport> {
        let asked = asked_of(&config, name);
        let opened = match source(self.0, &config, name).await {
            Err(error) if error.code() == Code::ConnectorUnknown => return Err(error),
            Err(error) => Err(error),
            Ok(source) => source.test().await.map(|report| (source, report)).map_err(Error::from),
        };
        let mut found =
            ConnectorReport { connector: name.to_owned(), source: None, problem: None, queries: Vec::new() };
        match opened {
            Ok((source, report)) => {
                found.source = Some(report);
                // One after the other, so that none waits for another.
                for query in asked {
                    found.queries.push(query.tried(self, &*source).await);
                }
            }
            Err(error) => {
                let problem = ConnectorProblem::from(&error);
                found.queries = asked.into_iter().map(|query| query.unchecked(problem.clone())).collect();
                found.problem = Some(problem);
            }
        }
        Ok(found)
    }

    /// Tries a connector without its queries.
    ///
    /// # Errors
    /// [`Code::ConnectorUnknown`] or why it does not work.
    #[tracing::instrument(level = "debug", name = "signals.connector_reach", skip_all, fields(name))]
    pub async fn connector_reach(self, name: &str) -> Result<SourceReport> {
        let config = config(self.0).await?;
        source(self.0, &config, name).await?.test().await.map_err(Error::from)
    }

    /// The statements that make a user for a connector who reads what its queries read and nothing else. A person runs them.
    ///
    /// # Errors
    /// [`Code::ConnectorUnknown`], or why the source does not answer.
    #[tracing::instrument(level = "debug", name = "signals.connector_role", skip_all, fields(name))]
    pub async fn connector_role(self, name: &str) -> Result<ReaderRole> {
        let config = config(self.0).await?;
        let source = source(self.0, &config, name).await?;
        let queries: Vec<String> = asked_of(&config, name).into_iter().filter_map(AskedQuery::text).collect();
        let statements = source.reader_role(&queries).await.map_err(Error::from)?;
        Ok(ReaderRole { connector: name.to_owned(), statements })
    }

    /// Names of the connectors that the file in the work tree declares.
    ///
    /// # Errors
    /// [`Code::ConfigInvalid`].
    #[tracing::instrument(level = "debug", name = "signals.connector_names_declared", skip_all)]
    pub async fn connector_names_declared(self) -> Result<Vec<String>> {
        let (_, proposed) = proposed(self.0).await?;
        Ok(proposed.connectors.iter().map(|connector| connector.name.clone()).collect())
    }

    /// Names of the applied connectors.
    ///
    /// # Errors
    /// [`Code::ConfigNotFound`].
    #[tracing::instrument(level = "debug", name = "signals.connector_names", skip_all)]
    pub async fn connector_names(self) -> Result<Vec<String>> {
        Ok(config(self.0).await?.connectors.iter().map(|connector| connector.name.clone()).collect())
    }
}

/// A query that a connector is asked.
struct AskedQuery {
    outcome: String,
    signal: SignalSpec,
    role: SignalRole,
    query: QueryKind,
}

impl AskedQuery {
    /// Its text.
    fn text(self) -> Option<String> {
        if let Some(contract) = &self.signal.contract {
            return Some(contract.reads());
        }
        match self.query {
            QueryKind::Level => self.signal.query.level,
            QueryKind::ByVariant => self.signal.query.by_variant,
        }
    }

    async fn tried(self, signals: Signals<'_>, source: &dyn SignalSource) -> QueryReport {
        let now = signals.0.now();
        let tried = try_query(source, &self.signal, self.query, now).await;
        let seconds = tried.took.as_secs_f64();
        match tried.answer {
            Ok(()) => {
                let window = Window { from: now.checked_sub(PLANNED).unwrap_or(now), to: now };
                // The query runs; that its plan cannot be had (for want of a right, say) takes nothing from that.
                let plan = source.plan(&self.signal, self.query, window).await.unwrap_or_default();
                let index = plan.as_ref().map(QueryPlan::in_words);
                QueryReport { seconds: Some(seconds), index, plan, ..self.report(QueryState::Ok, None) }
            }
            Err(error) => {
                let is_refused = cannot_run(&error) || matches!(error, ReadError::Unauthorized { .. });
                let state = if is_refused { QueryState::Refused } else { QueryState::Unchecked };
                let problem = ConnectorProblem::from(&Error::from(error));
                QueryReport { seconds: Some(seconds), ..self.report(state, Some(problem)) }
            }
        }
    }

    fn unchecked(self, problem: ConnectorProblem) -> QueryReport {
        self.report(QueryState::Unchecked, Some(problem))
    }

    fn report(self, state: QueryState, problem: Option<ConnectorProblem>) -> QueryReport {
        let Self { outcome, signal, role, query } = self;
        let signal = signal.name;
        QueryReport { outcome, signal, role, query, state, problem, seconds: None, index: None, plan: None }
    }
}

/// The queries that the outcome file asks a connector, in the order of the file; none for a source that has no SQL.
fn asked_of(config: &Arc<Config>, name: &str) -> Vec<AskedQuery> {
    if config.connector(name).is_none_or(|spec| spec.asked != Asked::WithSql) {
        return Vec::new();
    }
    let of_signal = |spec: &OutcomeSpec, role, signal: &SignalSpec| -> Vec<AskedQuery> {
        let ask = |query| AskedQuery { outcome: spec.slug.to_string(), signal: signal.clone(), role, query };
        queries(config, signal).into_iter().map(ask).collect()
    };
    let roles = |spec: &OutcomeSpec| -> Vec<(SignalRole, SignalSpec)> {
        let secondary = spec.secondary_signals.iter().map(|signal| (SignalRole::Secondary, signal.clone()));
        let guards = spec.guardrails().map(|(signal, ..)| (SignalRole::Constraint, signal.clone()));
        std::iter::once((SignalRole::Primary, spec.signal.clone())).chain(secondary).chain(guards).collect()
    };
    config
        .outcomes
        .iter()
        .flat_map(|spec| {
            let signals = roles(spec).into_iter().filter(|(_, signal)| signal.source == name);
            signals.flat_map(|(role, signal)| of_signal(spec, role, &signal)).collect::<Vec<_>>()
        })
        .collect()
}
