//! One look at the database: its tables, what matters of their rows, and where the proposed metrics are today. Through the same read-only
//! door as every reading, and bounded in time.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::source::FirstSource;
use crate::config::{self, Config, ProcessEnv, TemplateOptions, Vendors, template};
use crate::domain::{SignalSpec, Window};
use crate::error::Error;
use crate::first_file::{Proposal, Samples, plain, propose, wanted};
use crate::ports::{Opening, SignalSource};

/// How long the tables are looked at, and how long the metrics are measured.
const LIMIT: Duration = Duration::from_secs(10);
/// Up to how many rows are counted.
const ROWS: u32 = 10_000;

/// Where a metric is today.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Level {
    pub(super) value: f64,
    pub(super) units: u64,
}

/// The source, or why it cannot be opened.
pub(super) fn open(
    source: &FirstSource,
    root: &Path,
    vendors: &'static Vendors,
) -> Result<Box<dyn SignalSource>, String> {
    let options = TemplateOptions { url: source.url.clone(), ..TemplateOptions::default() };
    let parsed = config::parse(&template(&options), "outcome.yaml", vendors, None);
    let config = parsed.config.ok_or("its address cannot stand in an outcome file")?;
    let spec = config.connectors.first().ok_or("there is no source")?;
    let env = ProcessEnv::new(root);
    let look = source.look.clone();
    let resolve = move |text: &str| match &look {
        Some(value) => Ok(value.clone()),
        None => config::secrets::resolve(text, &env).map_err(Error::from),
    };
    spec.settings.open(&spec.name, &Opening { root, resolve: &resolve }).map_err(|error| in_a_line(error.into()))
}

/// What its tables suggest; `None` where nothing fits.
pub(super) async fn look(source: &dyn SignalSource) -> Result<Option<Proposal>, String> {
    let asked = async {
        let tables = source.tables().await.map_err(|error| in_a_line(error.into()))?;
        let Some(tables) = tables else { return Ok(None) };
        let (tables, left_out) = plain(tables);
        let mut samples = Samples::default();
        let wanted = wanted(&tables);
        // A table that this user may not read is one that nobody proposes.
        for table in wanted.counts {
            if let Ok(n) = source.count_rows(table, ROWS).await {
                samples.keep_count(table, n);
            }
        }
        for (table, column) in wanted.values {
            if let Ok(values) = source.common_values(table, column).await {
                samples.keep_values(table, column, values);
            }
        }
        Ok(propose(&tables, &samples, left_out))
    };
    timeout(LIMIT, asked).await.unwrap_or_else(|_| Err(format!("it did not answer within {} s", LIMIT.as_secs())))
}

/// Where the metrics of a file are today, by name, as far as they can be measured.
pub(super) async fn levels(source: &dyn SignalSource, config: &Config, now: Timestamp) -> BTreeMap<String, Level> {
    let mut found = BTreeMap::new();
    let asked = async {
        for metric in &config.metrics {
            if let Some(level) = level(source, metric, now).await {
                found.insert(metric.metric.clone(), level);
            }
        }
    };
    // What was measured by then is kept.
    let _ = timeout(LIMIT, asked).await;
    found
}

async fn level(source: &dyn SignalSource, metric: &SignalSpec, now: Timestamp) -> Option<Level> {
    let from = now.checked_sub(metric.aggregation.window().get()).ok()?;
    let reading = source.level(metric, Window { from, to: now }).await.ok()?;
    let units = reading.data.n().and_then(|n| u64::try_from(n).ok())?;
    Some(Level { value: reading.data.value()?, units }).filter(|level| level.units > 0)
}

/// The first line of what went wrong.
fn in_a_line(error: Error) -> String {
    crate::error::error_chain(&error).lines().next().unwrap_or_default().to_owned()
}
