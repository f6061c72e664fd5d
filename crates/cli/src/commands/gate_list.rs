//! `gate decide` with several gates: each is shown, and one passphrase decides them all.

use outcome_core::domain::{Assurance, GateType, Surface, Verdict};
use outcome_core::usecases::{DecideRequest, Decided, GateView, Runtime};
use outcome_core::{Code, Error, Result};

use super::gate_decide::{ask_verdict, can_be_asked, decided, must_be_open, must_have_verdict, valid};
use super::gate_view::show;
use crate::args;
use crate::cx::Cx;

/// Runs it. What fails ends the list; what was decided before stays decided.
pub async fn run(cx: &Cx, runtime: &Runtime, args: args::Decide) -> Result<()> {
    if let Some(flag) = of_one_gate(&args) {
        return Err(Error::new(Code::InvalidInput, format!("{flag} belongs to one gate, and several are named"))
            .hint(format!("decide the gate that needs {flag} by itself")));
    }
    let mut views: Vec<GateView> = Vec::new();
    for gate in &args.gates {
        let mut view = runtime.gates().show(gate).await?;
        must_be_open(&view)?;
        must_be_alone(&view)?;
        // Conditions are about one gate.
        view.context.verdicts.retain(|verdict| *verdict != Verdict::ApproveWithConditions);
        must_have_verdict(cx, args.verdict.map(|given| valid(&view, given, false)).transpose()?, &view)?;
        if let Err(error) = can_be_asked(cx, &args.unlock.unlock, &view) {
            runtime.gates().refused(&view, args.verdict, &error).await;
            return Err(error);
        }
        if views.iter().all(|known| known.id != view.id) {
            views.push(view);
        }
    }
    let mut wanted: Vec<(GateView, Verdict)> = Vec::new();
    for view in views {
        cx.out.show(|page| show(page, &view, runtime.now(), None))?;
        let verdict = match args.verdict {
            Some(given) => given,
            None => ask_verdict(cx, runtime, &view, false)?,
        };
        wanted.push((view, verdict));
    }
    let unlock = cx.unlock(runtime, &args.unlock.unlock, &format!("decide these {} gates", wanted.len())).await?;
    let n_wanted = wanted.len();
    let mut done: Vec<Decided> = Vec::new();
    for (view, verdict) in wanted {
        let request = DecideRequest {
            gate: view.id.to_string(),
            verdict,
            conditions: Vec::new(),
            note: args.note.clone(),
            context_hash: Some(view.context_hash),
            member: args.member.clone(),
            unlock: unlock.clone(),
            surface: Surface::Terminal,
        };
        match runtime.gates().decide(request).await {
            Ok(one) => done.push(one),
            Err(error) => {
                let names: Vec<&str> = done.iter().filter_map(|one| one.gate.as_deref()).collect();
                let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                let message = format!("gate `{}`: {}", view.gate, error.message());
                let hint = error.hint_text().map(|hint| format!("; {hint}")).unwrap_or_default();
                return Err(Error::new(error.code(), message)
                    .hint(format!("decided before: {names} ({} of {n_wanted}){hint}", done.len())));
            }
        }
    }
    cx.out.result(&done, |page| done.iter().for_each(|one| decided(page, one)))
}

/// A flag whose value is about one gate.
fn of_one_gate(args: &args::Decide) -> Option<&'static str> {
    [
        ("--condition", !args.condition.is_empty()),
        ("--context-hash", args.context_hash.is_some()),
        ("--unsigned", args.unlock.unsigned),
        ("--key", args.unlock.unlock.touch.is_some()),
        ("--confirm-checklist", args.confirm_checklist),
    ]
    .into_iter()
    .find_map(|(flag, is_given)| is_given.then_some(flag))
}

/// What turns something on, or changes what is judged and how, is looked at by itself.
fn must_be_alone(view: &GateView) -> Result<()> {
    let alone = match view.gate_type {
        GateType::LaunchApproval
        | GateType::AnalysisReview
        | GateType::ScaleApproval
        | GateType::ShipApproval
        | GateType::ChangeApproval => true,
        GateType::PortfolioReview | GateType::Escalation => false,
    };
    if !alone && view.assurance < Assurance::A4 {
        return Ok(());
    }
    Err(Error::new(Code::InvalidInput, format!("gate `{}` is decided by itself, not in a list", view.gate))
        .hint(format!("run `outcome-runtime gate decide {}`", view.gate)))
}
