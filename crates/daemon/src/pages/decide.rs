//! The decision form: one signature for one verdict over exactly what was shown.

use askama::Template;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect};
use outcome_core::domain::{ContextPackage, Surface, Verdict};
use outcome_core::present::words;
use outcome_core::usecases::{DecideRequest, PageSession, Unlock};
use outcome_core::{Code, Error};
use secrecy::{ExposeSecret as _, SecretString};

use super::gate::{Filled, Made, made, page};
use super::{Frame, PageResult, html};
use crate::App;
use crate::auth::limiter::{Purpose, Who};
use crate::serve::Peer;

struct Form {
    filled: Filled,
    context_hash: String,
    passphrase: SecretString,
}

impl Form {
    fn parse(body: &[u8]) -> Self {
        let mut form =
            Self { filled: Filled::default(), context_hash: String::new(), passphrase: SecretString::default() };
        for (name, value) in url::form_urlencoded::parse(body) {
            match &*name {
                "verdict" => form.filled.verdict = value.parse().ok(),
                "conditions" => form.filled.conditions = value.into_owned(),
                "note" => form.filled.note = value.into_owned(),
                "check" => form.filled.ticked.extend(value.parse::<usize>()),
                "context_hash" => form.context_hash = value.into_owned(),
                "passphrase" => form.passphrase = SecretString::from(value.into_owned()),
                _ => {}
            }
        }
        form
    }

    /// What the form itself can get wrong; everything else the use case judges.
    fn verdict(&self, shown: &ContextPackage) -> Result<Verdict, Error> {
        let invalid = |message: &str| Error::new(Code::InvalidInput, message);
        let verdict = self.filled.verdict.ok_or_else(|| invalid("choose a verdict"))?;
        if !shown.verdicts.contains(&verdict) {
            return Err(invalid("this gate does not offer this verdict"));
        }
        let is_ticked = |index: usize| self.filled.ticked.contains(&index);
        if !verdict.is_negative() && !(0..shown.checklist.len()).all(is_ticked) {
            return Err(invalid("confirm every rule of the checklist, or choose a verdict that does not approve"));
        }
        if self.passphrase.expose_secret().is_empty() {
            return Err(Error::new(
                Code::PassphraseNeeded,
                "enter your passphrase: it unlocks your key for this one decision",
            ));
        }
        Ok(verdict)
    }

    /// One condition a line. They belong to one verdict only, so they cannot slip into another.
    fn conditions(&self, verdict: Verdict) -> Vec<String> {
        if verdict != Verdict::ApproveWithConditions {
            return Vec::new();
        }
        self.filled.conditions.lines().map(str::trim).filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect()
    }
}

/// POST /gates/{slug}/decide
pub(crate) async fn submit(
    State(app): State<App>,
    Extension(session): Extension<PageSession>,
    Extension(Peer(peer)): Extension<Peer>,
    Path(slug): Path<String>,
    body: Bytes,
) -> PageResult {
    let form = Form::parse(&body);
    let view = app.runtime.gates().show(&slug).await?;
    let done = match form.verdict(&view.context) {
        Ok(verdict) => {
            let member = session.member.id.to_string();
            let note = form.filled.note.trim();
            let request = DecideRequest {
                gate: slug.clone(),
                verdict,
                conditions: form.conditions(verdict),
                note: (!note.is_empty()).then(|| note.to_owned()),
                context_hash: Some(form.context_hash.clone()),
                member: Some(member.clone()),
                unlock: Unlock::Passphrase(form.passphrase.clone()),
                surface: Surface::Page,
            };
            app.limiter.attempt(Who::new(Purpose::Decide, peer, &member), app.runtime.gates().decide(request)).await
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(decided) => {
            let gate = decided.gate.unwrap_or(slug);
            tracing::info!(gate = %gate, verdict = %decided.verdict, member = %session.member.id, "Decided `{gate}`");
            Ok(Redirect::to(&format!("/gates/{gate}/decided")).into_response())
        }
        Err(error) => page(&app, &session, &slug, form.filled, Some(error)).await,
    }
}

#[derive(Template)]
#[template(path = "decided.html")]
struct DecidedPage {
    frame: Frame,
    slug: String,
    kind: String,
    status: String,
    is_closed: bool,
    made: Vec<Made>,
    outcome: Option<String>,
    experiment: Option<(String, String)>,
    context_hash: String,
    undelivered: Vec<String>,
}

/// GET /gates/{slug}/decided
pub(crate) async fn done(
    State(app): State<App>,
    Extension(session): Extension<PageSession>,
    Path(slug): Path<String>,
) -> PageResult {
    let view = app.runtime.gates().show(&slug).await?;
    let made = made(&view);
    if made.is_empty() {
        return Ok(Redirect::to(&format!("/gates/{}", view.gate)).into_response());
    }
    let experiment = match &view.context.experiment {
        Some(experiment) => {
            let found = app.runtime.experiments().show(experiment.as_str()).await?.experiment;
            Some((found.slug.to_string(), words(found.state.status.as_str())))
        }
        None => None,
    };
    let page = DecidedPage {
        frame: Frame::new("Decided", Some(&session)),
        kind: words(view.gate_type.as_str()),
        status: words(view.status.as_str()),
        is_closed: view.status.is_decided(),
        made,
        outcome: view.context.outcome.as_ref().map(ToString::to_string),
        experiment,
        undelivered: app.runtime.workspaces().status(true).await?.undelivered,
        context_hash: view.context_hash,
        slug: view.gate,
    };
    Ok(html(StatusCode::OK, &page))
}
