//! What PostHog answers, and how it is waited for.

use std::time::Duration;

use outcome_core::ports::ReadError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::PosthogSource;
use super::query::Query;
use crate::signals::api::part;

/// How often a query that is answered later is asked about, and how many times.
const PAUSE: Duration = Duration::from_secs(1);
const MAX_ASKED: usize = 90;
/// Experiments of one flag that are looked at.
const MAX_EXPERIMENTS: usize = 20;

#[derive(Deserialize)]
struct Answer {
    results: Option<Value>,
    error: Option<String>,
    #[serde(default)]
    is_cached: Option<bool>,
    query_status: Option<Status>,
}

#[derive(Deserialize)]
struct Later {
    query_status: Status,
}

#[derive(Deserialize)]
struct Status {
    id: String,
    complete: bool,
    #[serde(default)]
    error: bool,
    error_message: Option<String>,
    results: Option<Value>,
}

#[derive(Deserialize)]
struct Experiments {
    results: Vec<Experiment>,
}

#[derive(Deserialize)]
struct Experiment {
    id: u64,
    feature_flag_key: Option<String>,
    resolved_exposure_event: Option<String>,
}

/// Rows, and doubts about them.
pub(super) struct Rows<T> {
    pub(super) rows: Vec<T>,
    pub(super) doubts: Vec<String>,
}

impl PosthogSource {
    /// The rows of a query, now or after some waiting. An older answer that PostHog keeps is not asked for.
    pub(super) async fn rows<T: DeserializeOwned>(&self, of: &str, query: &Query) -> Result<Rows<T>, ReadError> {
        let url = self.api.address(&["api", "projects", &self.project, "query", ""]);
        let body = json!({
            "query": { "kind": "HogQLQuery", "query": query.text, "values": query.values },
            "refresh": "force_blocking",
            "name": "outcome-runtime",
        });
        let answer = self.api.ask::<Answer>(of, |client| client.post(url.clone()).json(&body)).await?.value;
        if let Some(said) = answer.error.filter(|said| !said.trim().is_empty()) {
            return Err(self.refused(of, &said));
        }
        let mut is_cached = answer.is_cached.unwrap_or_default();
        let results = match (answer.results, answer.query_status) {
            (Some(results), _) => results,
            (None, Some(status)) => self.later(of, status, &mut is_cached).await?,
            (None, None) => return Err(self.api.shape(of, "`results` is missing")),
        };
        let rows = part("results", &results).map_err(|problem| self.api.shape(of, problem))?;
        let doubt =
            is_cached.then(|| "PostHog gave an older answer that it kept, although a new one was asked for".to_owned());
        Ok(Rows { rows, doubts: doubt.into_iter().collect() })
    }

    /// Waits for a query that goes on by itself.
    async fn later(&self, of: &str, mut status: Status, is_cached: &mut bool) -> Result<Value, ReadError> {
        for _ in 0..MAX_ASKED {
            if status.complete {
                if status.error {
                    let said = status.error_message.unwrap_or_else(|| "the query failed".to_owned());
                    return Err(self.refused(of, &said));
                }
                // The list of rows, or an answer as of a query that is answered at once.
                let results = status.results.and_then(|found| match found {
                    Value::Object(mut answer) => {
                        *is_cached |= answer.get("is_cached").and_then(Value::as_bool).unwrap_or_default();
                        answer.remove("results")
                    }
                    rows => Some(rows),
                });
                return results.ok_or_else(|| self.api.shape(of, "`query_status.results` is missing"));
            }
            tokio::time::sleep(PAUSE).await;
            let url = self.api.address(&["api", "projects", &self.project, "query", &status.id, ""]);
            status = self.api.ask::<Later>(of, |client| client.get(url.clone())).await?.value.query_status;
        }
        Err(ReadError::Timeout {
            source_name: self.api.name().to_owned(),
            limit: PAUSE.saturating_mul(90),
            hint: "the query takes long: shorten `conversion_window`, or ask for fewer steps".to_owned(),
        })
    }

    fn refused(&self, of: &str, said: &str) -> ReadError {
        let hint = "check the names of the events; `outcome-runtime connectors list` shows them".to_owned();
        self.api.query(of, self.api.clean(said), hint)
    }

    /// The event that PostHog counts the exposures of a flag's experiment by: it depends on when the experiment began and on the team.
    pub(super) async fn exposure_event(&self, flag_key: &str) -> Result<String, ReadError> {
        let mut url = self.api.address(&["api", "projects", &self.project, "experiments", ""]);
        url.query_pairs_mut().append_pair("search", flag_key).append_pair("limit", "100");
        let found = self.api.ask::<Experiments>("the exposures", |client| client.get(url.clone())).await?.value;
        let of_flag = found.results.into_iter().filter(|one| one.feature_flag_key.as_deref() == Some(flag_key));
        let hint = "write `exposure_event: $feature_flag_called`, or the event that your application sends, in the connector's `config`";
        let (mut event, mut said) = (None::<String>, Vec::new());
        for experiment in of_flag.take(MAX_EXPERIMENTS) {
            let id = experiment.id;
            let Some(found) = self.event_of(experiment).await? else {
                let problem = format!(
                    "PostHog does not say by which event it counts the exposures of the flag `{flag_key}` in its experiment {id}"
                );
                return Err(self.api.unusable(problem, hint));
            };
            said.push(format!("experiment {id} says `{}`", self.api.clean(&found)));
            if event.get_or_insert_with(|| found.clone()) != &found {
                let problem = format!(
                    "PostHog has several experiments of the flag `{flag_key}`, which count exposures by different events: {}",
                    said.join(", ")
                );
                return Err(self.api.unusable(problem, hint));
            }
        }
        event.ok_or_else(|| {
            let problem = format!(
                "PostHog has no experiment of the flag `{flag_key}`, so the event that counts exposures is not known"
            );
            self.api.unusable(problem, hint)
        })
    }

    /// What an experiment says, of which the list may say too little.
    async fn event_of(&self, experiment: Experiment) -> Result<Option<String>, ReadError> {
        let mut event = experiment.resolved_exposure_event;
        if event.is_none() {
            let id = experiment.id.to_string();
            let url = self.api.address(&["api", "projects", &self.project, "experiments", &id, ""]);
            let one = self.api.ask::<Experiment>("the exposures", |client| client.get(url.clone())).await?.value;
            event = one.resolved_exposure_event;
        }
        Ok(event.filter(|event| !event.trim().is_empty()))
    }
}
