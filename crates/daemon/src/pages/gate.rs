//! The gate's page: everything a human needs to decide, and what exactly will be signed.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use outcome_core::digest::{canonical_json, sha256_hex};
use outcome_core::domain::{Assurance, GateStatus, Verdict};
use outcome_core::present::{Glance, Row, Section, Value, due, glance, instant, sections, words};
use outcome_core::usecases::{GateView, NewWriter, PageSession};
use outcome_core::{Code, Error};

use super::{Frame, PageResult, Trouble, html};
use crate::App;

/// GET /gates/{slug}
pub(crate) async fn show(
    State(app): State<App>,
    Extension(session): Extension<PageSession>,
    Path(slug): Path<String>,
) -> PageResult {
    page(&app, &session, &slug, Filled::default(), None).await
}

/// What a human had filled in when something went wrong; never the passphrase.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub(super) verdict: Option<Verdict>,
    pub(super) conditions: String,
    pub(super) note: String,
    /// Positions of the ticked sentences.
    pub(super) ticked: Vec<usize>,
}

struct Choice {
    value: &'static str,
    label: &'static str,
    effect: &'static str,
    is_chosen: bool,
}

struct Tick {
    index: usize,
    text: String,
    is_ticked: bool,
}

/// A decision that was made.
pub(super) struct Made {
    pub(super) verdict: String,
    pub(super) at: String,
    pub(super) assurance: String,
    pub(super) note: Option<String>,
    pub(super) conditions: Vec<String>,
}

#[derive(Template)]
#[template(path = "gate.html")]
struct GatePage {
    frame: Frame,
    trouble: Option<Trouble>,
    slug: String,
    kind: String,
    question: String,
    outcome: Option<String>,
    experiment: Option<String>,
    holder: Option<String>,
    new_writers: Vec<NewWriter>,
    is_mine: bool,
    due: String,
    due_at: String,
    is_overdue: bool,
    status: String,
    is_timed_out: bool,
    agent_says: Option<String>,
    recommendation: Option<String>,
    doubts: Vec<String>,
    facts: Vec<Row>,
    signed: Vec<Row>,
    sections: Vec<Section>,
    is_open: bool,
    choices: Vec<Choice>,
    takes_conditions: bool,
    checklist: Vec<Tick>,
    conditions: String,
    note: String,
    csrf: String,
    member: String,
    context_hash: String,
    needs_more: Option<String>,
    made: Vec<Made>,
    raw: String,
}

/// The page, with an error and what had been filled in where there was one.
pub(super) async fn page(
    app: &App,
    session: &PageSession,
    slug: &str,
    filled: Filled,
    error: Option<Error>,
) -> PageResult {
    let view = app.runtime.gates().show(slug).await?;
    check_hash(&view)?;
    let status = error.as_ref().map_or(StatusCode::OK, |error| {
        StatusCode::from_u16(error.code().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    });
    let page = build(app, session, view, filled, error.as_ref().map(Trouble::of));
    let mut response: Response = html(status, &page);
    if let Some(error) = &error {
        crate::http::problem::log(error, status);
        crate::http::problem::retry_after(error, &mut response);
    }
    Ok(response)
}

/// What is shown must be what the hash stands for. The use case checks it again before anything is signed.
fn check_hash(view: &GateView) -> Result<(), Error> {
    let text = canonical_json(&view.context)
        .map_err(|e| Error::new(Code::Internal, "what the gate shows cannot be written").because(e))?;
    if sha256_hex(&text) == view.context_hash {
        return Ok(());
    }
    Err(Error::new(Code::StateTampered, format!("gate `{}` does not show what was asked", view.gate))
        .hint("another program wrote to the database; run `outcome-runtime audit verify`"))
}

fn build(app: &App, session: &PageSession, view: GateView, filled: Filled, trouble: Option<Trouble>) -> GatePage {
    let context = &view.context;
    let Glance { doubts, facts, signed } = glance(context, view.answer.as_ref(), &view.context_hash);
    let minutes = view.due_at.duration_since(app.runtime.now()).as_mins();
    GatePage {
        frame: Frame::new(words(view.gate_type.as_str()), Some(session)),
        trouble,
        kind: words(view.gate_type.as_str()),
        question: context.question.clone(),
        outcome: context.outcome.as_ref().map(ToString::to_string),
        experiment: context.experiment.as_ref().map(ToString::to_string),
        is_mine: crate::api::gates::is_held_by(&view, &session.member),
        due: due(minutes),
        due_at: instant(view.due_at),
        is_overdue: minutes < 0,
        status: words(view.status.as_str()),
        is_timed_out: view.status == GateStatus::TimedOut,
        agent_says: context.agent_says.clone(),
        recommendation: context.recommendation.clone(),
        doubts,
        facts,
        signed,
        sections: sections(context),
        is_open: matches!(view.status, GateStatus::Pending | GateStatus::TimedOut),
        choices: context.verdicts.iter().map(|verdict| choice(*verdict, filled.verdict)).collect(),
        takes_conditions: context.verdicts.contains(&Verdict::ApproveWithConditions),
        checklist: context
            .checklist
            .iter()
            .enumerate()
            .map(|(index, text)| Tick { index, text: text.clone(), is_ticked: filled.ticked.contains(&index) })
            .collect(),
        conditions: filled.conditions,
        note: filled.note,
        csrf: session.csrf.clone(),
        member: session.member.shown(),
        needs_more: (view.assurance > Assurance::A3)
            .then(|| format!("An approval here needs {} ({}).", view.assurance, view.assurance.label())),
        made: made(&view),
        raw: serde_json::to_string_pretty(context).unwrap_or_default(),
        holder: view.holder,
        new_writers: view.new_writers,
        context_hash: view.context_hash,
        slug: view.gate,
    }
}

/// The decisions of a gate for people.
pub(super) fn made(view: &GateView) -> Vec<Made> {
    view.decisions
        .iter()
        .map(|decision| Made {
            verdict: words(decision.verdict.as_str()),
            at: instant(decision.decided_at),
            assurance: format!("{}, {}", decision.assurance, decision.assurance.label()),
            note: decision.note.clone(),
            conditions: decision.conditions.clone(),
        })
        .collect()
}

fn choice(verdict: Verdict, chosen: Option<Verdict>) -> Choice {
    let (label, effect) = match verdict {
        Verdict::Approve => ("Approve", "Continue exactly as shown."),
        Verdict::ApproveWithConditions => {
            ("Approve with conditions", "Continue under the conditions that you enter below.")
        }
        Verdict::Reject => ("Reject", "Do not continue."),
        Verdict::Rework => ("Send back for rework", "The builder changes the build and reports it again."),
        Verdict::Extend => {
            ("Extend", "Keep measuring with the current split. A flag that was turned off goes on again.")
        }
        Verdict::Scale => ("Scale", "Go to the next rollout step."),
        Verdict::Ship => ("Ship", "Open the gate that approves shipping to everyone."),
        Verdict::Iterate => ("Iterate", "Turn the flag off, end this experiment and draft a successor."),
        Verdict::Kill => ("Kill", "Turn the flag off and end the experiment. The learning is kept."),
        Verdict::Pause => ("Pause", "Turn the flag off until someone resumes the experiment."),
        Verdict::Detach => ("Detach", "Guard it no longer. Its flag stays as it is there."),
        Verdict::Resume => ("Resume", "Turn the flag on again, at its previous share."),
        Verdict::AcceptPolicy => ("Accept the policy", "The gate accepts lower assurance from now on."),
        Verdict::ConfirmAchieved => ("Confirm", "The outcome is achieved."),
        Verdict::Activate => ("Activate", "The horizon begins."),
        Verdict::Abandon => ("Abandon", "End the outcome without further experiments."),
        Verdict::CorrectQuery => ("Correct the query", "Read the signal with the corrected query from now on."),
        Verdict::ForgetReading => ("Forget the reading", "The reading does not count any more."),
        Verdict::RevokeKey => ("Revoke the key", "The key does not count any more."),
        Verdict::MarkCompromised => ("Mark the key", "What was signed with it since then is doubtful."),
        Verdict::ForgetMember => ("Remove the name", "What the member is called is removed from the store."),
        Verdict::Restore => ("Go on from the backup", "The lines that were lost stay lost."),
        Verdict::Vouch => ("Vouch for the log", "What an older program wrote counts as signed."),
    };
    Choice { value: verdict.as_str(), label, effect, is_chosen: chosen == Some(verdict) }
}
