//! A notice goes to the channels of the vendors' table: each has it once, again after a failure with the same key, given up in
//! the end and not silently, and never silently nowhere. Two birds carry them.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use outcome_core::Code;
use outcome_core::config::Vendors;
use outcome_core::config::vendor::{ChannelVendor, Keymap};
use outcome_core::domain::MessageKind;
use outcome_core::ports::{ChannelSettings, Letter, Notifier, NotifyError, Opening};
use outcome_core::usecases::{Delivered, MessageState, Retry};
use outcome_tests::lab::{self, Lab, MEMBER, hypothesis};
use outcome_tests::postgres;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

/// What the birds brought in this process: each test is a process of its own, or holds [`TURN`].
static BROUGHT: Mutex<Vec<(&str, Letter)>> = Mutex::new(Vec::new());
/// What happens to the next pigeons; an owl always arrives.
static FATES: Mutex<VecDeque<Fate>> = Mutex::new(VecDeque::new());
/// One test at a time looks at the two.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It does not arrive.
    Lost,
    /// It is asked to come again after so many seconds.
    Later(i64),
    /// The receiver does not like the message.
    Refused,
    /// The receiver wants no more of them.
    Gone,
    /// It arrives, and never comes back to say so.
    Stays,
}

#[derive(Debug)]
struct Bird(&'static str);

impl ChannelSettings for Bird {
    fn to_json(&self) -> Value {
        json!({})
    }
    fn open(&self, _: &Opening<'_>) -> Result<Box<dyn Notifier>, NotifyError> {
        Ok(Box::new(Self(self.0)))
    }
}

impl Notifier for Bird {
    fn name(&self) -> &'static str {
        self.0
    }
    fn send<'s, 'l, 'f>(
        &'s self,
        letter: &'l Letter,
        _: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<String, NotifyError>> + Send + 'f>>
    where
        's: 'f,
        'l: 'f,
        Self: 'f,
    {
        Box::pin(async {
            BROUGHT.lock().unwrap().push((self.0, letter.clone()));
            let fate = if self.0 == "pigeon" { FATES.lock().unwrap().pop_front() } else { None };
            let (channel, problem) = (self.0.to_owned(), "a hawk".to_owned());
            Err(match fate {
                None => return Ok("coo".to_owned()),
                Some(Fate::Stays) => std::future::pending().await,
                Some(Fate::Lost) => NotifyError::Unreachable { channel, problem, retry_after: None },
                Some(Fate::Later(secs)) => {
                    NotifyError::Unreachable { channel, problem, retry_after: Some(SignedDuration::from_secs(secs)) }
                }
                Some(Fate::Refused) => NotifyError::Refused { channel, problem },
                Some(Fate::Gone) => NotifyError::Gone { channel, problem },
            })
        })
    }
}

static CHANNELS: [ChannelVendor; 2] = [
    ChannelVendor {
        kind: "pigeon",
        keys: Keymap::new(&[], |generator| generator.subschema_for::<bool>()),
        read: |_, _| Some(Arc::new(Bird("pigeon"))),
    },
    ChannelVendor {
        kind: "owl",
        keys: Keymap::new(&[], |generator| generator.subschema_for::<bool>()),
        read: |_, _| Some(Arc::new(Bird("owl"))),
    },
];
static TABLE: Vendors = Vendors { channels: &CHANNELS, ..outcome_integrations::VENDORS };

const PIGEON: &str = "notifications: { pigeon: {} }";
const BOTH: &str = "notifications: { pigeon: {}, owl: {} }";

/// An active outcome whose file declares this beside the laboratory's own.
async fn with_file(database: Option<String>, extra: &str) -> Result<Lab> {
    let file = format!("{}{extra}\n", lab::FILE);
    let lab = Lab::plugged(database, &file, &TABLE).await?;
    lab.runtime.outcomes().activate(lab::OUTCOME, &outcome_tests::lab::unlock(), false).await?;
    lab.runtime.outbox().deliver().await?;
    BROUGHT.lock().unwrap().clear();
    FATES.lock().unwrap().clear();
    Ok(lab)
}

/// One at a time, on both engines.
async fn each_lab(extra: &str, test: impl AsyncFn(Lab) -> Result<()>) -> Result<()> {
    let _turn = TURN.lock().await;
    test(with_file(None, extra).await?).await?;
    match postgres::server() {
        Ok(server) => test(with_file(Some(server.database().await), extra).await?).await,
        Err(skip) => {
            eprintln!("SKIPPED on PostgreSQL: {skip}");
            Ok(())
        }
    }
}

fn fated(fates: impl IntoIterator<Item = Fate>) {
    FATES.lock().unwrap().extend(fates);
}

/// What this bird brought.
fn by(bird: &str) -> Vec<Letter> {
    BROUGHT.lock().unwrap().iter().filter(|(by, _)| *by == bird).map(|(_, letter)| letter.clone()).collect()
}

fn brought() -> Vec<Letter> {
    by("pigeon")
}

/// Moves the clock and delivers; whether each message that was tried is done.
async fn after(lab: &Lab, secs: i64) -> Result<Vec<bool>> {
    lab.clock.advance(SignedDuration::from_secs(secs));
    Ok(lab.runtime.outbox().deliver().await?.iter().map(|one: &Delivered| one.is_done).collect())
}

/// Submits a hypothesis; of its two notices only the one about the gate is left.
async fn one_notice(lab: &Lab) -> Result<()> {
    lab.submit(hypothesis("Softer level", "soft")).await?;
    let closed =
        "UPDATE outbox SET delivered_at = created_at, closed_as = 'delivered' WHERE natural_key LIKE 'notify/%'";
    anyhow::ensure!(lab.raw(closed).await? >= 1);
    Ok(())
}

#[tokio::test]
async fn an_opened_gate_is_told_once_in_words_with_its_page() -> Result<()> {
    let _turn = TURN.lock().await;
    let lab = with_file(None, PIGEON).await?;
    lab.submit(hypothesis("Softer level", "soft")).await?;

    let done = lab.runtime.outbox().deliver().await?;
    assert_eq!(done.iter().map(|d| (d.kind, d.is_done)).collect::<Vec<_>>(), [(MessageKind::Notify, true); 2]);
    assert_eq!(done[0].outcome, "sent to pigeon");
    let letters = brought();
    let about = |kind: &str| letters.iter().find(|letter| letter.kind == kind).unwrap();
    assert_eq!(about("experiment_moved").subject, "Experiment `softer-level` is now awaiting portfolio gate");
    let gate = about("gate_opened");
    assert_eq!(gate.subject, "Gate `portfolio-softer-level` waits for a review of the plan");
    assert_eq!(gate.link.as_deref(), Some("http://127.0.0.1:8787/gates/portfolio-softer-level"));
    assert_eq!(gate.recipient.as_deref(), Some(MEMBER));

    assert_eq!(gate.about.gate.as_deref(), Some("portfolio-softer-level"));
    assert_eq!(gate.created_at, lab.runtime.now());

    assert_eq!(lab.runtime.outbox().deliver().await?.len(), 0);
    assert_eq!(brought().len(), 2, "delivered messages are not sent again");
    let status = lab.runtime.workspaces().status(false).await?;
    assert_eq!((status.without_channel.n, status.undelivered.len()), (0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_was_not_taken_is_sent_again_with_the_same_key() -> Result<()> {
    each_lab(PIGEON, async |lab| {
        lab.submit(hypothesis("Softer level", "soft")).await?;
        // The first notice twice. The second is not tried while its channel does not answer.
        fated([Fate::Lost, Fate::Lost]);
        let first = lab.runtime.outbox().deliver().await?;
        assert_eq!(first.iter().map(|one| one.is_done).collect::<Vec<_>>(), [false]);
        assert!(first[0].outcome.contains("a hawk"), "{first:?}");
        let undelivered = lab.runtime.workspaces().status(false).await?.undelivered;
        assert!(undelivered[0].contains("(not delivered after 1 try): "), "{undelivered:?}");
        assert!(undelivered[0].contains("a hawk"), "{undelivered:?}");
        assert_eq!(after(&lab, 15).await?, [false; 0], "not before about half a minute is over");

        // The second notice is lost now, and the first one waits for it as it did before.
        assert_eq!(after(&lab, 22).await?, [false]);
        assert_eq!(after(&lab, 25).await?, [true; 1], "the one that was passed over");
        assert_eq!(after(&lab, 48).await?, [true; 1], "each wait is longer");

        let letters = brought();
        assert_eq!(letters.len(), 4);
        for letter in &letters {
            let same: Vec<&Letter> = letters.iter().filter(|other| other.key == letter.key).collect();
            assert!((1..=3).contains(&same.len()) && same.iter().all(|other| *other == letter), "{letters:#?}");
        }
        assert_eq!(lab.runtime.workspaces().status(false).await?.undelivered, Vec::<String>::new());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_has_a_notice_does_not_get_it_again_because_another_refuses() -> Result<()> {
    each_lab(BOTH, async |lab| {
        one_notice(&lab).await?;
        fated([Fate::Refused, Fate::Lost, Fate::Refused]);
        assert_eq!(after(&lab, 0).await?, [false]);
        assert_eq!(after(&lab, 40).await?, [false]);
        assert_eq!(after(&lab, 80).await?, [false]);
        let messages = lab.runtime.outbox().messages().await?;
        let [waiting] = &messages.waiting[..] else { panic!("{messages:?}") };
        let channels = waiting.channels.iter().map(|one| (one.channel.as_str(), one.state, one.n_tries));
        assert_eq!(
            channels.collect::<Vec<_>>(),
            [("owl", MessageState::Delivered, 1), ("pigeon", MessageState::Waiting, 3)]
        );
        assert_eq!(after(&lab, 160).await?, [true]);
        assert_eq!((by("pigeon").len(), by("owl").len()), (4, 1));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_asks_for_time_gets_it() -> Result<()> {
    each_lab(PIGEON, async |lab| {
        one_notice(&lab).await?;
        fated([Fate::Later(3600)]);
        assert_eq!(after(&lab, 0).await?, [false]);
        assert_eq!(after(&lab, 3500).await?, [false; 0]);
        assert_eq!(after(&lab, 101).await?, [true]);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_wants_no_more_gets_no_more_until_a_person_tries_again() -> Result<()> {
    each_lab(BOTH, async |lab| {
        one_notice(&lab).await?;
        fated([Fate::Gone]);
        let done = lab.runtime.outbox().deliver().await?;
        assert!(!done[0].is_done && done[0].outcome.starts_with("given up: "), "{done:?}");
        for _ in 0..10 {
            assert_eq!(after(&lab, 24 * 3600).await?, [false; 0]);
        }
        assert_eq!((by("pigeon").len(), by("owl").len()), (1, 1));

        let status = lab.runtime.workspaces().status(false).await?;
        assert_eq!((status.dead_letters.n, status.undelivered.len()), (1, 0));
        let newest = status.dead_letters.newest.unwrap_or_default();
        assert_eq!(newest, "Gate `portfolio-softer-level` waits for a review of the plan");
        let counts = lab.runtime.workspaces().counts().await?;
        assert_eq!((counts.n_waiting_messages, counts.n_dead_letters), (0, 1));
        let messages = lab.runtime.outbox().messages().await?;
        let [dead] = &messages.dead_letters[..] else { panic!("{messages:?}") };
        assert!(dead.last_error.as_deref().unwrap_or_default().contains("a hawk"), "{dead:?}");

        let unknown = lab.runtime.outbox().retry(&Retry::Key("gate/none".to_owned())).await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound);
        let retried = lab.runtime.outbox().retry(&Retry::Key(dead.key.clone())).await?;
        assert_eq!((retried.n_messages, retried.still_waiting.len()), (1, 0));
        assert_eq!((by("pigeon").len(), by("owl").len()), (2, 1), "only to the one that lacks it");
        assert_eq!(by("pigeon")[0], by("pigeon")[1]);
        assert_eq!(lab.runtime.workspaces().status(false).await?.dead_letters.n, 0);
        let again = lab.runtime.outbox().retry(&Retry::Key(dead.key.clone())).await.unwrap_err();
        assert_eq!(again.code(), Code::NotFound, "it has arrived");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_given_up_after_twenty_tries_over_days_and_tried_again_by_hand() -> Result<()> {
    each_lab(PIGEON, async |lab| {
        one_notice(&lab).await?;
        fated([Fate::Lost; 21]);
        let began = lab.runtime.now();
        let mut tries = 0;
        while lab.runtime.workspaces().status(false).await?.dead_letters.n == 0 {
            tries += after(&lab, 600).await?.len();
            assert!(tries <= 20, "{tries}");
        }
        assert_eq!((tries, brought().len()), (20, 20));
        let hours = lab.runtime.now().duration_since(began).as_hours();
        assert!((48..=84).contains(&hours), "{hours} h");

        // By hand it has all its tries again.
        let retried = lab.runtime.outbox().retry(&Retry::All).await?;
        assert_eq!((retried.n_messages, retried.still_waiting.len()), (1, 1));
        assert_eq!(retried.still_waiting[0].state, MessageState::Waiting);
        assert_eq!(after(&lab, 40).await?, [true]);
        let letters = brought();
        assert!(letters.len() == 22 && letters.iter().all(|letter| letter.key == letters[0].key));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_sending_repeats_the_notice_with_the_same_key_and_not_at_once() -> Result<()> {
    each_lab(PIGEON, async |lab| {
        one_notice(&lab).await?;
        fated([Fate::Stays]);
        let cut = tokio::time::timeout(Duration::from_secs(2), lab.runtime.outbox().deliver()).await;
        assert!(cut.is_err(), "it is cut off while it waits for the answer");
        assert_eq!(brought().len(), 1);

        assert_eq!(after(&lab, 0).await?, [false; 0], "another program may be waiting for the answer");
        assert_eq!(after(&lab, 40).await?, [true]);
        let letters = brought();
        assert_eq!(letters.len(), 2);
        assert_eq!(letters[0], letters[1]);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_send_a_notice_once() -> Result<()> {
    each_lab(PIGEON, async |lab| {
        one_notice(&lab).await?;
        let other = lab.runtime.clone();
        let (one, two) = tokio::join!(lab.runtime.outbox().deliver(), async { other.outbox().deliver().await });
        assert!(one?.len() + two?.len() >= 1);
        assert_eq!(brought().len(), 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_notice_without_a_channel_is_said_to_have_none() -> Result<()> {
    let _turn = TURN.lock().await;
    let lab = with_file(None, "").await?;
    let before = lab.runtime.workspaces().status(false).await?.without_channel.n;
    lab.submit(hypothesis("Softer level", "soft")).await?;
    let done = lab.runtime.outbox().deliver().await?;
    assert_eq!(done[0].outcome, "no channel");

    let status = lab.runtime.workspaces().status(false).await?;
    assert_eq!(status.without_channel.n, before + 2, "the gate, and the experiment");
    let newest = status.without_channel.newest.as_deref().unwrap_or_default();
    assert!(newest.contains("softer-level"), "either of the two: {newest}");
    assert_eq!(status.without_channel.at, Some(lab.runtime.now()));
    assert_eq!(serde_json::to_value(&status)?["without_channel"]["n"], before + 2);
    assert_eq!(brought(), []);
    Ok(())
}

#[tokio::test]
async fn a_message_of_a_newer_program_waits_and_is_shown() -> Result<()> {
    let _turn = TURN.lock().await;
    let lab = with_file(None, "").await?;
    lab.submit(hypothesis("Softer level", "soft")).await?;
    assert_eq!(
        lab.raw(r#"UPDATE outbox SET payload = '{"notice":"moon_landed"}' WHERE natural_key LIKE 'gate/%'"#).await?,
        1
    );

    let done = lab.runtime.outbox().deliver().await?;
    assert!(done.iter().any(|one| !one.is_done && one.outcome.contains("moon_landed")), "{done:?}");
    let undelivered = lab.runtime.workspaces().status(false).await?.undelivered;
    assert!(undelivered[0].contains("moon_landed"), "{undelivered:?}");
    Ok(())
}

#[test]
fn an_unknown_channel_is_told_the_channels_of_the_table() {
    let file = lab::FILE.replace("    horizon:", "    gates: { launch_approval: { channel: pigeons } }\n    horizon:");
    let found = outcome_core::config::parse(&file, "outcome.yaml", &TABLE, None).diagnostics;
    let [problem] = &found[..] else { panic!("{found:?}") };
    assert_eq!(problem.valid.as_deref(), Some("`slack:#name`, `email`, `none`, `pigeon`, `owl`"));
    assert_eq!(problem.help.as_deref(), Some("did you mean `pigeon`?"));
}
