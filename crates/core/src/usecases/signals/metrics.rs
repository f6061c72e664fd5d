//! Metrics of the outcome file, looked at by hand: what one means, and whether its units and its test hold.
//!
//! **Invariant**: nothing is written or stored; a source is asked what its rows say, never about an experiment's effect.

use std::sync::Arc;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant as Stopwatch;

use super::Signals;
use crate::config::Config;
use crate::domain::{ArmSums, Caps, SignalSpec, Window, text_enum};
use crate::error::{Code, Error, Result};
use crate::evaluation::stats_sums;
use crate::ports::{ExposureCounts, FactCounts, KeyBuckets, LookRequest, MetricLook, QueryKind, WrittenQuery};
use crate::present::{count, number, percent};
use crate::stats::SplitLook;
use crate::usecases::Runtime;
use crate::usecases::kernel::workspace_file::{proposed, sends_secret_elsewhere, source};

/// Random splits of the same units.
const N_SPLITS: u32 = 2000;
/// Whatever it is, the same look gives the same numbers.
const SEED: u64 = 20_260_320;
/// Inflation from which units that share a key are doubtful, and from which the key is probably the unit.
const DOUBTFUL: f64 = 1.25;
const WRONG: f64 = 1.5;

text_enum! {
    /// How much a finding about a metric matters.
    pub enum MetricDoubt {
        /// Claims on it would be wrong.
        Problem,
        /// It may be.
        Warning,
    }
}

/// A metric, as it is declared.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MetricShown {
    /// Its name.
    pub metric: String,
    /// The source of its exposures and facts.
    pub source: String,
    /// Everything that decides what it measures.
    pub signal: SignalSpec,
    /// The statements that its source is asked, with parameters by name; only where asked for.
    pub statements: Vec<WrittenQuery>,
}

/// Which units are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricCheckRequest {
    /// Name of the metric.
    pub metric: String,
    /// Exposures of this flag; of all of them where absent.
    pub flag: Option<String>,
    /// Days back from now.
    pub days: u32,
}

/// What was found about a metric.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MetricChecked {
    /// Its name.
    pub metric: String,
    /// Days that were looked at.
    pub days: u32,
    /// What the exposures say.
    pub exposures: ExposureCounts,
    /// What each fact says.
    pub facts: Vec<FactCounts>,
    /// The units are those of `population`, because nobody was exposed long enough ago.
    pub is_population: bool,
    /// The numbers that a quantile in its cap comes to now.
    pub caps: Option<Caps>,
    /// By the unit.
    pub unit: KeyLook,
    /// By each other key of which a unit has one.
    pub coarser: Vec<KeyLook>,
    /// The smallest effect that is found without the cap; absent where there is none.
    pub mde_without_cap: Option<f64>,
    /// Whether an index helps, in words.
    pub index: Option<String>,
    /// How long the source took for all of it.
    pub seconds: f64,
    /// What is wrong or doubtful, the worst first.
    pub findings: Vec<MetricFinding>,
}

/// The units of one key.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct KeyLook {
    /// The column.
    pub key: String,
    /// Different values of it.
    pub n_keys: i64,
    /// Units that have several of them, which are left out.
    pub n_several: i64,
    /// What their buckets say.
    #[serde(flatten)]
    pub splits: SplitLook,
}

/// Something about a metric that is wrong or doubtful.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct MetricFinding {
    /// How much it matters.
    pub doubt: MetricDoubt,
    /// What, as a sentence.
    pub message: String,
}

impl Signals<'_> {
    /// A metric of the file in the work tree. `with_sql`: also what its source is asked, without connecting to it.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::ConfigInvalid`]; the source's, where its SQL cannot be written.
    #[tracing::instrument(level = "debug", name = "signals.metric_show", skip_all, fields(name))]
    pub async fn metric_show(self, name: &str, with_sql: bool) -> Result<MetricShown> {
        let (_, config) = proposed(self.0).await?;
        let signal = metric(&config.metrics, name)?;
        let statements = match with_sql {
            true => source(self.0, &config, &signal.source).await?.written(&signal).map_err(Error::from)?,
            false => Vec::new(),
        };
        Ok(MetricShown { metric: name.to_owned(), source: signal.source.clone(), signal, statements })
    }

    /// Whether the units and the test of a metric of the file in the work tree hold, from the rows of its source.
    ///
    /// # Errors
    /// As [`Self::metric_show`]; the source's; [`Code::PassphraseNeeded`] for a source that would be sent secrets to an address that nobody
    /// approved.
    #[tracing::instrument(level = "debug", name = "signals.metric_check", skip_all, fields(metric = request.metric))]
    pub async fn metric_check(self, request: &MetricCheckRequest) -> Result<MetricChecked> {
        let (config, mut signal) = readable_metric(self.0, &request.metric).await?;
        let began = Stopwatch::now();
        let source = source(self.0, &config, &signal.source).await?;
        let now = self.0.now();
        let mut findings = Vec::new();
        let mut caps = None;
        let found = source.quantiles(&signal, now).await.map_err(Error::from)?;
        if let Some(contract) = signal.contract.as_mut().filter(|_| !found.is_empty()) {
            match contract.caps_of(&request.metric, &found) {
                Ok(found) => {
                    caps = Some(found);
                    contract.caps = caps;
                }
                Err(error) => {
                    let hint = error.hint_text().unwrap_or_default();
                    findings.push(problem(format!("{}: {hint}", error.message())));
                }
            }
        }
        let back = SignedDuration::from_hours(24 * i64::from(request.days));
        let window = Window { from: now.checked_sub(back).unwrap_or(now), to: now };
        let looked = LookRequest { flag_key: request.flag.clone(), window };
        let look = source.look(&signal, &looked).await.map_err(Error::from)?;
        let look = look.ok_or_else(|| Error::new(Code::Internal, "a source with metrics cannot look at their rows"))?;
        let seconds = began.elapsed().as_secs_f64();
        let plan = source.plan(&signal, QueryKind::ByVariant, window).await.unwrap_or_default();
        let is_signed = signal.contract.as_ref().is_some_and(|contract| contract.is_signed);
        // Two thousand splits of three keys are milliseconds of arithmetic, and not of this thread.
        let (look, unit, coarser, whole) = tokio::task::spawn_blocking(move || {
            let unit = key_look(&look.unit, is_signed);
            let coarser: Vec<KeyLook> = look.coarser.iter().map(|key| key_look(key, is_signed)).collect();
            let whole = look.without_cap.as_ref().map(|buckets| splits(buckets, is_signed));
            (look, unit, coarser, whole)
        })
        .await
        .map_err(|e| Error::new(Code::Internal, "the splits ended early").because(e))?;
        findings.extend(of_rows(&look));
        findings.extend(of_keys(&unit, &coarser));
        findings.sort_by_key(|finding| finding.doubt == MetricDoubt::Warning);
        Ok(MetricChecked {
            metric: request.metric.clone(),
            days: request.days,
            exposures: look.exposures,
            facts: look.facts,
            is_population: look.is_population,
            caps,
            unit,
            coarser,
            mde_without_cap: whole.and_then(|splits| splits.mde),
            index: plan.map(|plan| plan.in_words()),
            seconds,
            findings,
        })
    }
}

/// A metric of the file in the work tree whose source may be asked, with the file.
pub(super) async fn readable_metric(runtime: &Runtime, name: &str) -> Result<(Arc<Config>, SignalSpec)> {
    let (_, config) = proposed(runtime).await?;
    let signal = metric(&config.metrics, name)?;
    if sends_secret_elsewhere(runtime, &config, &signal.source).await? {
        let message = format!("`{}` is not applied as the file declares it, and it is sent secrets", signal.source);
        return Err(Error::new(Code::PassphraseNeeded, message).hint("apply the file first"));
    }
    Ok((config, signal))
}

fn metric(metrics: &[SignalSpec], name: &str) -> Result<SignalSpec> {
    metrics.iter().find(|signal| signal.name == name).cloned().ok_or_else(|| {
        let known: Vec<&str> = metrics.iter().map(|signal| signal.name.as_str()).take(50).collect();
        let hint = if known.is_empty() {
            "the file declares no `metrics`".to_owned()
        } else {
            format!("the file declares: {}", known.join(", "))
        };
        Error::not_found("metric", name).hint(hint)
    })
}

fn splits(buckets: &[ArmSums], is_signed: bool) -> SplitLook {
    let buckets: Vec<_> = buckets.iter().filter_map(stats_sums).collect();
    SplitLook::of(&buckets, is_signed, N_SPLITS, SEED)
}

fn key_look(key: &KeyBuckets, is_signed: bool) -> KeyLook {
    KeyLook {
        key: key.key.clone(),
        n_keys: key.n_keys,
        n_several: key.n_several,
        splits: splits(&key.buckets, is_signed),
    }
}

fn problem(message: String) -> MetricFinding {
    MetricFinding { doubt: MetricDoubt::Problem, message }
}

fn warning(message: String) -> MetricFinding {
    MetricFinding { doubt: MetricDoubt::Warning, message }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn share(part: i64, all: i64) -> f64 {
    if all > 0 { part as f64 / all as f64 } else { 0.0 }
}

pub(super) fn counted(n: i64) -> String {
    count(u64::try_from(n).unwrap_or(0))
}

/// What the rows say.
fn of_rows(look: &MetricLook) -> Vec<MetricFinding> {
    let mut found = Vec::new();
    let seen = &look.exposures;
    if seen.n_units == 0 {
        found.push(warning("nobody was exposed in this time".to_owned()));
    } else if seen.n_mature == 0 {
        found.push(warning("nobody was exposed long enough ago: no window is over yet".to_owned()));
    }
    let both = share(seen.n_both, seen.n_units_by_flag);
    if both > 0.01 {
        let said = format!(
            "{} of the units saw both arms ({} of {}): the flag service and the exposures do not mean the same unit, or an arm is \
             not kept",
            percent(both),
            counted(seen.n_both),
            counted(seen.n_units_by_flag)
        );
        found.push(if both > 0.05 { problem(said) } else { warning(said) });
    }
    let other = share(seen.n_without_variant.saturating_add(seen.n_unknown_variant), seen.n_rows);
    if other > 0.0 {
        let said = format!(
            "{} of the exposures name neither arm ({} rows without one, {} with another name): see `variants`",
            percent(other),
            counted(seen.n_without_variant),
            counted(seen.n_unknown_variant)
        );
        found.push(if other > 0.005 { problem(said) } else { warning(said) });
    }
    if seen.n_without_unit > 0 {
        found.push(warning(format!("{} exposures have no unit and are left out", counted(seen.n_without_unit))));
    }
    for fact in &look.facts {
        if fact.n_without_unit > 0 {
            let rows = &fact.rows;
            found.push(warning(format!(
                "{} rows of `{rows}` have no unit and are left out",
                counted(fact.n_without_unit)
            )));
        }
        if share(fact.n_repeated, fact.n_rows) > 0.01 {
            let said = format!(
                "{} rows of `{}` have the unit and the instant of another one: each counts",
                counted(fact.n_repeated),
                fact.rows
            );
            found.push(warning(said));
        }
    }
    found
}

/// What the units say.
fn of_keys(unit: &KeyLook, coarser: &[KeyLook]) -> Vec<MetricFinding> {
    let mut found = Vec::new();
    let mut keys: Vec<(&KeyLook, f64)> =
        coarser.iter().filter_map(|key| Some((key, key.splits.inflation?))).filter(|(_, f)| *f > DOUBTFUL).collect();
    keys.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    for (key, inflation) in keys {
        let beyond = key.splits.beyond.map_or_else(String::new, |beyond| {
            format!(
                ", and a test that takes `{}` for the unit finds an effect of nothing in {} of all splits",
                unit.key,
                percent(beyond)
            )
        });
        let said = format!(
            "units that share `{0}` go together: their means vary {1} times as much as they should{beyond}",
            key.key,
            number(inflation)
        );
        found.push(if inflation > WRONG {
            problem(format!("{said}. The unit is probably `{}`", key.key))
        } else {
            warning(said)
        });
    }
    if let Some(inflation) = unit.splits.inflation.filter(|f| *f > DOUBTFUL) {
        found.push(warning(format!(
            "the means of units that share nothing vary {} times as much as they should: a few large values decide; a `cap` helps",
            number(inflation)
        )));
    }
    if let Some(beyond) = unit.splits.beyond.filter(|beyond| *beyond > 0.08) {
        found.push(warning(format!(
            "{} of random splits lie beyond 1.96 standard errors, where 5 % should",
            percent(beyond)
        )));
    }
    found
}
