//! Whose a flag is, and where it belongs: by the log, whatever messages, rows, the service and slow writes say.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use outcome_core::Code;
use outcome_core::domain::{
    Author, Closing, ExperimentStatus, FlagPosition, Hypothesis, Message, MessageKey, Notice, Verdict,
};
use outcome_core::ids::ExperimentId;
use outcome_core::usecases::{FlagLineState, Submission};
use outcome_tests::lab::{self, FILE, Lab, OUTCOME, agent, hypothesis, local, unlock};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::journey::each_lab;

const FLAG: &str = "soft";

async fn id_of(lab: &Lab, experiment: &str) -> Result<ExperimentId> {
    Ok(lab.runtime.experiments().show(experiment).await?.experiment.id)
}

async fn status_of(lab: &Lab, experiment: &str) -> Result<ExperimentStatus> {
    Ok(lab.runtime.experiments().show(experiment).await?.experiment.state.status)
}

/// What people were told about an experiment, as far as its flag goes.
async fn told(lab: &Lab) -> Result<Vec<Notice>> {
    let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
    let mut found = Vec::new();
    for closing in [Closing::NoChannel, Closing::Delivered] {
        found.extend(tx.outbox_list_closed_as(closing, 100).await?);
    }
    found.extend(tx.outbox_open(100).await?);
    let notices = found.into_iter().filter_map(|queued| match queued.message {
        Ok(Message::Notice(notice)) => Some(notice),
        _ => None,
    });
    Ok(notices.filter(|notice| matches!(notice, Notice::FlagNotOff { .. } | Notice::FlagNotSet { .. })).collect())
}

fn says(notices: &[Notice], words: &str) -> bool {
    notices.iter().any(|notice| format!("{notice:?}").contains(words))
}

/// Somebody else writes the flag file.
fn put(lab: &Lab, key: &str, is_on: bool) -> Result<()> {
    let path = lab.root().join("flags.json");
    let mut flags: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    flags["flags"][key]["state"] = json!(if is_on { "ENABLED" } else { "DISABLED" });
    Ok(std::fs::write(path, flags.to_string())?)
}

async fn submitted(lab: &Lab, hypotheses: Vec<Hypothesis>) -> outcome_core::Result<Vec<String>> {
    let submission = Submission { outcome: OUTCOME.to_owned(), hypotheses, author: Author::Ai };
    let done = lab.runtime.hypotheses().submit(submission, &agent()).await?;
    Ok(done.rejected.iter().flat_map(|rejected| &rejected.problems).map(|problem| problem.message.clone()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_somebody_else_wrote_moves_no_flag_and_hides_none() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.running("Softer level", FLAG).await?;
        lab.act(&experiment, Verdict::Kill).await?;
        ensure!(!lab.is_on(FLAG)?);
        let id = id_of(&lab, &experiment).await?;
        let forged = async |key: &str, n: i64| {
            let position = FlagPosition {
                experiment: experiment.clone(),
                key: key.to_owned(),
                description: "forged".to_owned(),
                treatment_pct: 100,
            };
            let mut tx = lab.runtime.db().write(lab.runtime.workspace().id).await?;
            let key = MessageKey::Flag(id, n);
            tx.outbox_insert(lab.runtime.ids().next(), &Message::Flag(position), &key, lab.runtime.now()).await?;
            tx.commit().await
        };
        forged("switch-of-billing", 7001).await?;
        forged(FLAG, 7002).await?;
        lab.poll_after(1).await?;
        ensure!(!lab.is_on(FLAG)? && !lab.is_on("switch-of-billing")?, "a message raised a flag");
        // One that nobody can read.
        forged(FLAG, 7003).await?;
        lab.raw("UPDATE outbox SET payload = '{}' WHERE kind = 'flag' AND delivered_at IS NULL").await?;
        put(&lab, FLAG, true)?;
        lab.poll_after(1).await?;
        ensure!(!lab.is_on(FLAG)?, "an unreadable message hid a flag that is on");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_changed_keeps_nobody_from_turning_the_flag_off() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.running("Softer level", FLAG).await?;
        lab.arms(FLAG, (400, 120, 1), (400, 121, 1)).await?;
        let change = match lab.is_postgres() {
            true => "UPDATE experiment SET hypothesis = jsonb_set(CAST(hypothesis AS jsonb), '{title}', '\"other\"')",
            false => "UPDATE experiment SET hypothesis = json_set(hypothesis, '$.title', 'other')",
        };
        lab.raw(change).await?;
        let error = lab.act(&experiment, Verdict::Pause).await.unwrap_err();
        assert_eq!(error.code(), Code::StateTampered);
        ensure!(
            error.hint_text().unwrap_or_default().contains("is turned off all the same (flag `soft` is off"),
            "{error:?}"
        );
        ensure!(!lab.is_on(FLAG)?, "the flag is on");
        // Somebody turns it on again: the next poll sees it, and people hear of it.
        put(&lab, FLAG, true)?;
        let polled = lab.poll_after(7).await?;
        ensure!(!lab.is_on(FLAG)?, "the flag is on after a poll: {polled:?}");
        ensure!(says(&told(&lab).await?, "audit verify"), "{:?}", told(&lab).await?);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_launched_on_a_flag_that_is_on() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.submit(hypothesis("Softer level", FLAG)).await?;
        lab.decide(&experiment, Verdict::Approve).await?;
        lab.build(&experiment).await?;
        let arms = json!([{ "cat": [{ "var": "$flagd.flagKey" }, { "var": "targetingKey" }] }, ["treatment", 70], ["control", 30]]);
        let flag = json!({ "state": "ENABLED", "variants": { "control": false, "treatment": true }, "defaultVariant": "control",
            "targeting": { "fractional": arms } });
        lab::write(&lab.root(), "flags.json", &json!({ "flags": { FLAG: flag } }).to_string())?;
        let error = lab.decide(&experiment, Verdict::Approve).await.unwrap_err();
        ensure!(format!("{error:#}").contains("is on at 70 % already"), "{error:#}");
        assert_eq!(status_of(&lab, &experiment).await?, ExperimentStatus::AwaitingLaunchGate);
        put(&lab, FLAG, false)?;
        lab.decide(&experiment, Verdict::Approve).await?;
        ensure!(lab.is_on(FLAG)?);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_one_experiment_for_ever() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.running("Softer level", FLAG).await?;
        lab.arms(FLAG, (400, 120, 1), (400, 121, 1)).await?;
        lab.act(&experiment, Verdict::Kill).await?;
        for key in [FLAG, "SOFT"] {
            let error = submitted(&lab, vec![hypothesis("Another level", key)]).await.unwrap_err();
            ensure!(format!("{error}").contains(&format!("belongs to `{experiment}` for ever")), "{error}");
        }
        for key in [".soft", "-soft", "_soft", "", "so ft"] {
            let error = submitted(&lab, vec![hypothesis("Another level", key)]).await.unwrap_err();
            assert_eq!(error.code(), Code::HypothesisIncomplete, "{key}");
        }
        // Of two with one key the second waits for the first.
        let first = hypothesis("First level", "twice");
        let second =
            Hypothesis { touched_paths: vec!["game/other/".to_owned()], ..hypothesis("Second level", "twice") };
        submitted(&lab, vec![first, second]).await?;
        let error = lab.runtime.experiments().propose("second-level", &local()).await.unwrap_err();
        assert_eq!(error.code(), Code::Conflict);
        lab.decide("first-level", Verdict::Reject).await?;
        lab.runtime.experiments().propose("second-level", &local()).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_is_not_exchanged_while_a_flag_is_on() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.running("Softer level", FLAG).await?;
        let other = FILE.replace("path: flags.json", "path: elsewhere.json");
        lab::write(&lab.root(), "outcome.yaml", &other)?;
        let error = lab.runtime.outcomes().apply(&local(), Some(&unlock())).await.unwrap_err();
        ensure!(error.code() == Code::Conflict && error.message().contains("are on"), "{error}");
        lab.act(&experiment, Verdict::Pause).await?;
        lab.runtime.outcomes().apply(&local(), Some(&unlock())).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_cannot_be_read_is_told_and_is_no_drift() -> Result<()> {
    each_lab(async |lab| {
        let experiment = lab.running("Softer level", FLAG).await?;
        lab.arms(FLAG, (400, 120, 1), (400, 121, 1)).await?;
        let text = std::fs::read_to_string(lab.root().join("flags.json"))?;
        lab::write(&lab.root(), "flags.json", "not json")?;
        let polled = lab.poll_after(7).await?;
        ensure!(polled.failures.iter().any(|failure| failure.contains("could not be read")), "{polled:?}");
        ensure!(told(&lab).await?.is_empty(), "once may pass");
        let lines = lab.runtime.flags().list().await?;
        assert_eq!(lines[0].state, FlagLineState::NotRead);
        lab.poll_after(7).await?;
        ensure!(says(&told(&lab).await?, "Nobody knows where it is"), "{:?}", told(&lab).await?);
        let view = lab.runtime.experiments().show(&experiment).await?;
        ensure!(view.signal_problems.iter().any(|problem| problem.contains("the flag")), "{:?}", view.signal_problems);
        assert_eq!(view.experiment.state.status, ExperimentStatus::Running);
        lab::write(&lab.root(), "flags.json", &text)?;
        lab.poll_after(7).await?;
        let view = lab.runtime.experiments().show(&experiment).await?;
        ensure!(view.signal_problems.is_empty(), "{:?}", view.signal_problems);
        assert_eq!(lab.runtime.flags().list().await?[0].state, FlagLineState::InPlace);
        Ok(())
    })
    .await
}

/// A service of one flag whose "on" takes effect only when it answers, much later.
#[derive(Clone, Default)]
struct Slow(Arc<Mutex<Option<Value>>>);

const LATE: Duration = Duration::from_millis(2500);

impl Respond for Slow {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        if request.method.as_str() != "PUT" {
            return match &*self.0.lock().unwrap() {
                Some(flag) => ResponseTemplate::new(200).set_body_json(flag),
                None => ResponseTemplate::new(404),
            };
        }
        let body: Value = request.body_json().unwrap();
        if body["is_on"] == false {
            *self.0.lock().unwrap() = Some(body);
            return ResponseTemplate::new(204);
        }
        let kept = Arc::clone(&self.0);
        std::thread::spawn(move || {
            std::thread::sleep(LATE);
            *kept.lock().unwrap() = Some(body);
        });
        ResponseTemplate::new(204).set_delay(LATE + Duration::from_millis(100))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_lands_after_the_kill_is_followed_by_off() -> Result<()> {
    let server = MockServer::start().await;
    let flag = Slow::default();
    Mock::given(any()).respond_with(flag.clone()).mount(&server).await;
    let service = format!("provider: custom_http\n  config: {{ url: \"{}\" }}", server.uri());
    let file = FILE.replace("provider: flagd_file\n  config: { path: flags.json }", &service);
    let lab = Lab::declaring(None, &file).await?;
    let experiment = lab.submit(hypothesis("Softer level", FLAG)).await?;
    lab.decide(&experiment, Verdict::Approve).await?;
    lab.build(&experiment).await?;
    let (launched, killed) = tokio::join!(lab.decide(&experiment, Verdict::Approve), async {
        while status_of(&lab, &experiment).await? == ExperimentStatus::AwaitingLaunchGate {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        lab.act(&experiment, Verdict::Kill).await.context("the kill")
    });
    launched?;
    killed?;
    let found = flag.0.lock().unwrap().clone().context("no flag")?;
    assert_eq!(found["is_on"], false, "the flag of a killed experiment is on");
    let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
    ensure!(!tx.outbox_is_flag_waiting(id_of(&lab, &experiment).await?).await?, "something waits");
    Ok(())
}
