//! A source that is asked by the metric's name is polled in every round, by variant where it knows the variants.

use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use outcome_core::config::Vendors;
use outcome_core::config::vendor::{Answers, Asked, Keymap, SignalVendor};
use outcome_core::domain::{ArmSums, Reading, SignalSpec, Variant, VariantReading, Window};
use outcome_core::ports::{MetricInfo, Opening, ReadError, SignalSource, SourceReport, SourceSettings, VariantRequest};
use outcome_tests::lab::{FILE, Lab};
use pretty_assertions::assert_eq;

/// What was asked in this process. One test only: each test is a process of its own, or the only one that looks.
static ASKED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Knows the number of units by heart.
#[derive(Debug)]
struct Known;

impl Known {
    fn reading<T>(signal: &SignalSpec, question: &str, window: Window, data: T) -> Reading<T> {
        ASKED.lock().unwrap().push(format!("{question} of {}", signal.metric));
        let hash = "0".repeat(64);
        Reading { data, window, query_hash: hash.clone(), raw_hash: hash, raw: None, warnings: Vec::new() }
    }
}

impl SourceSettings for Known {
    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({})
    }
    fn references(&self) -> Vec<&str> {
        Vec::new()
    }
    fn open(&self, _: &str, _: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        Ok(Box::new(Self))
    }
}

#[async_trait]
impl SignalSource for Known {
    async fn test(&self) -> Result<SourceReport, ReadError> {
        let (source, server) = ("events".to_owned(), "known".to_owned());
        Ok(SourceReport { source, server, is_read_only: true, latency_ms: 0, risks: vec![], notes: vec![] })
    }

    async fn level(&self, signal: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError> {
        let share = if signal.metric == "crashed" { 100 } else { 4200 };
        Ok(Self::reading(signal, "level", window, ArmSums::Proportion { n: 14_000, successes: share }))
    }

    async fn by_variant(
        &self,
        signal: &SignalSpec,
        request: &VariantRequest,
    ) -> Result<Reading<Vec<VariantReading>>, ReadError> {
        let successes = if signal.metric == "crashed" { 8 } else { 600 };
        let arm = |variant| VariantReading::new(variant, ArmSums::Proportion { n: 2000, successes });
        let question = format!("variants of {}", request.flag_key);
        let data = vec![arm(Variant::Control), arm(Variant::Treatment)];
        Ok(Self::reading(signal, &question, request.window, data))
    }

    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError> {
        Ok(Vec::new())
    }
}

/// Knows whole days of UTC only, and that nobody came in them.
#[derive(Debug)]
struct Daily;

impl SourceSettings for Daily {
    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({})
    }
    fn references(&self) -> Vec<&str> {
        Vec::new()
    }
    fn open(&self, _: &str, _: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        Ok(Box::new(Self))
    }
}

#[async_trait]
impl SignalSource for Daily {
    async fn test(&self) -> Result<SourceReport, ReadError> {
        Known.test().await
    }

    async fn level(&self, signal: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError> {
        Known.level(signal, window).await
    }

    async fn by_variant(
        &self,
        signal: &SignalSpec,
        request: &VariantRequest,
    ) -> Result<Reading<Vec<VariantReading>>, ReadError> {
        let Window { from, to } = request.window;
        let midnight = |seconds: i64| jiff::Timestamp::from_second(seconds - seconds.rem_euclid(86_400)).unwrap();
        let days = Window { from: midnight(from.as_second() + 86_399), to: midnight(to.as_second()) };
        let window = if days.from < days.to { days } else { Window { from, to: from } };
        Ok(Known::reading(signal, "days", window, Vec::new()))
    }

    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError> {
        Ok(Vec::new())
    }
}

const fn daily() -> SignalVendor {
    SignalVendor { read: |_, _| Some(Arc::new(Daily)), ..vendor("days", true) }
}

const fn vendor(kind: &'static str, by_variant: bool) -> SignalVendor {
    SignalVendor {
        kind,
        example: "",
        asked: Asked::ByName(Answers { by_variant, funnels: false, segments: false }),
        keys: Keymap::new(&[], |generator| generator.subschema_for::<bool>()),
        read: |_, _| Some(Arc::new(Known)),
    }
}

static SIGNALS: [SignalVendor; 3] = [vendor("events", true), vendor("levels", false), daily()];
static TABLE: Vendors = Vendors { signals: &SIGNALS, ..outcome_integrations::VENDORS };

/// The laboratory's outcome without a query.
fn file() -> Result<String> {
    let (head, rest) = FILE.split_once("    signal:\n").context("no signal")?;
    let (_, rest) = rest.split_once("    target:").context("no target")?;
    let (target, rest) = rest.split_once("      - signal: crashes").context("no constraint")?;
    let (_, rest) = rest.split_once("      - rule:").context("no rule")?;
    let (rest, tail) = rest.split_once("signal_connectors:\n").context("no connectors")?;
    let (_, tail) = tail.split_once("feature_flags:").context("no flags")?;
    Ok(format!(
        "{head}    signal: {{ source: app, metric: came_back }}\n    target:{target}      \
         - {{ signal: crashes, source: app, metric: crashed, not_worse: {{ direction: decrease, margin: 0.005 }} }}\n      \
         - {{ signal: load, source: metrics, max: 0.9 }}\n      - rule:{rest}signal_connectors:\n  \
         - {{ name: app, type: events, config: {{}} }}\n  - {{ name: metrics, type: levels, config: {{}} }}\n\
         feature_flags:{tail}"
    ))
}

#[tokio::test]
async fn a_source_asked_by_name_is_polled_by_variant_where_it_knows_the_variants() -> Result<()> {
    let lab = Lab::with_vendors(None, &file()?, &TABLE).await?;
    let experiment = lab.running("Softer level", "soft").await?;
    ASKED.lock().unwrap().clear();

    let polled = lab.poll_after(7).await?;
    assert!(polled.failures.is_empty(), "{polled:?}");
    let mut asked = std::mem::take(&mut *ASKED.lock().unwrap());
    asked.sort();
    asked.dedup();
    assert_eq!(
        asked,
        ["level of came_back", "level of load", "variants of soft of came_back", "variants of soft of crashed"]
    );

    let id = lab.runtime.experiments().show(&experiment).await?.experiment.id;
    let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
    let mut stored: Vec<_> = tx
        .measurement_series(id, "crashes", 10)
        .await?
        .into_iter()
        .chain(tx.measurement_series(id, "came_back", 10).await?)
        .map(|reading| (reading.signal, reading.variant))
        .collect();
    stored.sort();
    let arms = [Some(Variant::Control), Some(Variant::Treatment)];
    let expected: Vec<_> = ["came_back", "crashes"].into_iter().flat_map(|s| arms.map(|a| (s.to_owned(), a))).collect();
    assert_eq!(stored, expected);
    Ok(())
}

#[tokio::test]
async fn a_source_of_whole_days_has_not_looked_before_the_first_one_is_over() -> Result<()> {
    let lab = Lab::with_vendors(None, &file()?.replace("type: events", "type: days"), &TABLE).await?;
    let experiment = lab.running("Softer level", "soft").await?;
    let status = async || anyhow::Ok(lab.runtime.experiments().show(&experiment).await?.experiment.state);
    // Launched at 8:00: at 14:00 of the next day no whole day is over.
    let polled = lab.poll_after(30).await?;
    assert!(!polled.failures.iter().any(|said| said.contains("nobody has been exposed")), "{polled:?}");
    assert!(status().await?.pause.is_none(), "{:?}", status().await?);
    // At 10:00 of the day after it is, and nobody was in it.
    let polled = lab.poll_after(20).await?;
    assert!(polled.failures.iter().any(|said| said.contains("nobody has been exposed")), "{polled:?}");
    Ok(())
}
