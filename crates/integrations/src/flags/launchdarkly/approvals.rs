//! LaunchDarkly's own approvals. A change that needs one is asked for once and found again; what was approved is applied.
//!
//! **Invariant**: nothing here approves, and a request that somebody declined is not made again.

use outcome_core::ports::FlagError;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{LaunchDarkly, Order, Wanted};
use crate::flags::api::{MAX_PAGES, Of};

/// How the descriptions of our requests begin.
const OURS: &str = "Outcome Runtime: ";

/// A request of anybody's.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(rename = "_id")]
    id: String,
    description: Option<String>,
    /// `pending`, `scheduled`, `completed` or `failed`.
    status: String,
    /// `pending`, `approved` or `declined`.
    review_status: String,
    #[serde(default)]
    instructions: Value,
}

impl Order {
    /// What the change is called in LaunchDarkly.
    pub(super) fn title(self, key: &str) -> String {
        match self {
            Self::Put(Wanted::Off) | Self::SwitchOff => format!("{OURS}turn `{key}` off"),
            Self::SwitchOn => format!("{OURS}turn `{key}` on again as it was"),
            Self::Put(Wanted::On(pct)) => format!("{OURS}give the treatment of `{key}` to {pct} %"),
        }
    }
}

impl Request {
    fn is_open(&self) -> bool {
        matches!(self.status.as_str(), "pending" | "scheduled")
    }

    fn is_ours(&self) -> bool {
        self.description.as_deref().is_some_and(|description| description.starts_with(OURS))
    }

    /// The same change: LaunchDarkly may add fields to an instruction.
    fn asks_for(&self, title: &str, instructions: &[Value]) -> bool {
        let Some(asked) = self.instructions.as_array() else { return false };
        let has_all = |ours: &Value, theirs: &Value| {
            ours.as_object().is_some_and(|ours| ours.iter().all(|(key, value)| theirs.get(key) == Some(value)))
        };
        self.description.as_deref() == Some(title)
            && asked.len() == instructions.len()
            && instructions.iter().all(|ours| asked.iter().any(|theirs| has_all(ours, theirs)))
    }
}

impl LaunchDarkly {
    fn requests_address(&self, key: &str, rest: &[&str]) -> Url {
        let path = ["api", "v2", "projects", &self.project, "flags", key, "environments", &self.environment];
        self.api.address(&[path.as_slice(), &["approval-requests"], rest].concat())
    }

    /// Does the change if it was approved; else asks for it, once, and says what is waited for.
    pub(super) async fn approved(&self, key: &str, order: Order, instructions: &[Value]) -> Result<(), FlagError> {
        let title = order.title(key);
        let mut open = self.open_requests(key).await?;
        let at = open.iter().position(|request| request.asks_for(&title, instructions));
        let ours = at.map(|at| open.swap_remove(at));
        for before in open.iter().filter(|request| request.is_ours()) {
            self.withdraw(key, before).await;
        }
        let request = match ours {
            Some(request) => request,
            None => self.ask(key, &title, instructions).await?,
        };
        let place = format!("approval request {} (\"{title}\") in the environment `{}`", request.id, self.environment);
        let waits = match request.review_status.as_str() {
            "approved" => return self.apply(key, &request, &place).await,
            "declined" => format!("{place} was declined; no other one is made until it is deleted"),
            _ => format!("{place} waits for a person who may review it there"),
        };
        Err(self.api.review(key, self.api.clean(&waits)))
    }

    /// Everybody's.
    async fn open_requests(&self, key: &str) -> Result<Vec<Request>, FlagError> {
        let mut url = self.requests_address(key, &[]);
        let mut open = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(page) = self.page::<Request>(key, url).await? else { return Ok(open) };
            open.extend(page.items.into_iter().filter(Request::is_open));
            match page.links.next {
                Some(next) => url = self.api.linked(&next.href)?,
                None => return Ok(open),
            }
        }
        Err(self.api.unreadable("its list of approval requests does not end"))
    }

    /// Takes back what was asked for before: approved later, it would undo what is wanted now.
    async fn withdraw(&self, key: &str, request: &Request) {
        let url = self.requests_address(key, &[&request.id]);
        let answer = self.api.answer_once(Of::write(key), |client| client.delete(url.clone())).await;
        let is_done = answer.is_ok_and(|answer| answer.status.is_success());
        if !is_done {
            tracing::warn!(
                flag.key = key,
                "Could not withdraw an approval request of LaunchDarkly that is not wanted any more"
            );
        }
    }

    async fn ask(&self, key: &str, title: &str, instructions: &[Value]) -> Result<Request, FlagError> {
        let url = self.requests_address(key, &[]);
        let comment = "The runtime asks again until this is applied, and applies it itself once it is approved.";
        let body = json!({ "description": title, "comment": comment, "instructions": instructions });
        let of = Of::write(key);
        let answer = self.api.answer_once(of, |client| client.post(url.clone()).json(&body)).await?;
        if answer.status == StatusCode::FORBIDDEN {
            let problem = "it needs an approval, and the token may not ask for one: allow it `createApprovalRequest`";
            return Err(self.api.review(key, problem));
        }
        self.api.json(of, &answer)
    }

    async fn apply(&self, key: &str, request: &Request, place: &str) -> Result<(), FlagError> {
        #[derive(Deserialize)]
        struct Applied {
            status: String,
        }
        let url = self.requests_address(key, &[&request.id, "apply"]);
        let body = json!({ "comment": "Outcome Runtime" });
        let of = Of::write(key);
        let answer = self.api.answer_once(of, |client| client.post(url.clone()).json(&body)).await?;
        let problem = match answer.status {
            StatusCode::FORBIDDEN => "apply it there, or allow the token `applyApprovalRequest`".to_owned(),
            status if status.is_client_error() => {
                format!("LaunchDarkly could not apply it: {}", self.api.said(&answer))
            }
            _ => match self.api.json::<Applied>(of, &answer)? {
                Applied { status } if status == "failed" => {
                    "LaunchDarkly could not apply it; look there why".to_owned()
                }
                Applied { .. } => return Ok(()),
            },
        };
        Err(self.api.review(key, format!("{} is approved; {problem}", self.api.clean(place))))
    }
}
