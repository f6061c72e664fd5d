//! Who may do what, and how surely: the page `docs/acts.md`, from the tables and functions that are enforced.

use std::fmt::Write as _;

use super::assurance::needed;
use super::experiment_table::{EXPERIMENT_TABLE, ExperimentEventKind, decided_kind};
use super::outcome::{OUTCOME_TABLE, OutcomeEventKind};
use crate::domain::{Assurance, GatePolicy, GateType, KeyKind, Verdict};
use crate::principal::PrincipalKind;

/// The page.
#[must_use]
pub fn acts_markdown() -> String {
    let mut out = String::from(
        "# Who may do what\n\nGenerated from the tables in `crates/core/src/lifecycle/` by `cargo xtask docs`; do not edit. What holds \
         against whom stands in [security](security.md).\n\n`agent`: a coding agent, over MCP or with a token. `local`: somebody in this \
         OS account, without a signature. `system`: the runtime itself. `human`: a member. Where a level stands, their signature is \
         needed, and the step takes none below it.\n\n## Experiments\n\n",
    );
    head(&mut out, "act");
    for kind in ExperimentEventKind::ALL {
        let by: Vec<PrincipalKind> =
            EXPERIMENT_TABLE.iter().filter(|row| row.event == *kind).flat_map(|row| row.by).copied().collect();
        row(&mut out, kind.as_str(), &by, least_of_experiment(*kind));
    }
    out.push_str("\n## Outcomes\n\n");
    head(&mut out, "act");
    for kind in OutcomeEventKind::ALL {
        let by: Vec<PrincipalKind> =
            OUTCOME_TABLE.iter().filter(|row| row.event == *kind).flat_map(|row| row.by).copied().collect();
        row(&mut out, kind.as_str(), &by, kind.verdict().map(OutcomeEventKind::needed));
    }
    out.push_str(
        "\n`applied` by `system` is what needs no signature, or follows from a `change_approval` gate.\n\n## Gates\n\nOnly `human` decides \
         one. `least` is what the step itself takes; `policy` is what a gate asks for that the outcome file does not mention. A file can \
         ask for more, never for less. `with a key that is touched`: the least while one counts in the workspace, whoever decides.\n\n\
         | gate | verdict | least | policy | with a key that is touched |\n|---|---|---|---|---|\n",
    );
    let policy = GatePolicy::default().at_least_signed().assurance;
    for gate in GateType::ALL {
        for verdict in gate.verdicts() {
            let least = needed(Some(*gate), *verdict, false);
            let touched = needed(Some(*gate), *verdict, true);
            let asked = if verdict.is_negative() { policy.min(Assurance::A2) } else { policy };
            _ = writeln!(out, "| {gate} | {verdict} | {least} | {} | {} |", least.max(asked), touched.max(asked));
        }
    }
    out.push_str(
        "\nTo ship with a key that is touched, its signature must say that the key knew who touched it (a PIN or a finger).\n\n## Keys\n\n\
         No program makes or uses a `local` key any more, so whatever is signed today is A3 or A4. An answer to an elicitation is A1 and \
         decides nothing.\n\n| key | its signatures |\n|---|---|\n",
    );
    for kind in KeyKind::ALL {
        let level = kind.assurance().map_or("decide nothing".to_owned(), |level| format!("{level}, {}", level.label()));
        _ = writeln!(out, "| {kind} | {level} |");
    }
    out
}

fn head(out: &mut String, what: &str) {
    _ = writeln!(out, "| {what} | agent | local | system | human |\n|---|---|---|---|---|");
}

fn row(out: &mut String, act: &str, by: &[PrincipalKind], least: Option<Assurance>) {
    use PrincipalKind::{Agent, Human, Local, System};
    _ = write!(out, "| {act} |");
    for kind in [Agent, Local, System, Human] {
        let cell = match least {
            _ if !by.contains(&kind) => "-".to_owned(),
            Some(least) if kind == Human => format!("signed, {least}"),
            _ => "yes".to_owned(),
        };
        _ = write!(out, " {cell} |");
    }
    out.push('\n');
}

/// The least assurance of the decisions that lead to this step; `None` where no decision does.
fn least_of_experiment(kind: ExperimentEventKind) -> Option<Assurance> {
    if kind == ExperimentEventKind::Corrected {
        return Some(needed(None, Verdict::CorrectQuery, false));
    }
    let gates = GateType::ALL.iter().copied().map(Some).chain([None]);
    let all = gates.flat_map(|gate| Verdict::ALL.iter().map(move |verdict| (gate, *verdict)));
    let leads_to = |gate, verdict| [false, true].iter().any(|is| decided_kind(gate, verdict, *is) == Some(kind));
    all.filter(|(gate, verdict)| leads_to(*gate, *verdict)).map(|(gate, verdict)| needed(gate, verdict, false)).min()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};
    use jiff::Timestamp;
    use pretty_assertions::assert_eq;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::digest::canonical_json;
    use crate::domain::{
        Attachment, Decision, DecisionSubject, Enrolment, ExperimentState, ExperimentStatus, OutcomeState,
        OutcomeStatus, PauseCause, RolloutPlan, SignedDecision, Surface,
    };
    use crate::identity::{Keyring, KnownKey, NEW, VerifiedDecision, enrol, fingerprint};
    use crate::ids::{ExperimentId, KeyId, MemberId, WorkspaceId};
    use crate::lifecycle::{
        AnalysisCause, ExperimentEvent, OutcomeEvent, TransitionError, transition_experiment, transition_outcome,
    };
    use crate::principal::Principal;

    const MEMBER: MemberId = MemberId(Uuid::from_u128(2));

    /// A decision of the member's, in the format that names no state, so that only who and how surely count.
    fn decided(verdict: Verdict, assurance: Assurance) -> VerifiedDecision {
        decided_where(verdict, assurance, false)
    }

    /// The same in a workspace in which a key that is touched counts, or none.
    fn decided_where(verdict: Verdict, assurance: Assurance, is_touched: bool) -> VerifiedDecision {
        let (workspace, id) = (WorkspaceId(Uuid::from_u128(1)), KeyId(Uuid::from_u128(3)));
        let key = SigningKey::from_bytes(&[7; 32]);
        let public_key = hex::encode(key.verifying_key().to_bytes());
        let root = fingerprint(&public_key);
        let enrolment = Enrolment {
            version: Some(2),
            workspace,
            member: MEMBER,
            email: Some("dana@example.com".to_owned()),
            commitments: None,
            key: id,
            kind: KeyKind::Passphrase,
            public_key,
            enrolled_by: id,
            enrolled_at: Timestamp::UNIX_EPOCH,
        };
        let sk = ssh_key::public::Ed25519PublicKey(key.verifying_key().to_bytes()).into();
        let touched = Enrolment {
            key: KeyId(Uuid::from_u128(5)),
            kind: KeyKind::Touch,
            public_key: ssh_key::PublicKey::new(ssh_key::public::KeyData::SkEd25519(sk), "").to_openssh().unwrap(),
            ..enrolment.clone()
        };
        let known = |enrolment, enrolled_line| {
            let certificate = enrol(enrolment, &key).unwrap();
            KnownKey { certificate, enrolled_line, revoked_line: None, compromised_since: None }
        };
        let keys = [known(enrolment, 1)].into_iter().chain(is_touched.then(|| known(touched, 2)));
        let decision = Decision {
            version: 1,
            workspace,
            subject: DecisionSubject::Experiment(ExperimentId(Uuid::from_u128(4))),
            context_hash: "0".repeat(64),
            log_seq: 1,
            log_head: "0".repeat(64),
            verdict,
            conditions: Vec::new(),
            note: None,
            member: MEMBER,
            key: id,
            assurance,
            surface: Surface::Terminal,
            base: None,
            decided_at: Timestamp::UNIX_EPOCH,
            basis: None,
        };
        let signature = hex::encode(key.sign(canonical_json(&decision).unwrap().as_bytes()).to_bytes());
        let signed: SignedDecision =
            serde_json::from_value(json!({ "decision": decision, "signature": signature })).unwrap();
        Keyring::build(workspace, &root, keys).verify(&signed, NEW).unwrap()
    }

    fn everybody() -> [Principal; 4] {
        let human = Principal::member(MEMBER);
        [Principal::agent("x"), Principal::local("x"), Principal::system("x"), human]
    }

    /// Every event that there is, decisions at this level.
    fn events(assurance: Assurance) -> Vec<ExperimentEvent> {
        use ExperimentEvent as V;
        let reason = || "because".to_owned();
        let mut all = vec![
            V::Proposed,
            V::Attached { plan_hash: "0".repeat(64), caps: Vec::new() },
            V::PortfolioSuperseded { reason: reason() },
            V::ReportedBuilt { commit: "0".repeat(40), plan_hash: "0".repeat(64), budget_part: None, caps: Vec::new() },
            V::ReportedFailed { reason: reason() },
            V::Retried,
            V::LaunchVoided { reason: reason() },
            V::SampleReached,
            V::AutoPaused { cause: PauseCause::Manual, detail: reason() },
            V::KilledByRule { detail: reason() },
            V::AnalysisDue { cause: AnalysisCause::Ship, reason: reason() },
            V::Concluded { cause: AnalysisCause::Ship, reason: reason() },
            V::Rejudged { reason: reason() },
            V::StepMeasured,
            V::PausedLocally { reason: reason() },
        ];
        let gates = GateType::ALL.iter().copied().map(Some).chain([None]);
        for (gate, verdict) in gates.flat_map(|gate| Verdict::ALL.iter().map(move |verdict| (gate, *verdict))) {
            if [false, true].iter().any(|is| decided_kind(gate, verdict, *is).is_some()) {
                all.push(V::Decided { gate, decision: decided(verdict, assurance) });
            }
        }
        all
    }

    fn states() -> Vec<ExperimentState> {
        let rollout: RolloutPlan = serde_json::from_value(json!({ "initial_pct": 10, "steps": [50, 100] })).unwrap();
        let of = |(status, step)| ExperimentState { status, step, ..ExperimentState::new(&rollout) };
        let last = ExperimentState::new(&rollout).n_steps - 1;
        let own: Vec<_> =
            ExperimentStatus::ALL.iter().flat_map(|status| [(*status, 0), (*status, last)]).map(of).collect();
        let attached =
            own.iter().map(|state| ExperimentState { attached: Some(Box::new(attachment())), ..state.clone() });
        own.iter().cloned().chain(attached).collect()
    }

    fn attachment() -> Attachment {
        let attachment = json!({
            "provider": "posthog", "reference": "42", "name_says": "New checkout", "control": "control", "treatment": "test",
            "treatment_pct": 50, "started_at": "2026-11-01T00:00:00Z", "deal": "0",
        });
        serde_json::from_value(attachment).unwrap()
    }

    #[test]
    fn each_step_is_refused_to_every_kind_that_its_row_does_not_name() {
        let mut seen = std::collections::BTreeSet::new();
        for (state, event) in
            states().iter().flat_map(|state| events(Assurance::A3).into_iter().map(move |e| (state, e)))
        {
            let Some(kind) = event.kind(state) else {
                // A verdict that its kind of experiment does not take.
                for by in everybody() {
                    let done = transition_experiment(state, &event, &by);
                    assert!(matches!(done, Err(TransitionError::WrongDecision(_))), "{event:?}");
                }
                continue;
            };
            let row = EXPERIMENT_TABLE.iter().find(|row| row.event == kind && row.from.contains(&state.status));
            for by in everybody() {
                let done = transition_experiment(state, &event, &by);
                let is_refused = matches!(done, Err(TransitionError::WrongPrincipal { .. }));
                match row {
                    None => {
                        assert!(matches!(done, Err(TransitionError::NotAllowed { .. })), "{kind} in {}", state.status);
                    }
                    Some(row) => {
                        assert_eq!(is_refused, !row.by.contains(&by.kind()), "{kind} in {} by {by}", state.status);
                        seen.insert(kind);
                    }
                }
            }
        }
        // A correction needs its signed words: `e2e corrections` makes them.
        let unseen: Vec<_> = ExperimentEventKind::ALL.iter().filter(|kind| !seen.contains(kind)).collect();
        assert_eq!(unseen, [&ExperimentEventKind::Corrected]);
    }

    #[test]
    fn each_decision_is_refused_below_its_assurance() {
        let human = &everybody()[3];
        let mut n_refused = 0;
        for level in [Assurance::A1, Assurance::A2, Assurance::A3] {
            for (state, event) in states().iter().flat_map(|state| events(level).into_iter().map(move |e| (state, e))) {
                let ExperimentEvent::Decided { gate, decision } = &event else { continue };
                let done = transition_experiment(state, &event, human);
                if matches!(done, Err(TransitionError::NotAllowed { .. } | TransitionError::WrongDecision(_))) {
                    continue;
                }
                let is_refused = matches!(done, Err(TransitionError::AssuranceTooLow { .. }));
                let verdict = decision.get().verdict;
                assert_eq!(is_refused, level < needed(*gate, verdict, false), "{verdict} at {gate:?} with {level}");
                n_refused += usize::from(is_refused);
            }
        }
        assert!(n_refused > 20, "{n_refused}");
        // What is turned on for people, whatever else changes.
        for gate in [GateType::LaunchApproval, GateType::ScaleApproval, GateType::ShipApproval] {
            assert_eq!(needed(Some(gate), Verdict::Approve, false), Assurance::A3, "{gate}");
        }
        assert_eq!(needed(None, Verdict::Resume, false), Assurance::A3);
    }

    #[test]
    fn while_a_key_that_is_touched_counts_a_ship_needs_one_and_nothing_else_changes() {
        let human = &everybody()[3];
        for gate in GateType::ALL.iter().copied().map(Some).chain([None]) {
            for verdict in Verdict::ALL {
                let (before, now) = (needed(gate, *verdict, false), needed(gate, *verdict, true));
                let ships = gate == Some(GateType::ShipApproval) && !verdict.is_negative();
                assert_eq!(now, if ships { Assurance::A4 } else { before }, "{verdict} at {gate:?}");
            }
        }
        let waits = states().into_iter().find(|state| state.status == ExperimentStatus::AwaitingShipGate).unwrap();
        for (verdict, is_touched, is_refused) in
            [(Verdict::Approve, false, false), (Verdict::Approve, true, true), (Verdict::Reject, true, false)]
        {
            let decision = decided_where(verdict, Assurance::A3, is_touched);
            assert_eq!(decision.may_be_touched(), is_touched);
            let event = ExperimentEvent::Decided { gate: Some(GateType::ShipApproval), decision };
            let done = transition_experiment(&waits, &event, human);
            let too_low = TransitionError::AssuranceTooLow { needed: Assurance::A4, got: Assurance::A3 };
            assert_eq!(done.err(), is_refused.then_some(too_low), "{verdict} {is_touched}");
        }
    }

    #[test]
    fn what_runs_elsewhere_is_never_built_scaled_or_shipped_and_nothing_else_is_let_go() {
        use ExperimentEventKind as E;
        let own = [E::Attached, E::AttachApproved, E::AttachVoided, E::GuardExtended, E::Detached];
        let not_its = [
            E::Proposed,
            E::ReportedBuilt,
            E::LaunchApproved,
            E::LaunchReworked,
            E::Scaled,
            E::ShipProposed,
            E::Iterated,
        ];
        let mut n_seen = [0, 0];
        for (state, event) in
            states().iter().flat_map(|state| events(Assurance::A3).into_iter().map(move |e| (state, e)))
        {
            let Some(kind) = event.kind(state) else { continue };
            let forbidden = if state.is_attached() { not_its.as_slice() } else { own.as_slice() };
            assert!(!forbidden.contains(&kind), "{kind} of {state:?}");
            n_seen[usize::from(state.is_attached())] += 1;
        }
        assert!(n_seen.iter().all(|n| *n > 500), "{n_seen:?}");
    }

    #[test]
    fn so_is_each_step_of_an_outcome() {
        for level in [Assurance::A1, Assurance::A2, Assurance::A3] {
            for (status, event) in [
                (OutcomeStatus::Active, OutcomeEvent::Achieved { decision: decided(Verdict::ConfirmAchieved, level) }),
                (OutcomeStatus::Active, OutcomeEvent::Abandoned { decision: decided(Verdict::Abandon, level) }),
                (OutcomeStatus::Active, OutcomeEvent::Expired),
            ] {
                let state = OutcomeState { status, baseline: None, deadline: None };
                let row = OUTCOME_TABLE.iter().find(|row| row.event == event.kind()).unwrap();
                for by in everybody() {
                    let done = transition_outcome(&state, &event, &by);
                    let is_wrong = matches!(done, Err(TransitionError::WrongPrincipal { .. }));
                    assert_eq!(is_wrong, !row.by.contains(&by.kind()), "{} by {by}", event.kind());
                    let is_low = matches!(done, Err(TransitionError::AssuranceTooLow { .. }));
                    let least = event.kind().verdict().map(OutcomeEventKind::needed);
                    let is_expected =
                        !is_wrong && event.decision().is_some() && least.is_some_and(|least| level < least);
                    assert_eq!(is_low, is_expected, "{} with {level} by {by}", event.kind());
                }
            }
        }
    }
}
