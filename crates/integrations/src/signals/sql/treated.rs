//! Who still sees the treatment of a flag that is off: the source proves what the flag service says.
//!
//! Source: DESIGN.md 6.

use jiff::Timestamp;
use outcome_core::domain::{Contract, Exposures, SignalSpec, Via, Window};
use outcome_core::ports::{ReadError, Treated};

use super::bind::{Param, Params};
use super::contract::Written;
use super::dialect::Dialect;
use super::engine::{self, Ask};
use super::fragments::{conditions, list, relation, with};
use super::time::seconds_since_1970;
use super::unit_maps::{joined, maps};
use super::{Query, SqlSource, TimeFormat};

impl SqlSource {
    /// As [`outcome_core::ports::SignalSource::treated`].
    pub(super) async fn treated_in(
        &self,
        signal: &SignalSpec,
        flag_key: &str,
        window: Window,
    ) -> Result<Option<Treated>, ReadError> {
        let Some(contract) = signal.contract.as_deref() else { return Ok(None) };
        let Written { text, params } =
            self.of_metric(signal, treated(self.engine_format(), contract, flag_key, window))?;
        let query = Query { key: "treated", text: text.into(), params };
        let statement = self.statement(signal, &query)?;
        let ask = Ask { sql: &statement.sql, binds: &statement.binds, limits: self.limits, keep: |_| true };
        let table = engine::query(&*self.engine, ask).await.map_err(|error| self.refusal(error, &signal.name, None))?;
        let Some([n, newest]) = table.rows.first().map(Vec::as_slice) else { return Ok(None) };
        Ok(n.as_count().ok().map(|n| Treated { n, newest: newest.as_number().ok().and_then(instant) }))
    }
}

/// Seconds from 1970, as an instant.
fn instant(seconds: f64) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "what is out of range is no instant")]
    Timestamp::from_second(seconds as i64).ok()
}

fn treated(
    (dialect, format): (Dialect, TimeFormat),
    contract: &Contract,
    flag_key: &str,
    window: Window,
) -> Result<Written, String> {
    let Exposures { rows, unit, experiment, variant, at, condition, treatment, map, .. } = &contract.exposures;
    let (mapped, join) = joined(unit, map.as_ref().map(|_| &Via::Map));
    let with = with(&maps(dialect, contract)?);
    let text = format!(
        "{with}SELECT count(DISTINCT {mapped}) AS n, {newest} AS newest FROM {rows}{join}
WHERE {experiment} = :flag AND {at} >= :from AND {at} < :to AND {variant} IN ({arm}) AND {unit} IS NOT NULL{and}",
        newest = seconds_since_1970((dialect, format), &format!("max({at})")),
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
