//! The answer to a query that the runtime wrote: a row for each arm and for whether its units may be claimed on.

use outcome_core::domain::{ArmSums, Cohort, Uncapped, Variant, VariantReading};
use outcome_core::ports::reading_check as check;

use super::table::{Cell, Misfit, Table};

/// What the query calls units that were only seen with something that is neither arm.
const OTHER: &str = "other";

/// What it calls units that a map leads nowhere or to two.
const UNMAPPED: &str = "unmapped";

/// The rows of an arm, added up.
#[derive(Default)]
struct Arm {
    all: Option<ArmSums>,
    claimed: Option<ArmSums>,
    n_both: i64,
    n_capped: i64,
    uncapped: Option<Uncapped>,
}

impl Table {
    /// One reading an arm, control first; an arm without a unit is missing.
    pub(super) fn cohorts(&self) -> Result<Vec<VariantReading>, Misfit> {
        self.arms(false)
    }

    /// The same of a part of a phase: where anybody was seen there are both arms, so that units of neither arm are counted.
    pub(super) fn part(&self) -> Result<Vec<VariantReading>, Misfit> {
        self.arms(true)
    }

    fn arms(&self, has_both: bool) -> Result<Vec<VariantReading>, Misfit> {
        let ours = |problem: String| Misfit { problem, hint: String::new() };
        let shape = self.shape(true)?;
        let (mut control, mut treatment) = (Arm::default(), Arm::default());
        let (mut n_other, mut n_unmapped) = (0_i64, 0_i64);
        let mut nobody = None;
        for row in &self.rows {
            if has_both && nobody.is_none() {
                let sums = self.with_covariate(self.sums(shape, row).map_err(ours)?, row).map_err(ours)?;
                nobody = Some(sums.of_nobody());
            }
            let count =
                |name: &str| self.cell(name, row).as_count().map_err(|problem| ours(format!("`{name}` {problem}")));
            let n = count("n")?;
            let arm = match self.cell("variant", row) {
                Cell::Text(name) if name == OTHER => {
                    n_other = n_other.saturating_add(n);
                    continue;
                }
                Cell::Text(name) if name == UNMAPPED => {
                    n_unmapped = n_unmapped.saturating_add(n);
                    continue;
                }
                Cell::Text(name) if name == Variant::Control.as_str() => &mut control,
                Cell::Text(name) if name == Variant::Treatment.as_str() => &mut treatment,
                _ => return Err(ours("a row is of no arm".to_owned())),
            };
            let sums = self.with_covariate(self.sums(shape, row).map_err(ours)?, row).map_err(ours)?;
            let is_claimed = count("is_claimed")? != 0;
            arm.add(sums, is_claimed).ok_or_else(|| ours("the sums are too large".to_owned()))?;
            if let Some(uncapped) = self.uncapped(row).map_err(ours)? {
                // An arm without a unit that may be claimed on has sums of nobody.
                let none = Uncapped { sum: 0.0, den: uncapped.den.map(|_| 0.0) };
                let known = arm.uncapped.unwrap_or(none);
                arm.uncapped = Some(if is_claimed { known.plus(uncapped) } else { known });
            }
            arm.n_both = arm.n_both.saturating_add(count("n_both")?);
            arm.n_capped = arm.n_capped.saturating_add(count("n_capped")?);
        }
        let arms = [(Variant::Control, control), (Variant::Treatment, treatment)];
        let readings: Vec<VariantReading> =
            arms.into_iter().filter_map(|(variant, arm)| arm.reading(variant, nobody, n_other, n_unmapped)).collect();
        check::by_variant(&readings).map_err(ours)?;
        for cohort in readings.iter().filter_map(|reading| reading.cohort) {
            check::sums(&cohort.claimed).map_err(ours)?;
        }
        Ok(readings)
    }
}

impl Table {
    /// The sums with those of the covariate beside them, where there is one.
    pub(super) fn with_covariate(&self, sums: ArmSums, row: &[Cell]) -> Result<ArmSums, String> {
        let number = |name: &str| self.cell(name, row).as_number().map_err(|problem| format!("`{name}` {problem}"));
        match sums {
            ArmSums::Mean { n, sum, sum_squares } if self.index("cross_sum").is_some() => Ok(ArmSums::Cuped {
                n,
                sum,
                sum_squares,
                cov_sum: number("cov_sum")?,
                cov_sum_squares: number("cov_sum_squares")?,
                cross_sum: number("cross_sum")?,
            }),
            sums => Ok(sums),
        }
    }

    /// The sums without the cap, where there is one.
    fn uncapped(&self, row: &[Cell]) -> Result<Option<Uncapped>, String> {
        let number = |name: &str| {
            let cell = self.index(name).map(|_| self.cell(name, row));
            cell.map(Cell::as_number).transpose().map_err(|problem| format!("`{name}` {problem}"))
        };
        let den = number("uncapped_den")?;
        Ok(number("uncapped_sum")?.map(|sum| Uncapped { sum, den }))
    }
}

impl Arm {
    /// `None` when the sums cannot be added.
    fn add(&mut self, sums: ArmSums, is_claimed: bool) -> Option<()> {
        let plus = |known: Option<ArmSums>| known.map_or(Some(sums), |known| known.plus(sums));
        self.all = Some(plus(self.all)?);
        if is_claimed {
            self.claimed = Some(plus(self.claimed)?);
        }
        Some(())
    }

    /// `nobody`: the sums of an arm without a unit, where it is not missing.
    fn reading(
        self,
        variant: Variant,
        nobody: Option<ArmSums>,
        n_other: i64,
        n_unmapped: i64,
    ) -> Option<VariantReading> {
        let sums = self.all.or(nobody)?;
        let claimed = self.claimed.unwrap_or(sums.of_nobody());
        let Self { n_both, n_capped, uncapped, .. } = self;
        let cohort = Cohort { claimed, n_both, n_capped, uncapped, n_unmapped, n_other };
        Some(VariantReading { variant, sums, cohort: Some(cohort), units: None })
    }
}
