//! Who still sees the treatment of a flag that is off: the source proves what the flag service says.
//!
//! Source: DESIGN.md 6.

use outcome_core::domain::{Contract, Exposures, SignalSpec, Via, Window};
use outcome_core::ports::ReadError;

use super::bind::{Param, Params};
use super::contract::Written;
use super::dialect::Dialect;
use super::engine::{self, Ask};
use super::fragments::{conditions, list, relation, with};
use super::unit_maps::{joined, maps};
use super::{Query, SqlSource};

impl SqlSource {
    /// As [`outcome_core::ports::SignalSource::treated`].
    pub(super) async fn treated_in(
        &self,
        signal: &SignalSpec,
        flag_key: &str,
        window: Window,
    ) -> Result<Option<i64>, ReadError> {
        let Some(contract) = signal.contract.as_deref() else { return Ok(None) };
        let Written { text, params } =
            self.of_metric(signal, treated(self.engine.dialect(), contract, flag_key, window))?;
        let query = Query { key: "treated", text: text.into(), params };
        let statement = self.statement(signal, &query)?;
        let ask = Ask { sql: &statement.sql, binds: &statement.binds, limits: self.limits, keep: |_| true };
        let table = engine::query(&*self.engine, ask).await.map_err(|error| self.refusal(error, &signal.name, None))?;
        Ok(table.rows.first().and_then(|row| row.first()).and_then(|cell| cell.as_count().ok()))
    }
}

fn treated(dialect: Dialect, contract: &Contract, flag_key: &str, window: Window) -> Result<Written, String> {
    let Exposures { rows, unit, experiment, variant, at, condition, treatment, map, .. } = &contract.exposures;
    let (mapped, join) = joined(unit, map.as_ref().map(|_| &Via::Map));
    let with = with(&maps(dialect, contract)?);
    let text = format!(
        "{with}SELECT count(DISTINCT {mapped}) AS n FROM {rows}{join}
WHERE {experiment} = :flag AND {at} >= :from AND {at} < :to AND {variant} IN ({arm}) AND {unit} IS NOT NULL{and}",
        rows = relation(dialect, rows)?,
        arm = list(dialect, treatment)?,
        and = conditions(dialect, [condition])?,
    );
    let params = Params::from([
        ("flag".to_owned(), Param::Text(flag_key.to_owned())),
        ("from".to_owned(), Param::At(window.from)),
        ("to".to_owned(), Param::At(window.to)),
    ]);
    Ok(Written { text, params })
}
