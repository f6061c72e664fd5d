//! Messages with real parts: the signed webhook, a receiver of ours, and a flag that cannot be written.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use jiff::SignedDuration;
use outcome_core::domain::{ExperimentStatus, GateNotice, GateType, Message, MessageKey, Notice, Period, Verdict};
use outcome_core::ids::{ExperimentId, GateId, MessageId, WorkspaceId};
use outcome_core::ports::push::{Headers, verify};
use outcome_tests::lab::{self, FILE, Lab};
use outcome_tests::postgres;
use pretty_assertions::assert_eq;
use secrecy::SecretString;
use serde_json::Value;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Gives these answers in turn, then 204.
#[derive(Clone)]
struct Answers(Arc<Vec<ResponseTemplate>>, Arc<AtomicUsize>);

impl Respond for Answers {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let turn = self.1.fetch_add(1, Ordering::SeqCst);
        self.0.get(turn).cloned().unwrap_or_else(|| ResponseTemplate::new(204))
    }
}

/// A workspace whose messages go to a receiver of ours.
struct Told {
    lab: Lab,
    receiver: MockServer,
}

impl Told {
    async fn on(database: Option<String>, answers: Vec<ResponseTemplate>) -> Result<Self> {
        let receiver = MockServer::start().await;
        let webhook = format!(
            "notifications: {{ webhook: {{ url: \"{}/hook\", secret: \"${{file:.outcome/hook.secret}}\", \
             allow_private: true }} }}\n",
            receiver.uri()
        );
        let lab = Lab::declaring(database, &format!("{FILE}{webhook}")).await?;
        lab::write(&lab.root(), ".outcome/hook.secret", SECRET)?;
        // What the set-up has to say is not part of the test.
        lab.raw("UPDATE outbox SET delivered_at = created_at, closed_as = 'delivered' WHERE delivered_at IS NULL")
            .await?;
        let answers = Answers(Arc::new(answers), Arc::default());
        Mock::given(any()).respond_with(answers).mount(&receiver).await;
        Ok(Self { lab, receiver })
    }

    /// Moves the clock and delivers.
    async fn after(&self, secs: i64) -> Result<()> {
        self.lab.clock.advance(SignedDuration::from_secs(secs));
        self.lab.runtime.outbox().deliver().await?;
        Ok(())
    }

    /// The id and the body of each request, whose signature fits and is of the instant of its try.
    async fn received(&self) -> Result<Vec<(String, Value)>> {
        let requests = self.receiver.received_requests().await.context("requests are recorded")?;
        let mut out = Vec::new();
        for request in &requests {
            let header = |name: &str| request.headers[name].to_str().unwrap_or_default();
            let headers = Headers {
                id: header("webhook-id"),
                timestamp: header("webhook-timestamp"),
                signature: header("webhook-signature"),
            };
            let at = jiff::Timestamp::from_second(headers.timestamp.parse()?)?;
            verify(headers, &request.body, &SecretString::from(SECRET), Period::from_secs(1), at)?;
            out.push((headers.id.to_owned(), request.body_json()?));
        }
        Ok(out)
    }

    /// The kinds of what was received, in order.
    async fn kinds(&self) -> Result<Vec<String>> {
        let received = self.received().await?;
        Ok(received.iter().map(|(_, body)| body["type"].as_str().unwrap_or_default().to_owned()).collect())
    }

    async fn tell(&self, notice: Notice, key: MessageKey) -> Result<()> {
        let now = self.lab.runtime.now();
        let mut tx = self.lab.runtime.db().write(self.lab.runtime.workspace().id).await?;
        tx.outbox_insert(self.lab.runtime.ids().next(), &Message::Notice(notice), &key, now).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn each_told(answers: Vec<ResponseTemplate>, test: impl AsyncFn(Told) -> Result<()>) -> Result<()> {
    test(Told::on(None, answers.clone()).await?).await?;
    match postgres::server() {
        Ok(server) => test(Told::on(Some(server.database().await), answers).await?).await,
        Err(skip) => {
            eprintln!("SKIPPED on PostgreSQL: {skip}");
            Ok(())
        }
    }
}

/// One of each kind.
fn every_notice() -> Vec<(Notice, MessageKey)> {
    let id = uuid::Uuid::from_u128(7);
    let about = GateNotice { gate: "launch".to_owned(), holder: None, channel: None };
    let (experiment, detail) = ("softer".to_owned(), "since noon".to_owned());
    let now = jiff::Timestamp::UNIX_EPOCH;
    let all = vec![
        (
            Notice::GateOpened { about: about.clone(), gate_type: GateType::LaunchApproval },
            MessageKey::GateOpened(GateId(id)),
        ),
        (Notice::GateReminded { about: about.clone() }, MessageKey::GateStep(GateId(id), "reminded", 0)),
        (Notice::GateEscalated { about: about.clone() }, MessageKey::GateStep(GateId(id), "escalated", 1)),
        (
            Notice::GateAsked { about: about.clone(), detail: "sam asks to reject it".to_owned() },
            MessageKey::Asked(id, Verdict::Reject, now),
        ),
        (
            Notice::ExperimentAsked { experiment: experiment.clone(), detail: "sam asks to kill it".to_owned() },
            MessageKey::Asked(id, Verdict::Kill, now),
        ),
        (Notice::GateTimedOut { about }, MessageKey::GateStep(GateId(id), "timed_out", 2)),
        (
            Notice::SignalFailing { signal: "errors".to_owned(), source: "app".to_owned(), error: "gone".to_owned() },
            MessageKey::SignalFailing(id, "errors".to_owned(), now),
        ),
        (
            Notice::NobodyExposed { experiment: experiment.clone(), detail: detail.clone() },
            MessageKey::NobodyExposed(ExperimentId(id), now),
        ),
        (
            Notice::Incident { experiment: experiment.clone(), signal: "delay".to_owned(), detail: detail.clone() },
            MessageKey::Incident(ExperimentId(id), "delay (max)".to_owned(), now),
        ),
        (
            Notice::FlagNotOff { experiment: experiment.clone(), detail: detail.clone() },
            MessageKey::FlagNotOff(ExperimentId(id), now),
        ),
        (
            Notice::FlagNotSet { experiment: experiment.clone(), detail },
            MessageKey::FlagStuck(ExperimentId(id), MessageId(id), 1),
        ),
        (Notice::ClockDoubted { detail: "an hour ahead".to_owned() }, MessageKey::ClockDoubted(WorkspaceId(id), now)),
        (
            Notice::ExperimentMoved { experiment, status: ExperimentStatus::Paused },
            MessageKey::ExperimentMoved(ExperimentId(id), 1),
        ),
    ];
    // A new kind is missing here until it is added.
    for (notice, _) in &all {
        match notice {
            Notice::GateOpened { .. }
            | Notice::GateReminded { .. }
            | Notice::GateEscalated { .. }
            | Notice::GateTimedOut { .. }
            | Notice::GateAsked { .. }
            | Notice::ExperimentAsked { .. }
            | Notice::SignalFailing { .. }
            | Notice::NobodyExposed { .. }
            | Notice::Incident { .. }
            | Notice::FlagNotOff { .. }
            | Notice::FlagNotSet { .. }
            | Notice::ClockDoubted { .. }
            | Notice::ExperimentMoved { .. } => {}
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_notice_reaches_the_webhook_signed() -> Result<()> {
    each_told(vec![], async |told| {
        let all = every_notice();
        for (notice, key) in &all {
            told.tell(notice.clone(), key.clone()).await?;
        }
        told.after(0).await?;
        let mut expected: Vec<&str> = all.iter().map(|(notice, _)| notice.word()).collect();
        let mut found = told.kinds().await?;
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected);
        for (_, body) in told.received().await? {
            let data = &body["data"];
            assert!(data["subject"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
            assert!(data["text"].as_str().is_some_and(|text| text.ends_with('.')), "{body}");
            let names = ["gate", "experiment", "signal"].iter().filter(|name| data[**name].is_string()).count();
            let expected = match body["type"].as_str() {
                Some("clock_doubted") => 0,
                // A signal of an experiment.
                Some("incident") => 2,
                _ => 1,
            };
            assert_eq!(names, expected, "{body}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_decides_when_and_whether_it_is_asked_again() -> Result<()> {
    let answers = vec![
        ResponseTemplate::new(503).insert_header("retry-after", "600"),
        ResponseTemplate::new(400).set_body_string("no"),
        ResponseTemplate::new(410),
    ];
    each_told(answers, async |told| {
        let (notice, key) = every_notice().remove(4);
        told.tell(notice, key).await?;
        told.after(0).await?;
        told.after(500).await?;
        assert_eq!(told.received().await?.len(), 1, "not before ten minutes are over");
        told.after(101).await?;
        let waiting = told.lab.runtime.outbox().messages().await?.waiting;
        assert!(waiting[0].last_error.as_deref().unwrap_or_default().ends_with("status 400: no"), "{waiting:?}");
        told.after(80).await?;
        let messages = told.lab.runtime.outbox().messages().await?;
        assert_eq!((messages.n_waiting, messages.n_dead_letters), (0, 1), "410 is final");
        told.after(30 * 24 * 3600).await?;
        assert_eq!(told.received().await?.len(), 3);

        let retried = told.lab.runtime.outbox().retry(&outcome_core::usecases::Retry::All).await?;
        assert_eq!((retried.n_messages, retried.still_waiting.len()), (1, 0));
        let received = told.received().await?;
        assert!(received.len() == 4 && received.iter().all(|one| *one == received[0]), "{received:#?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_cannot_be_turned_off_is_told_again_and_again_until_it_is_off() -> Result<()> {
    each_told(vec![], async |told| {
        let lab = &told.lab;
        let experiment = lab.running("Softer level", "soft").await?;
        told.after(0).await?;
        let flags = lab.root().join("flags.json");
        let on = std::fs::read_to_string(&flags)?;
        std::fs::write(&flags, "no flags")?;
        lab.act(&experiment, Verdict::Pause).await?;
        let n_before = told.received().await?.len();
        let alarms = async || -> Result<Vec<Value>> {
            let received = told.received().await?.into_iter().skip(n_before);
            Ok(received.map(|(_, body)| body).filter(|body| body["type"] == "flag_not_off").collect())
        };

        // Tried about once a minute; told after 2 min, 10 min more, an hour more, then every six hours.
        let began = lab.runtime.now();
        let mut told_at = Vec::new();
        let mut n_known = 0;
        for _ in 0..(60 * 14) {
            told.after(60).await?;
            let n = alarms().await?.len();
            if n > n_known {
                told_at.push(lab.runtime.now().duration_since(began).as_mins());
            }
            n_known = n;
        }
        let expected = [2, 12, 72, 432, 792];
        assert_eq!(told_at.len(), expected.len(), "{told_at:?}");
        for (at, expected) in told_at.iter().zip(expected) {
            assert!((expected..=expected + 3).contains(at), "{told_at:?}");
        }
        let alarm = alarms().await?.pop().context("no alarm")?;
        assert_eq!(alarm["data"]["subject"], format!("The flag of experiment `{experiment}` is not off"));
        let text = alarm["data"]["text"].as_str().unwrap_or_default();
        assert!(text.starts_with("The flag `soft` could not be turned off for 13 h ("), "{text}");

        let shown = lab.runtime.experiments().show(&experiment).await?.flag_problem.unwrap_or_default();
        assert!(shown.starts_with("the flag `soft` could not be turned off for 14 h ("), "{shown}");
        let status = lab.runtime.workspaces().status(false).await?;
        assert!(status.undelivered.iter().any(|line| line == &shown), "{:?}", status.undelivered);
        let line = &status.outcomes[0].experiments[0];
        assert!(line.health.contains(&shown), "{line:?}");
        assert_eq!(status.dead_letters.n, 0, "a flag is never given up");

        std::fs::write(&flags, on)?;
        told.after(90).await?;
        let state: Value = serde_json::from_str(&std::fs::read_to_string(&flags)?)?;
        assert_eq!(state["flags"]["soft"]["state"], "DISABLED");
        assert_eq!(lab.runtime.experiments().show(&experiment).await?.flag_problem, None);
        told.after(24 * 3600).await?;
        assert_eq!(alarms().await?.len(), expected.len());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_was_turned_on_again_is_told_in_the_poll_that_finds_it() -> Result<()> {
    let told = Told::on(None, vec![]).await?;
    let lab = &told.lab;
    let experiment = lab.running("Softer level", "soft").await?;
    let flags = lab.root().join("flags.json");
    let on = std::fs::read_to_string(&flags)?;
    lab.act(&experiment, Verdict::Kill).await?;
    lab.poll_after(1).await?;
    assert!(!told.kinds().await?.contains(&"flag_not_off".to_owned()));
    std::fs::write(&flags, on)?;
    lab.poll_after(1).await?;
    assert!(told.kinds().await?.contains(&"flag_not_off".to_owned()), "{:?}", told.kinds().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_cannot_be_set_is_told_too() -> Result<()> {
    let told = Told::on(None, vec![]).await?;
    let lab = &told.lab;
    let experiment = lab.submit(lab::hypothesis("Softer level", "soft")).await?;
    lab.decide(&experiment, Verdict::Approve).await?;
    lab.build(&experiment).await?;
    std::fs::write(lab.root().join("flags.json"), "no flags")?;
    lab.decide(&experiment, Verdict::Approve).await?;
    for _ in 0..5 {
        told.after(60).await?;
    }
    let received = told.received().await?;
    let alarms: Vec<&Value> =
        received.iter().map(|(_, body)| body).filter(|body| body["type"] == "flag_not_set").collect();
    assert_eq!(alarms.len(), 1, "{received:#?}");
    let text = alarms[0]["data"]["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("The flag `soft` could not be set to 50 % for "), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_message_says_what_the_receiver_answered() -> Result<()> {
    let told = Told::on(None, vec![ResponseTemplate::new(202), ResponseTemplate::new(401)]).await?;
    let outbox = told.lab.runtime.outbox();
    let [taken] = &outbox.test(None).await?[..] else { anyhow::bail!("one channel is declared") };
    assert_eq!((taken.channel.as_str(), taken.is_taken, taken.answer.as_str()), ("webhook", true, "status 202"));
    let [refused] = &outbox.test(Some("webhook")).await?[..] else { anyhow::bail!("one channel is named") };
    assert_eq!(
        (refused.is_taken, refused.answer.as_str()),
        (false, "channel `webhook` refused the message: status 401")
    );
    let unknown = outbox.test(Some("desktop")).await.unwrap_err();
    assert_eq!(unknown.hint_text(), Some("the file declares: webhook"));
    assert_eq!(told.kinds().await?, ["test", "test"]);
    Ok(())
}
