//! A source that answers only when a test lets it: for what happens while a slow source is waited for.
//!
//! In the outcome file: `{ name: NAME, type: held, config: {} }`, with a name that no other test of the process uses.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use async_trait::async_trait;
use outcome_core::config::Vendors;
use outcome_core::config::vendor::{Asked, Node, Reporter, SignalVendor};
use outcome_core::domain::{ArmSums, Reading, SignalSpec, VariantReading, Window};
use outcome_core::ports::{MetricInfo, Opening, ReadError, SignalSource, SourceReport, SourceSettings, VariantRequest};
use tokio::sync::Semaphore;

/// Every vendor of this version, and the held source.
pub static VENDORS: LazyLock<Vendors> = LazyLock::new(|| {
    let known = outcome_integrations::VENDORS;
    let copied = known.signals.iter().map(|vendor| SignalVendor { ..*vendor });
    let own = known.signals.iter().take(1).map(|sql| SignalVendor {
        kind: "held",
        asked: Asked::WithSql,
        read: |_: &Node, _: &mut Reporter<'_>| Some(Arc::new(HeldSettings)),
        ..*sql
    });
    Vendors { signals: Vec::leak(copied.chain(own).collect()), ..known }
});

/// What a test sees and does of a held source.
#[derive(Debug)]
pub struct Held {
    asked: Semaphore,
    answers: Semaphore,
}

static KNOWN: LazyLock<Mutex<HashMap<String, Arc<Held>>>> = LazyLock::new(Mutex::default);

/// The held source with this name.
pub fn held(name: &str) -> Arc<Held> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || Arc::new(Held { asked: Semaphore::new(0), answers: Semaphore::new(0) });
    Arc::clone(known.entry(name.to_owned()).or_insert_with(new))
}

impl Held {
    /// Waits until the source is asked once more.
    pub async fn until_asked(&self) {
        if let Ok(permit) = self.asked.acquire().await {
            permit.forget();
        }
    }

    /// Lets it answer this many questions.
    pub fn answer(&self, n: usize) {
        self.answers.add_permits(n);
    }

    async fn wait(&self) {
        self.asked.add_permits(1);
        if let Ok(permit) = self.answers.acquire().await {
            permit.forget();
        }
    }
}

#[derive(Debug)]
struct HeldSettings;

impl SourceSettings for HeldSettings {
    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({})
    }

    fn references(&self) -> Vec<&str> {
        Vec::new()
    }

    fn open(&self, name: &str, _: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        Ok(Box::new(HeldSource(held(name))))
    }
}

struct HeldSource(Arc<Held>);

#[async_trait]
impl SignalSource for HeldSource {
    async fn test(&self) -> Result<SourceReport, ReadError> {
        let server = "held".to_owned();
        Ok(SourceReport {
            source: "held".to_owned(),
            server,
            is_read_only: true,
            latency_ms: 0,
            risks: vec![],
            notes: vec![],
        })
    }

    async fn level(&self, _: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError> {
        // Whether the query can run at all is asked about nobody.
        if window.from < window.to {
            self.0.wait().await;
        }
        Ok(Reading {
            data: ArmSums::Proportion { n: 100, successes: 50 },
            window,
            query_hash: "0".repeat(64),
            raw_hash: "0".repeat(64),
            raw: None,
            warnings: Vec::new(),
        })
    }

    async fn by_variant(
        &self,
        _: &SignalSpec,
        request: &VariantRequest,
    ) -> Result<Reading<Vec<VariantReading>>, ReadError> {
        if request.window.from < request.window.to {
            self.0.wait().await;
        }
        Ok(Reading {
            data: Vec::new(),
            window: request.window,
            query_hash: "0".repeat(64),
            raw_hash: "0".repeat(64),
            raw: None,
            warnings: Vec::new(),
        })
    }

    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError> {
        Ok(Vec::new())
    }
}
