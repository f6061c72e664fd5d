//! The checks of 39 experiments as the engine wants them: cumulative sums per arm.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use outcome_core::stats::ArmSums;

/// One treatment against its control on one metric, with all its checks in time order.
#[derive(Debug, Clone)]
pub struct Comparison {
    pub experiment: String,
    pub variant: String,
    /// 1 is binary, 2 to 4 are counts or amounts.
    pub metric: u8,
    /// Treatments of this experiment in the file.
    pub n_treatments: u32,
    pub checks: Vec<Check>,
}

/// One row of the file.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Since the experiment started.
    pub day: f64,
    /// Control and treatment; `None` when the row has no variances, so that nothing can be tested.
    pub arms: Option<[ArmSums; 2]>,
}

/// The file lies beside the repository and is not part of it.
fn path() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/asos_half.csv.gz");
    path.exists().then_some(path)
}

/// All comparisons, sorted by experiment, variant and metric; `None`, said aloud, when the file is absent.
pub fn load() -> Result<Option<Vec<Comparison>>> {
    let Some(path) = path() else {
        eprintln!("SKIPPED: shared/data/asos_half.csv.gz is not beside the repository; no experiment was replayed");
        return Ok(None);
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
    let mut found: BTreeMap<(String, String, u8), Vec<Check>> = BTreeMap::new();
    for row in csv::Reader::from_reader(text.as_bytes()).records() {
        let row = row?;
        let metric: u8 = row[2].parse()?;
        let check = check(&row, metric).with_context(|| format!("row {row:?}"))?;
        found.entry((row[0].to_owned(), row[1].to_owned(), metric)).or_default().push(check);
    }
    let n_treatments = |experiment: &str| found.keys().filter(|(e, _, m)| e == experiment && *m == 1).count();
    let comparison = |((experiment, variant, metric), checks): (&(String, String, u8), &Vec<Check>)| Comparison {
        experiment: experiment.clone(),
        variant: variant.clone(),
        metric: *metric,
        n_treatments: n_treatments(experiment) as u32,
        checks: checks.clone(),
    };
    let all: Vec<Comparison> = found.iter().map(comparison).collect();
    for c in &all {
        ensure!(c.checks.is_sorted_by(|a, b| a.day < b.day), "{} {}: checks out of order", c.experiment, c.variant);
    }
    Ok(Some(all))
}

/// Columns: experiment, variant, metric, day, then count, mean and variance, each of control and treatment.
fn check(row: &csv::StringRecord, metric: u8) -> Result<Check> {
    let field = |i: usize| -> Result<Option<f64>> {
        let text = &row[i];
        if text.is_empty() { Ok(None) } else { Ok(Some(text.parse()?)) }
    };
    let number = |i: usize| field(i)?.context("a field is empty");
    let arm = |offset: usize| -> Result<Option<ArmSums>> {
        let (n, mean) = (number(4 + offset)?, number(6 + offset)?);
        match field(8 + offset)? {
            Some(variance) => sums(metric, n, mean, variance).map(Some),
            None => Ok(None),
        }
    };
    let arms = arm(0)?.zip(arm(1)?).map(|(control, treatment)| [control, treatment]);
    // Checks are half a day apart; the file has them with the noise of a sum of halves.
    let day = (number(3)? * 1e6).round() / 1e6;
    Ok(Check { day, arms })
}

/// Sums from what the file has. Its variance has the divisor n for metric 1, and n - 1 for the others.
fn sums(metric: u8, n: f64, mean: f64, variance: f64) -> Result<ArmSums> {
    ensure!(n >= 0.0 && n.fract() == 0.0, "{n} units");
    let sum = n * mean;
    if metric == 1 {
        ensure!((sum - sum.round()).abs() < 0.05, "{sum} successes");
        ensure!((variance - mean * (1.0 - mean)).abs() < 1e-8, "the variance of a rate is p (1 - p)");
        return Ok(ArmSums::Proportion { n: n as u64, successes: sum.round() as u64 });
    }
    Ok(ArmSums::Mean { n: n as u64, sum, sum_squares: (n - 1.0).max(0.0) * variance + sum * mean })
}
