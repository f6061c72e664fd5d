//! Changes by draft revisions: made, looked at, and published, or left for review. GrowthBook merges what it publishes with what others
//! published since, or refuses; so nobody's change is lost.
//!
//! **Invariant**: a draft is published only after it was read back as what was wished, and where reviews are demanded only after one was
//! given, whatever the key may do. Of the drafts only those that the runtime made are touched.

use outcome_core::ports::FlagError;
use reqwest::StatusCode;
use serde_json::json;

use super::super::api::{MAX_PAGES, Of, foreign};
use super::client::Growthbook;
use super::judge::{Wish, coverage, is_live, is_wished, ours};
use super::wire::{Blocked, Feature, OfRevision, Revision, Revisions};

/// What came of a change.
pub(super) enum Landed {
    /// It is live.
    Done,
    /// Somebody else was faster: read it again and decide again.
    Conflict(FlagError),
}

/// Drafts of one page.
const PAGE: usize = 100;

impl Growthbook {
    /// By what a draft of ours is found again.
    fn comment(&self, wish: Wish) -> String {
        match wish {
            Wish::Share(treatment_pct) => format!("{}on at {treatment_pct} %", self.mark()),
            Wish::On => format!("{}on again", self.mark()),
            Wish::Off => format!("{}off", self.mark()),
        }
    }

    fn mark(&self) -> String {
        format!("Outcome Runtime, {}: ", self.at.environment)
    }

    /// Our open drafts in this environment.
    pub(super) async fn our_drafts(&self, key: &str) -> Result<Vec<Revision>, FlagError> {
        let mut found = Vec::new();
        for page in 0..MAX_PAGES {
            let mut url = self.feature_url(key, &["revisions"]);
            let offset = page.saturating_mul(PAGE).to_string();
            url.query_pairs_mut().extend_pairs([
                ("status", "all-drafts"),
                ("limit", &PAGE.to_string()),
                ("offset", &offset),
            ]);
            let answer = self.api.answer(Of::read(key), |client| client.get(url.clone())).await?;
            let Revisions { revisions, has_more } = self.api.json(Of::read(key), &answer)?;
            found.extend(revisions.into_iter().filter(|draft| draft.comment.starts_with(&self.mark())));
            if !has_more {
                return Ok(found);
            }
        }
        Err(self.api.unreadable(format!("it has more than {MAX_PAGES} pages of drafts")))
    }

    /// Throws our drafts away, but for one: approved later, an old one would undo what was decided since.
    pub(super) async fn forget_drafts(
        &self,
        key: &str,
        drafts: &[Revision],
        but: Option<i64>,
    ) -> Result<(), FlagError> {
        for draft in drafts.iter().filter(|draft| Some(draft.version) != but) {
            let url = self.feature_url(key, &["revisions", &draft.version.to_string(), "discard"]);
            let answer = self.api.answer(Of::write(key), |client| client.post(url.clone()).json(&json!({}))).await?;
            // 400 and 404: it is published or thrown away already.
            if !matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND) {
                self.api.done(Of::write(key), &answer)?;
            }
        }
        Ok(())
    }

    /// Changes the feature as it was read.
    pub(super) async fn land(&self, key: &str, feature: &Feature, wish: Wish) -> Result<Landed, FlagError> {
        let rule = ours(feature, &self.at).ok().map(|ours| ours.rule);
        let comment = self.comment(wish);
        let drafts = self.our_drafts(key).await?;
        let same = drafts
            .iter()
            .find(|draft| draft.comment == comment && is_wished(draft, feature, &self.at, wish, rule.as_deref()));
        self.forget_drafts(key, &drafts, same.map(|draft| draft.version)).await?;
        let draft = match same {
            Some(draft) => draft.clone(),
            None => match self.draft(key, feature, wish, rule.as_deref()).await? {
                Ok(draft) => draft,
                Err(conflict) => return Ok(Landed::Conflict(conflict)),
            },
        };
        // GrowthBook itself decides about turning off: a key that may do it without a review was let through at the switch.
        let must_ask = draft.status == "draft" && wish != Wish::Off && self.demands_review(feature).await?;
        match draft.status.as_str() {
            _ if must_ask => Err(self.ask_for_review(key, &draft).await?),
            "approved" => self.publish(key, &draft, wish).await,
            "draft" => self.publish(key, &draft, wish).await,
            _ => Err(self.waits(key, &draft)),
        }
    }

    /// A new draft with the change, read back; the inner error is that of somebody who has published meanwhile.
    async fn draft(
        &self,
        key: &str,
        feature: &Feature,
        wish: Wish,
        rule: Option<&str>,
    ) -> Result<Result<Revision, FlagError>, FlagError> {
        let of = Of::write(key);
        let url = self.feature_url(key, &["revisions"]);
        let body = json!({ "comment": self.comment(wish), "title": self.comment(wish) });
        let answer = self.api.answer_once(of, |client| client.post(url.clone()).json(&body)).await?;
        let OfRevision { revision: mut draft } = self.api.json(of, &answer)?;
        let version = draft.version.to_string();
        if draft.base_version != feature.revision.version {
            self.forget_drafts(key, std::slice::from_ref(&draft), None).await?;
            return Ok(Err(self
                .api
                .unreadable(format!("its draft {version} is of another revision than the one that was read"))));
        }
        let edited = async {
            if let (Wish::Share(treatment_pct), Some(rule)) = (wish, rule) {
                let url = self.feature_url(key, &["revisions", &version, "rules", rule]);
                let body =
                    json!({ "rule": { "coverage": coverage(treatment_pct), "hashAttribute": self.at.hash_attribute } });
                let answer = self.api.answer(of, |client| client.put(url.clone()).json(&body)).await?;
                draft = self.api.json::<OfRevision>(of, &answer)?.revision;
            }
            let was_on = feature.environments.get(&self.at.environment).is_some_and(|one| one.enabled);
            if was_on != (wish != Wish::Off) {
                let url = self.feature_url(key, &["revisions", &version, "toggle"]);
                let body = json!({ "environment": self.at.environment, "enabled": !was_on });
                let answer = self.api.answer(of, |client| client.post(url.clone()).json(&body)).await?;
                draft = self.api.json::<OfRevision>(of, &answer)?.revision;
            }
            match is_wished(&draft, feature, &self.at, wish, rule) {
                true => Ok(draft.clone()),
                false => Err(self
                    .api
                    .unreadable(format!("its draft {version} is not what was asked for; nothing was published"))),
            }
        }
        .await;
        if edited.is_err() {
            self.forget_drafts(key, std::slice::from_ref(&draft), None).await?;
        }
        edited.map(Ok)
    }

    async fn publish(&self, key: &str, draft: &Revision, wish: Wish) -> Result<Landed, FlagError> {
        let of = Of::write(key);
        let url = self.feature_url(key, &["revisions", &draft.version.to_string(), "publish"]);
        let body = json!({ "comment": draft.comment });
        let answer = self.api.answer_once(of, |client| client.post(url.clone()).json(&body)).await?;
        if answer.status.is_success() {
            let OfRevision { revision } = self.api.json(of, &answer)?;
            return self.confirm(key, &revision).await;
        }
        let refusal = self.api.refused(of, &answer);
        match Blocked::by(answer.status.as_u16(), &answer.body) {
            Blocked::Review if draft.status == "draft" => Err(self.ask_for_review(key, draft).await?),
            Blocked::Review => Err(self.waits(key, draft)),
            blocked => {
                self.forget_drafts(key, std::slice::from_ref(draft), None).await?;
                match blocked {
                    Blocked::Stale => Ok(Landed::Conflict(refusal)),
                    Blocked::Ramp => {
                        let problem = format!("a ramp of GrowthBook locks it: {}", self.api.said(&answer));
                        Err(match wish {
                            Wish::Share(_) => foreign(key, problem),
                            Wish::On | Wish::Off => self.api.review(key, format!("{problem}; end the ramp there")),
                        })
                    }
                    Blocked::Review | Blocked::Other => Err(refusal),
                }
            }
        }
    }

    /// Compares what was published with what is live.
    async fn confirm(&self, key: &str, published: &Revision) -> Result<Landed, FlagError> {
        let version = published.version;
        let problem = |what: &str| self.api.unreadable(format!("its revision {version} {what}"));
        match self.find(key).await? {
            Some(feature) if published.status != "published" && feature.revision.version != version => {
                Err(problem(&format!("is `{}`, not published", published.status)))
            }
            Some(feature) if is_live(&feature, published) => Ok(Landed::Done),
            Some(feature) if feature.revision.version > version => {
                Ok(Landed::Conflict(problem("was followed by another")))
            }
            Some(_) => Err(problem("was published, and what is live is not the same: look at both in GrowthBook")),
            None => Err(problem("was published, and the feature is gone")),
        }
    }

    async fn ask_for_review(&self, key: &str, draft: &Revision) -> Result<FlagError, FlagError> {
        let url = self.feature_url(key, &["revisions", &draft.version.to_string(), "request-review"]);
        let body = json!({ "comment": draft.comment });
        let answer = self.api.answer(Of::write(key), |client| client.post(url.clone()).json(&body)).await?;
        // 400: it was asked for already.
        if answer.status != StatusCode::BAD_REQUEST {
            self.api.done(Of::write(key), &answer)?;
        }
        Ok(self.waits(key, draft))
    }

    fn waits(&self, key: &str, draft: &Revision) -> FlagError {
        let what = match draft.status.as_str() {
            "changes-requested" => "got changes requested in its review: discard it, or approve it",
            "approved" => "is approved, but not by all whose approval GrowthBook demands",
            _ => "waits for a review",
        };
        let Revision { version, comment, .. } = draft;
        self.api.review(
            key,
            self.api.clean(&format!("its draft revision {version} ({comment}) {what}; the runtime publishes it then")),
        )
    }
}
