//! Change requests of the Enterprise edition: where an environment demands them, ours is found again, made once, and waited for.
//!
//! Nothing is approved or applied here: that is for people.

use outcome_core::ports::FlagError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::api::Of;
use super::Unleash;
use super::wire::cut;

/// How titles of ours begin.
const MARK: &str = "Outcome Runtime:";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChangeRequest {
    id: u64,
    environment: String,
    state: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    min_approvals: Option<u64>,
    #[serde(default)]
    approvals: Vec<Value>,
    #[serde(default)]
    features: Vec<Changed>,
    #[serde(default)]
    segments: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Changed {
    name: String,
    changes: Vec<Change>,
}

#[derive(Debug, Deserialize)]
struct Change {
    action: String,
    #[serde(default)]
    payload: Value,
}

/// The answer to a new one.
#[derive(Debug, Deserialize)]
struct Made {
    id: u64,
}

impl ChangeRequest {
    fn is_only_of(&self, key: &str) -> bool {
        self.segments.is_empty() && self.features.iter().all(|feature| feature.name == key)
    }

    /// True when it does exactly these changes.
    fn does(&self, key: &str, changes: &[Value]) -> bool {
        let all: Vec<_> = self.features.iter().flat_map(|feature| &feature.changes).collect();
        let is_same = |change: &&Change, ours: &Value| {
            let of = |name: &str| ours.pointer(name);
            of("/action") == Some(&Value::from(change.action.as_str()))
                && ["/enabled", "/parameters"].iter().all(|part| {
                    change.payload.pointer(part) == of("/payload").and_then(|payload| payload.pointer(part))
                })
        };
        self.is_only_of(key)
            && all.len() == changes.len()
            && changes.iter().all(|ours| all.iter().any(|change| is_same(change, ours)))
    }

    fn is_ours_of(&self, key: &str) -> bool {
        let title = self.title.as_deref().unwrap_or_default();
        title.starts_with(&format!("{MARK} {key} ")) && self.is_only_of(key)
    }

    fn is_draft(&self) -> bool {
        self.state == "Draft"
    }

    fn waits(&self, environment: &str) -> String {
        let name = format!("change request #{}", self.id);
        match self.state.as_str() {
            "Approved" => format!("{name} for `{environment}` is approved and waits for somebody to apply it"),
            "Scheduled" => {
                format!("{name} for `{environment}` is approved, and applied at the time for which it is scheduled")
            }
            "In review" => {
                let needed =
                    self.min_approvals.map_or_else(String::new, |n| format!("{} of {n} ", self.approvals.len()));
                format!("{name} for `{environment}` has {needed}approvals; it must be approved and applied there")
            }
            other => format!("{name} for `{environment}` is `{}`", cut(other)),
        }
    }
}

impl Unleash {
    /// Asks for changes: what is waited for, or why that cannot be asked.
    pub(super) async fn request(&self, key: &str, what: &str, changes: &[Value]) -> Result<FlagError, FlagError> {
        let pending = self.pending(key).await?;
        let found = pending.iter().find(|request| request.does(key, changes));
        for request in pending.iter().filter(|request| !request.does(key, changes)) {
            if request.is_draft() {
                self.clear_draft(key, request).await?;
            } else if request.is_ours_of(key) {
                self.set_state(key, request.id, "Cancelled").await?;
            }
        }
        match found {
            Some(request) if !request.is_draft() => return Ok(self.api.review(key, request.waits(&self.environment))),
            Some(draft) => self.send_to_review(key, draft.id, what).await?,
            None => {
                let id = self.draft(key, changes).await?;
                self.send_to_review(key, id, what).await?;
            }
        }
        let sent = self.pending(key).await?.into_iter().find(|request| request.does(key, changes));
        let waits = sent.map_or_else(
            || format!("a change request for `{}` was made; it must be approved and applied there", self.environment),
            |request| request.waits(&self.environment),
        );
        Ok(self.api.review(key, waits))
    }

    /// Takes back what we asked for and nobody applied, now that the flag is to stay off.
    pub(super) async fn withdraw_requests(&self, key: &str) -> Result<(), FlagError> {
        let pending = match self.pending(key).await {
            // Without that edition, or without the right to see them, there are none of ours.
            Err(FlagError::Http { status: Some(403 | 404), .. }) => return Ok(()),
            found => found?,
        };
        for request in pending {
            if request.is_ours_of(key) && !request.is_draft() {
                self.set_state(key, request.id, "Cancelled").await?;
            }
        }
        Ok(())
    }

    /// Open ones of our environment.
    async fn pending(&self, key: &str) -> Result<Vec<ChangeRequest>, FlagError> {
        let url = self.in_project(&self.project, &["change-requests", "pending"]);
        let answer = self.send(Of::read(key), |client| client.get(url.clone())).await?;
        if !answer.status.is_success() {
            return Err(self.refused(Of::read(key), &answer));
        }
        let all: Vec<ChangeRequest> = self.api.json(Of::read(key), &answer)?;
        let is_open = |request: &ChangeRequest| !matches!(request.state.as_str(), "Applied" | "Cancelled" | "Rejected");
        Ok(all.into_iter().filter(|one| one.environment == self.environment && is_open(one)).collect())
    }

    /// A draft of our account collects changes until it is sent. One that is only of this flag was left over by us.
    async fn clear_draft(&self, key: &str, draft: &ChangeRequest) -> Result<(), FlagError> {
        if !draft.is_only_of(key) {
            let problem = format!(
                "the account of the token has the draft #{} of a change request for `{}` with changes of others: send or discard it there",
                draft.id, self.environment
            );
            return Err(self.api.review(key, problem));
        }
        let url = self.in_project(&self.project, &["change-requests", &draft.id.to_string()]);
        let answer = self.send(Of::write(key), |client| client.delete(url.clone())).await?;
        self.api.done(Of::write(key), &answer)
    }

    async fn draft(&self, key: &str, changes: &[Value]) -> Result<u64, FlagError> {
        let url = self.in_project(&self.project, &["environments", &self.environment, "change-requests"]);
        // Twice would be each change two times.
        let answer = self.api.answer_once(Of::write(key), |client| client.post(url.clone()).json(changes)).await?;
        if !answer.status.is_success() {
            return Err(self.refused(Of::write(key), &answer));
        }
        Ok(self.api.json::<Made>(Of::write(key), &answer)?.id)
    }

    async fn send_to_review(&self, key: &str, id: u64, what: &str) -> Result<(), FlagError> {
        let url = self.in_project(&self.project, &["change-requests", &id.to_string(), "title"]);
        let title = json!({ "title": format!("{MARK} {key} {what}") });
        let answer = self.send(Of::write(key), |client| client.put(url.clone()).json(&title)).await?;
        self.api.done(Of::write(key), &answer)?;
        self.set_state(key, id, "In review").await
    }

    async fn set_state(&self, key: &str, id: u64, state: &str) -> Result<(), FlagError> {
        let url = self.in_project(&self.project, &["change-requests", &id.to_string(), "state"]);
        let body = json!({ "state": state });
        let answer = self.send(Of::write(key), |client| client.put(url.clone()).json(&body)).await?;
        self.api.done(Of::write(key), &answer)
    }
}
