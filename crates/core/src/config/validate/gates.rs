//! Who decides, until when, and how surely.

use std::collections::{BTreeMap, HashMap};

use super::channel::channel;
use super::report::{At, Context, Problem, Reporter, at_least_one, email, text};
use crate::config::file::{GateFile, GatesFile};
use crate::domain::{Assurance, GatePolicy, GateType};

pub(super) fn gates(
    file: Option<&At<GatesFile>>,
    context: &Context,
    reporter: &mut Reporter<'_>,
) -> BTreeMap<GateType, GatePolicy> {
    let Some(file) = file else { return BTreeMap::new() };
    let gates = [
        (GateType::PortfolioReview, &file.portfolio_review),
        (GateType::LaunchApproval, &file.launch_approval),
        (GateType::AnalysisReview, &file.analysis_review),
        (GateType::ScaleApproval, &file.scale_approval),
        (GateType::ShipApproval, &file.ship_approval),
        (GateType::Escalation, &file.escalation),
    ];
    gates
        .into_iter()
        .filter_map(|(gate_type, gate)| Some((gate_type, policy(gate_type, gate.as_ref()?, context, reporter)?)))
        .collect()
}

fn policy(gate_type: GateType, gate: &GateFile, context: &Context, reporter: &mut Reporter<'_>) -> Option<GatePolicy> {
    let chain: &[At<String>] = gate.escalation.as_ref().map_or(&[], |list| list.value.as_slice());
    for at in gate.assigned_to.iter().chain(chain) {
        email(at, reporter);
    }
    check_chain(gate.assigned_to.as_ref(), chain, reporter);
    if let Some(at) = &gate.channel {
        channel(at, context, reporter);
    }
    check_assurance(gate_type, gate, reporter);
    let quorum = at_least_one(gate.quorum.as_ref(), "`quorum`", "leave it out: one member decides", reporter);
    Some(GatePolicy {
        assigned_to: text(gate.assigned_to.as_ref()),
        sla: gate.sla.as_ref()?.value,
        channel: text(gate.channel.as_ref()),
        escalation: chain.iter().map(|at| at.value.clone()).collect(),
        assurance: gate.assurance.as_ref()?.value.0,
        quorum: quorum?,
    })
}

/// Warns of a person who is asked twice in a row of people.
fn check_chain(assigned_to: Option<&At<String>>, chain: &[At<String>], reporter: &mut Reporter<'_>) {
    let mut asked = HashMap::new();
    for at in assigned_to.into_iter().chain(chain) {
        let Some(earlier) = asked.insert(at.value.to_ascii_lowercase(), at.span) else { continue };
        reporter.push(
            Problem::warning(
                "config.escalation_to_same",
                at.span,
                "the gate escalates to a person who was already asked",
            )
            .also(earlier, "asked here")
            .valid("a different person at each step")
            .help("name a different person: the first one did not answer in time"),
        );
    }
}

fn check_assurance(gate_type: GateType, gate: &GateFile, reporter: &mut Reporter<'_>) {
    let Some(assurance) = &gate.assurance else { return };
    if assurance.value.0 < Assurance::A3 && gate_type.floor() < Assurance::A3 {
        reporter.push(
            Problem::warning(
                "config.assurance_too_low",
                assurance.span,
                "nothing is approved without a signature, so A3 counts here",
            )
            .valid("`A3` (a passphrase) or `A4` (a hardware key)")
            .help("leave it out: A3 is the default"),
        );
    } else if assurance.value.0 < gate_type.floor() {
        reporter.push(
            Problem::error(
                "config.assurance_too_low",
                assurance.span,
                format!("`{gate_type}` needs a decision with at least A3; A2 is without a signature"),
            )
            .valid("`A3` (a passphrase) or `A4` (a hardware key)")
            .help("write `assurance: A3`, or leave it out: A3 is the default"),
        );
    }
}
