//! Who decides, until when, and how surely.

use std::collections::{BTreeMap, HashMap};

use super::channel::channel;
use super::report::{At, Context, Problem, Reporter, at_least_one, email, list, shown, text};
use crate::config::file::{GateFile, GatesFile, RootFile};
use crate::domain::{Assurance, GatePolicy, GateType};

pub(super) fn gates(
    file: Option<&At<GatesFile>>,
    context: &Context,
    reporter: &mut Reporter<'_>,
) -> BTreeMap<GateType, GatePolicy> {
    let Some(file) = file else { return BTreeMap::new() };
    each(&file.value)
        .into_iter()
        .filter_map(|(gate_type, gate)| Some((gate_type, policy(gate_type, gate?, context, reporter)?)))
        .collect()
}

/// Every type of gate, with what the file says of it.
fn each(file: &GatesFile) -> [(GateType, Option<&At<GateFile>>); 6] {
    [
        (GateType::PortfolioReview, file.portfolio_review.as_ref()),
        (GateType::LaunchApproval, file.launch_approval.as_ref()),
        (GateType::AnalysisReview, file.analysis_review.as_ref()),
        (GateType::ScaleApproval, file.scale_approval.as_ref()),
        (GateType::ShipApproval, file.ship_approval.as_ref()),
        (GateType::Escalation, file.escalation.as_ref()),
    ]
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
    check_quorum(gate.quorum.as_ref(), reporter);
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

/// One member cannot agree with another.
fn check_quorum(quorum: Option<&At<u32>>, reporter: &mut Reporter<'_>) {
    let Some(quorum) = quorum.filter(|quorum| quorum.value > 1) else { return };
    let message = format!("a workspace has one member in this version, so {} cannot agree", quorum.value);
    reporter.push(
        Problem::error_in_proposal("config.quorum_unavailable", quorum.span, message)
            .valid("`1`")
            .help("leave `quorum` out: one member decides"),
    );
}

/// Warns of a person who is asked and is not one of `members`.
pub(in crate::config) fn unknown_members(file: &RootFile, members: &[String], reporter: &mut Reporter<'_>) {
    let outcomes = file.outcomes.iter().flat_map(|list| &list.value);
    for gate in outcomes.filter_map(|outcome| outcome.value.gates.as_ref()).flat_map(|gates| each(&gates.value)) {
        let Some(gate) = gate.1 else { continue };
        let chain = gate.escalation.iter().flat_map(|list| &list.value);
        for at in gate.assigned_to.iter().chain(chain) {
            if members.iter().any(|member| member.eq_ignore_ascii_case(&at.value)) {
                continue;
            }
            let message = format!("`{}` is not a member of this workspace", shown(&at.value));
            reporter.push(
                Problem::warning("config.unknown_member", at.span, message)
                    .valid(list(&members.iter().map(String::as_str).collect::<Vec<_>>()))
                    .help("leave it out: the workspace's first member is asked"),
            );
        }
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
