//! A workspace with a past: rows as years of use would leave them, written without playing every step.

use anyhow::Result;
use outcome_core::domain::{
    ArmSums, Evidence, EvidenceGrade, Experiment, ExperimentStatus, FindingType, Learning, Measurement, Stored,
    Variant, Window,
};
use outcome_core::ids::{ExperimentId, LearningId, MeasurementId, OutcomeId};
use outcome_tests::lab::{Lab, agent, hypothesis};

/// What titles and learnings are about, so that a search has something to rank.
const SUBJECTS: [&str; 7] = ["checkout", "pricing", "onboarding", "second level", "search", "reminder", "sign-up form"];
const CHANGES: [&str; 5] = ["shorter", "softer", "earlier", "without friction", "with social proof"];

/// Adds experiments to the outcome of one that exists, and measurements of them. Unless `is_over`, they are hypotheses
/// that nobody has looked at; else each was killed and has taught something.
pub async fn fill(lab: &Lab, some: &str, n_experiments: usize, n_measurements: usize, is_over: bool) -> Result<()> {
    let runtime = &lab.runtime;
    let outcome = runtime.experiments().show(some).await?.experiment.outcome;
    let mut tx = runtime.db().write(runtime.workspace().id).await?;
    let mut ids = Vec::new();
    for n in 0..n_experiments {
        let mut experiment = experiment(lab, outcome, n)?;
        if is_over {
            experiment.state.status = ExperimentStatus::Killed;
            experiment.concluded_at = Some(runtime.now());
        }
        tx.experiment_insert(&experiment, "").await?;
        if is_over {
            tx.learning_insert(&learning(lab, &experiment)?).await?;
        }
        ids.push(experiment.id);
    }
    let start = runtime.now();
    for n in 0..n_measurements {
        let at = start + jiff::SignedDuration::from_secs(i64::try_from(n / n_experiments)? * 3600);
        let is_level = n % 10 == 0;
        let measurement = Measurement {
            cohort: None,
            units: None,
            id: runtime.ids().next::<MeasurementId>(),
            outcome,
            experiment: (!is_level).then(|| ids[n % ids.len()]),
            signal: "came_back".to_owned(),
            variant: (!is_level).then_some(if n % 2 == 0 { Variant::Control } else { Variant::Treatment }),
            phase: (!is_level).then_some(0),
            measured_at: at,
            window: Window { from: start, to: at + jiff::SignedDuration::from_secs(1) },
            sums: ArmSums::Proportion { n: 1000, successes: 300 },
            source: "game".to_owned(),
            query_hash: String::new(),
            raw_hash: String::new(),
        };
        tx.measurement_insert(&measurement, &format!("bench/{n}")).await?;
    }
    tx.commit().await?;
    Ok(())
}

fn experiment(lab: &Lab, outcome: OutcomeId, n: usize) -> Result<Experiment> {
    let title = format!("Idea {n}: a {} that is {}", SUBJECTS[n % SUBJECTS.len()], CHANGES[n % CHANGES.len()]);
    let hypothesis = hypothesis(&title, &format!("idea-{n}"));
    let (id, now) = (lab.runtime.ids().next::<ExperimentId>(), lab.runtime.now());
    Ok(Experiment::draft(id, format!("idea-{n}").parse()?, outcome, hypothesis, agent(), now))
}

fn learning(lab: &Lab, experiment: &Experiment) -> Result<Learning> {
    let evidence = Evidence {
        experiment: experiment.slug.clone(),
        commit: None,
        plan_hash: None,
        launched_at: None,
        result: None,
    };
    Ok(Learning {
        id: lab.runtime.ids().next::<LearningId>(),
        outcome: experiment.outcome,
        experiment: experiment.id,
        finding: "came_back did not change: +0.001 (confidence sequence -0.019 to +0.021); kill at the analysis."
            .to_owned(),
        finding_type: FindingType::RefutedHypothesis,
        hypothesis_says: format!("{}: {}", experiment.hypothesis.title, experiment.hypothesis.statement),
        note_says: None,
        evidence: Stored::new(evidence)?,
        confidence: 0.9,
        grade: EvidenceGrade::B,
        applies_to: experiment.hypothesis.tags.clone(),
        created_at: experiment.created_at,
    })
}
