//! Statsig's own reviews. A change that needs one is asked for once and found again; what was accepted is committed.
//!
//! **Invariant**: nothing here approves, and a review that somebody rejected is not asked for again while it is open.

use outcome_core::ports::FlagError;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use url::Url;

use super::Statsig;
use super::change::{Change, OURS};
use super::wire::{Answer, Gate, Review};
use crate::flags::api::Of;

impl Review {
    /// Whether the runtime asked for it.
    pub(super) fn is_ours(&self) -> bool {
        self.description.starts_with(OURS)
    }

    fn named(&self) -> String {
        format!("the review {} (\"{}\")", self.id, self.description)
    }

    pub(super) fn waits(&self) -> String {
        format!("{} waits for a reviewer in Statsig", self.named())
    }

    pub(super) fn comes_first(&self) -> String {
        format!("{} is open on the gate and comes first; it is not the runtime's", self.named())
    }
}

impl Statsig {
    fn reviews_address(&self, key: &str, rest: &[&str]) -> Url {
        self.api.address(&[["console", "v1", "gates", key, "reviews"].as_slice(), rest].concat())
    }

    /// Does the change if it was accepted; else asks for it, once, and says what is waited for.
    pub(super) async fn reviewed(&self, key: &str, gate: &Gate, change: &Change) -> Result<(), FlagError> {
        let waits = match &gate.active_review {
            Some(review) if review.description == change.title => return self.proceed(key, review).await,
            // What was asked for before is not wanted any more.
            Some(review) if review.is_ours() => {
                let url = self.reviews_address(key, &[&review.id]);
                let of = Of::write(key);
                let answer = self.api.answer(of, |client| client.delete(url.clone())).await?;
                self.api.done(of, &answer)?;
                self.ask(key, change).await?
            }
            Some(review) => review.comes_first(),
            None => self.ask(key, change).await?,
        };
        Err(self.api.review(key, self.api.clean(&waits)))
    }

    async fn proceed(&self, key: &str, review: &Review) -> Result<(), FlagError> {
        let place = review.named();
        let waits = match review.status.to_ascii_lowercase().as_str() {
            "accepted" | "approved" | "approved_webhook_validation" => {
                let url = self.reviews_address(key, &[&review.id, "commit"]);
                let of = Of::write(key);
                let answer = self.api.answer_once(of, |client| client.put(url.clone())).await?;
                if !answer.status.is_client_error() {
                    return self.api.json::<IgnoredAny>(of, &answer).map(|_| ());
                }
                format!("{place} is accepted and could not be committed: {}", self.api.said(&answer))
            }
            "rejected" | "changes_requested" => {
                format!("{place} was rejected; no other one is made until it is cancelled in Statsig")
            }
            _ => review.waits(),
        };
        Err(self.api.review(key, self.api.clean(&waits)))
    }

    /// Asks, and says what is waited for.
    async fn ask(&self, key: &str, change: &Change) -> Result<String, FlagError> {
        #[derive(Deserialize)]
        struct Made {
            review_id: String,
        }
        let url = self.reviews_address(key, &[]);
        let body = json!({ "description": change.title, "change": change.change });
        let of = Of::write(key);
        let answer = self.api.answer_once(of, |client| client.post(url.clone()).json(&body)).await?;
        if answer.status.is_client_error() {
            let said = self.api.said(&answer);
            return Ok(format!(
                "it needs a review, and the runtime could not ask for one; make the change in Statsig ({said})"
            ));
        }
        let made: Answer<Made> = self.api.json(of, &answer)?;
        Ok(format!("the review {} (\"{}\") waits for a reviewer in Statsig", made.data.review_id, change.title))
    }
}
