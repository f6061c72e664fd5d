//! The quantile of a metric's unit values, before any experiment: what a cap is made from.

use jiff::Timestamp;
use outcome_core::domain::{FoundQuantile, SignalSpec};
use outcome_core::ports::ReadError;

use super::contract;
use super::table::{Cell, Table};
use super::{Query, SqlSource};

impl SqlSource {
    /// As [`outcome_core::ports::SignalSource::quantiles`].
    pub(super) async fn quantiles_of(
        &self,
        signal: &SignalSpec,
        before: Timestamp,
    ) -> Result<Vec<FoundQuantile>, ReadError> {
        let Some((contract, permille)) = signal.contract.as_ref().and_then(|c| Some((c, c.asks_quantile()?))) else {
            return Ok(Vec::new());
        };
        let written = contract::quantiles(contract, self.engine_format(), (permille, before));
        let mut found = Vec::new();
        for written in self.of_metric(signal, written)? {
            let query = Query { key: "cap", text: written.text.into(), params: written.params };
            let statement = self.statement(signal, &query)?;
            let answer = self.ask(&statement.sql, &statement.binds).await;
            let table = answer.map_err(|error| self.refusal(error, &signal.name, None))?;
            found.push(quantile(&table, permille).map_err(|problem| self.misfit(signal, problem))?);
        }
        Ok(found)
    }
}

/// Between the two values, as far from the first as the quantile is; to 15 digits, so that every engine finds the same number.
fn quantile(table: &Table, permille: u16) -> Result<FoundQuantile, super::Misfit> {
    let ours = |problem: String| super::Misfit { problem, hint: String::new() };
    let mut values = Vec::new();
    let mut n = 0;
    for row in &table.rows {
        let [value, count] = row.as_slice() else { return Err(ours("a row has not two columns".to_owned())) };
        values.push(Cell::as_number(value).map_err(ours)?);
        n = count.as_count().map_err(ours)?;
    }
    let value = match values.as_slice() {
        [] => None,
        [one] => Some(*one),
        [below, above, ..] => {
            let rest = (n - 1).saturating_mul(i64::from(permille)).rem_euclid(1000);
            #[expect(clippy::cast_precision_loss, reason = "below 1000")]
            let share = rest as f64 / 1000.0;
            Some(below + (above - below) * share)
        }
    };
    let value = value.map(|value| format!("{value:.14e}").parse().unwrap_or(value));
    Ok(FoundQuantile { n, value })
}
