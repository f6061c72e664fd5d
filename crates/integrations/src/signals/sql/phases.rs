//! Reading the arms of an experiment in all of its phases, in one transaction: one statement where the runtime writes it, else one a phase.

use outcome_core::domain::{Reading, SignalSpec, VariantReading};
use outcome_core::ports::{PartRequest, ReadError, VariantRequest, no_parts};

use super::arms::{self, PHASE};
use super::bind::Statement;
use super::table::{Misfit, Table};
use super::{Query, SqlSource, warnings};

impl SqlSource {
    /// As [`outcome_core::ports::SignalSource::by_phase`].
    pub(super) async fn read_phases(
        &self,
        signal: &SignalSpec,
        requests: &[VariantRequest],
    ) -> Result<Vec<Reading<Vec<VariantReading>>>, ReadError> {
        let queries = match &signal.contract {
            Some(contract) => {
                let written = arms::by_phase(contract, self.engine_format(), requests);
                vec![self.written(signal, "by_variant", written)?]
            }
            None => {
                requests.iter().map(|request| self.variant_query(signal, request)).collect::<Result<Vec<_>, _>>()?
            }
        };
        let asked = queries.into_iter().map(|query| Ok((self.statement(signal, &query)?, query)));
        let asked = asked.collect::<Result<Vec<(Statement, Query<'_>)>, ReadError>>()?;
        let tables = self.run(signal, &asked).await?;
        let misfit = |misfit| self.misfit(signal, misfit);
        let tables = match (&signal.contract, tables.as_slice()) {
            (Some(_), [table]) => table.by_phase(requests.len()).map_err(misfit)?,
            _ => tables,
        };
        let mut readings = Vec::with_capacity(requests.len());
        for (number, (request, table)) in requests.iter().zip(tables).enumerate() {
            let Some((statement, _)) = asked.get(number).or(asked.first()) else { break };
            let data = if signal.contract.is_some() { table.cohorts() } else { table.by_variant() };
            let (raw_hash, raw) = table.raw();
            readings.push(Reading {
                data: data.map_err(misfit)?,
                window: request.window,
                query_hash: statement.hash.clone(),
                raw_hash,
                raw: Some(raw),
                warnings: warnings(signal, statement),
            });
        }
        Ok(readings)
    }

    /// As [`outcome_core::ports::SignalSource::by_part`].
    pub(super) async fn read_parts(
        &self,
        signal: &SignalSpec,
        requests: &[PartRequest],
    ) -> Result<Vec<Reading<Vec<VariantReading>>>, ReadError> {
        let Some(contract) = &signal.contract else { return Err(no_parts(&self.name)) };
        let query = self.written(signal, "by_variant", arms::by_part(contract, self.engine_format(), requests))?;
        let asked = [(self.statement(signal, &query)?, query)];
        let table = self.run(signal, &asked).await?.pop().unwrap_or_default();
        let misfit = |misfit| self.misfit(signal, misfit);
        let parts = table.by_phase(requests.len()).map_err(misfit)?;
        let [(statement, _)] = &asked;
        let mut readings = Vec::with_capacity(parts.len());
        for (PartRequest { part, .. }, table) in requests.iter().zip(parts) {
            let (raw_hash, raw) = table.raw();
            readings.push(Reading {
                data: table.part().map_err(misfit)?,
                window: *part,
                query_hash: statement.hash.clone(),
                raw_hash,
                raw: Some(raw),
                warnings: warnings(signal, statement),
            });
        }
        Ok(readings)
    }
}

impl Table {
    /// The rows of each phase, as tables of their own that do not say which.
    fn by_phase(&self, n: usize) -> Result<Vec<Self>, Misfit> {
        let column = self.index(PHASE);
        let is_other = |place: &usize| Some(*place) != column;
        let columns = self.columns.iter().enumerate().filter(|(place, _)| is_other(place));
        let empty = Self { columns: columns.map(|(_, name)| name.clone()).collect(), rows: Vec::new() };
        let mut phases = vec![empty; n];
        for row in &self.rows {
            let number = self.cell(PHASE, row).as_count().ok().and_then(|number| usize::try_from(number).ok());
            let Some(phase) = number.and_then(|number| phases.get_mut(number)) else {
                return Err(Misfit { problem: "a row is of no phase".to_owned(), hint: String::new() });
            };
            let cells = row.iter().enumerate().filter(|(place, _)| is_other(place));
            phase.rows.push(cells.map(|(_, cell)| cell.clone()).collect());
        }
        // No engine promises an order of groups, and the same answer has one hash.
        for phase in &mut phases {
            phase.rows.sort_by_cached_key(|row| format!("{row:?}"));
        }
        Ok(phases)
    }
}
