//! From the rows of an answer to the readings of the arms, and doubts about them.

use outcome_core::domain::{ArmSums, Cohort, CountedUnits, Variant, VariantReading};
use outcome_core::ports::ReadError;
use outcome_core::ports::reading_check as check;

use super::query::{ArmRow, MAX_PEOPLE, MAX_ROWS, Names};
use super::{Counted, PosthogSource};
use crate::signals::api::Count;

/// Share of units without an answer of the flag above which nothing is claimed.
const MAX_UNKNOWN: f64 = 0.005;

/// What a flag says for an arm where the file does not say it.
const CONTROL: [&str; 4] = ["control", "off", "false", "0"];
const TREATMENT: [&str; 5] = ["treatment", "test", "on", "true", "1"];

impl Counted {
    /// What the flag says for each arm.
    pub(super) fn names(&self) -> Names {
        let given = |name: &Option<String>| name.as_ref().map(|name| vec![name.trim().to_lowercase()]);
        let (control, treatment) = (given(&self.control), given(&self.treatment));
        let others = |names: &[&str], given: &Option<Vec<String>>| {
            let is_free = |name: &&&str| given.as_ref().is_none_or(|given| !given.iter().any(|other| other == **name));
            names.iter().filter(is_free).map(|name| (*name).to_owned()).collect()
        };
        Names {
            control: control.clone().unwrap_or_else(|| others(&CONTROL, &treatment)),
            treatment: treatment.unwrap_or_else(|| others(&TREATMENT, &control)),
        }
    }
}

/// What is known of an arm.
struct Found {
    variant: Variant,
    said: String,
    all: (i64, i64),
    claimed: (i64, i64),
    n_both: i64,
}

impl PosthogSource {
    /// The arm that an answer of the flag means; `None` for somebody who is in no arm because the flag is not rolled out to them.
    fn arm(&self, said: &str) -> Result<Option<Variant>, String> {
        let names = self.counted.names();
        let is_in = |names: &[String]| names.iter().any(|name| said.to_lowercase() == *name);
        match () {
            () if is_in(&names.control) => Ok(Some(Variant::Control)),
            () if is_in(&names.treatment) => Ok(Some(Variant::Treatment)),
            // A flag with named arms says `false` to whoever is in none of them.
            () if self.counted.control.is_some() && said.eq_ignore_ascii_case("false") => Ok(None),
            () => Err(format!(
                "the flag said `{}` to somebody, which is neither the control nor the treatment",
                self.api.clean(said)
            )),
        }
    }

    /// As many people as a limit are probably not all of them.
    pub(super) fn refuse_cut(&self, of: &str, n: i64) -> Result<(), ReadError> {
        if n != 100 && n < MAX_PEOPLE {
            return Ok(());
        }
        Err(ReadError::Shape {
            source_name: self.api.name().to_owned(),
            signal: of.to_owned(),
            problem: format!(
                "it counts {n} people, as many as the limit of a query of PostHog: the rest may be cut off"
            ),
            hint: "more than 50,000 people need a source without such a limit: `sql` on your warehouse".to_owned(),
        })
    }

    fn shape_of(&self, of: &str, problem: String) -> ReadError {
        let hint = "write `control:` and `treatment:` in the connector's `config` as the flag says them; every other arm is refused, \
                    because it must not vanish"
            .to_owned();
        ReadError::Shape { source_name: self.api.name().to_owned(), signal: of.to_owned(), problem, hint }
    }

    /// The readings of the arms, and doubts about them.
    pub(super) fn arms(&self, of: &str, rows: &[ArmRow]) -> Result<(Vec<VariantReading>, Vec<String>), ReadError> {
        if rows.len() >= MAX_ROWS {
            return Err(self.shape_of(of, format!("it has {} arms, as many as are asked for", rows.len())));
        }
        let shape = |problem: String| self.api.shape(of, problem);
        let (mut found, mut n_rows, mut n_known, mut n_unknown) = (Vec::<Found>::new(), 0_i64, 0_i64, 0_i64);
        for (row, (said, is_claimed, n, successes, n_both, counted)) in (0..).zip(rows) {
            let count = |name: &str, count: Count| {
                let n = count.0.ok_or_else(|| shape(format!("`results[{row}]`: `{name}` is no number")))?;
                check::count(name, n).map_err(shape)?;
                Ok::<_, ReadError>(n)
            };
            let (n, successes, n_both) = (count("n", *n)?, count("successes", *successes)?, count("n_both", *n_both)?);
            let is_claimed = count("is_claimed", *is_claimed)? == 1;
            n_rows = n_rows.saturating_add(count("n_rows", *counted)?);
            // Somebody of another phase.
            if n == 0 {
                continue;
            }
            let said = said.as_deref().map(str::trim).filter(|said| !said.is_empty() && *said != "null");
            let Some(said) = said else {
                n_unknown = n_unknown.saturating_add(n);
                continue;
            };
            let Some(variant) = self.arm(said).map_err(|problem| self.shape_of(of, problem))? else { continue };
            n_known = n_known.saturating_add(n);
            let known = found.iter_mut().find(|known| known.variant == variant);
            if known.as_ref().is_some_and(|known| known.said != said) {
                return Err(self.shape_of(of, format!("the flag has two answers that mean the {variant}")));
            }
            let plus = |(a, b): (i64, i64)| (a.saturating_add(n), b.saturating_add(successes));
            let claimed = |sums: (i64, i64)| if is_claimed { plus(sums) } else { sums };
            match known {
                Some(known) => {
                    known.all = plus(known.all);
                    known.claimed = claimed(known.claimed);
                    known.n_both = known.n_both.saturating_add(n_both);
                }
                None => {
                    let said = said.to_owned();
                    found.push(Found { variant, said, all: plus((0, 0)), claimed: claimed((0, 0)), n_both });
                }
            }
        }
        self.refuse_cut(of, n_rows)?;
        // Each arm of a phase repeats the number of both together.
        let n_both = found.iter().fold(0_i64, |sum, arm| sum.saturating_add(arm.n_both));
        let sums = |(n, successes)| ArmSums::Proportion { n, successes };
        let reading = |arm: &Found| VariantReading {
            units: Some(CountedUnits { n_units: Some(arm.all.0), n_both: Some(n_both), same_as: None }),
            cohort: Some(Cohort {
                claimed: sums(arm.claimed),
                n_both: arm.n_both,
                n_capped: 0,
                uncapped: None,
                n_unmapped: 0,
                n_other: n_unknown,
            }),
            ..VariantReading::new(arm.variant, sums(arm.all))
        };
        let mut readings: Vec<_> = found.iter().map(reading).collect();
        readings.sort_by_key(|reading| reading.variant == Variant::Treatment);
        check::by_variant(&readings).map_err(shape)?;
        #[expect(clippy::cast_precision_loss, reason = "counts are at most 10^12")]
        let is_many = n_unknown as f64 > MAX_UNKNOWN * n_known.saturating_add(n_unknown) as f64;
        let warning = format!("the flag said nothing to {n_unknown} people, who are in no arm; they are left out");
        Ok((readings, if is_many { vec![warning] } else { Vec::new() }))
    }
}
