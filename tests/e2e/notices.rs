//! A notice goes to the channels of the vendors' table, once, again after a failure, and never silently nowhere.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use outcome_core::config::Vendors;
use outcome_core::config::vendor::{ChannelVendor, Keymap};
use outcome_core::domain::MessageKind;
use outcome_core::ports::{ChannelSettings, Letter, Notifier, NotifyError, Opening};
use outcome_tests::lab::{self, Lab, MEMBER, hypothesis};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

/// What pigeons brought in this process: each test is a process of its own, or holds [`TURN`].
static BROUGHT: Mutex<Vec<Letter>> = Mutex::new(Vec::new());
/// How many pigeons get lost before one arrives.
static LOST: Mutex<usize> = Mutex::new(0);
/// One test at a time looks at the two.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[derive(Debug)]
struct Pigeon;

impl ChannelSettings for Pigeon {
    fn to_json(&self) -> Value {
        json!({})
    }
    fn open(&self, _: &Opening<'_>) -> Result<Box<dyn Notifier>, NotifyError> {
        Ok(Box::new(Self))
    }
}

impl Notifier for Pigeon {
    fn name(&self) -> &'static str {
        "pigeon"
    }
    fn send<'s, 'l, 'f>(
        &'s self,
        letter: &'l Letter,
    ) -> Pin<Box<dyn Future<Output = Result<(), NotifyError>> + Send + 'f>>
    where
        's: 'f,
        'l: 'f,
        Self: 'f,
    {
        Box::pin(async {
            BROUGHT.lock().unwrap().push(letter.clone());
            let mut lost = LOST.lock().unwrap();
            if *lost == 0 {
                return Ok(());
            }
            *lost -= 1;
            Err(NotifyError::Unreachable { channel: "pigeon".to_owned(), problem: "a hawk".to_owned() })
        })
    }
}

static CHANNELS: [ChannelVendor; 1] = [ChannelVendor {
    kind: "pigeon",
    keys: Keymap::new(&[], |generator| generator.subschema_for::<bool>()),
    read: |_, _| Some(Arc::new(Pigeon)),
}];
static TABLE: Vendors = Vendors { channels: &CHANNELS, ..outcome_integrations::VENDORS };

/// An active outcome whose file declares this beside the laboratory's own.
async fn with_file(extra: &str) -> Result<Lab> {
    let file = format!("{}{extra}\n", lab::FILE);
    let lab = Lab::plugged(None, &file, &TABLE).await?;
    lab.runtime.outcomes().activate(lab::OUTCOME, &outcome_core::usecases::Unlock::Local, false).await?;
    lab.runtime.outbox().deliver().await?;
    BROUGHT.lock().unwrap().clear();
    *LOST.lock().unwrap() = 0;
    Ok(lab)
}

fn brought() -> Vec<Letter> {
    BROUGHT.lock().unwrap().clone()
}

#[tokio::test]
async fn an_opened_gate_is_told_once_in_words_with_its_page() -> Result<()> {
    let _turn = TURN.lock().await;
    let lab = with_file("notifications: { pigeon: {} }").await?;
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

    assert_eq!(lab.runtime.outbox().deliver().await?.len(), 0);
    assert_eq!(brought().len(), 2, "delivered messages are not sent again");
    let status = lab.runtime.workspaces().status(false).await?;
    assert_eq!((status.without_channel.n, status.undelivered.len()), (0, 0));
    Ok(())
}

#[tokio::test]
async fn a_notice_that_was_not_taken_is_sent_again_with_the_same_key() -> Result<()> {
    let _turn = TURN.lock().await;
    let lab = with_file("notifications: { pigeon: {} }").await?;
    lab.submit(hypothesis("Softer level", "soft")).await?;
    // Both notices at the first attempt, and the first one again at the second.
    *LOST.lock().unwrap() = 3;

    let first = lab.runtime.outbox().deliver().await?;
    assert!(first.iter().all(|delivered| !delivered.is_done) && first[0].outcome.contains("a hawk"), "{first:?}");
    let undelivered = lab.runtime.workspaces().status(false).await?.undelivered;
    assert!(undelivered[0].starts_with("notify failed 1 times: ") && undelivered[0].contains("a hawk"));
    assert_eq!(lab.runtime.outbox().deliver().await?.len(), 0, "not before half a minute is over");

    lab.clock.advance(jiff::SignedDuration::from_secs(31));
    let second = lab.runtime.outbox().deliver().await?;
    assert_eq!(second.iter().map(|delivered| delivered.is_done).collect::<Vec<_>>(), [false, true]);
    lab.clock.advance(jiff::SignedDuration::from_secs(31));
    assert_eq!(lab.runtime.outbox().deliver().await?.len(), 0, "each wait is longer");
    lab.clock.advance(jiff::SignedDuration::from_secs(30));
    assert!(lab.runtime.outbox().deliver().await?[0].is_done);

    let letters = brought();
    assert_eq!(letters.len(), 5);
    for letter in &letters {
        let same: Vec<&Letter> = letters.iter().filter(|other| other.key == letter.key).collect();
        assert!((2..=3).contains(&same.len()) && same.iter().all(|other| *other == letter), "{letters:#?}");
    }
    assert_eq!(lab.runtime.workspaces().status(false).await?.undelivered, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_notice_without_a_channel_is_said_to_have_none() -> Result<()> {
    let _turn = TURN.lock().await;
    let lab = with_file("").await?;
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
    let lab = with_file("").await?;
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
    assert_eq!(problem.valid.as_deref(), Some("`slack:#name`, `email`, `webhook`, `none`, `pigeon`"));
    assert_eq!(problem.help.as_deref(), Some("did you mean `pigeon`?"));
}
