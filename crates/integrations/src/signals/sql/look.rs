//! What the rows behind a metric say about its units, before any experiment: counts, and sums by hash of each key of the units.
//!
//! PostgreSQL and MySQL hash a key with MD5 and give 512 rows. SQLite has no hash and is a file of ours to read: it gives a row for each key,
//! and the hash is made here.
//!
//! Source: METRICS.md 7.

use outcome_core::domain::{ArmSums, Contract, Events, Relation, SignalSpec, Via, Window};
use outcome_core::ports::{
    ExposureCounts, FactCounts, KeyBuckets, LookRequest, MetricLook, QueryKind, ReadError, VariantRequest, WrittenQuery,
};
use sha2::{Digest, Sha256};

use super::bind::{Param, Params, Statement};
use super::contract::{self, Writer, Written};
use super::dialect::Dialect;
use super::engine::{self, Ask, Limits};
use super::look_sql::{self, KeyOf};
use super::table::{Cell, Table};
use super::{Misfit, Query, SqlSource};

/// Buckets.
const N_BUCKETS: usize = 512;
/// Most different keys that a file may have.
const MAX_KEYS: u32 = 5_000_000;
/// Most keys beside the unit that are looked at.
const MAX_COLUMNS: usize = 12;
/// What SQLite writes before a key, so that it differs from the other two.
const KEY: &str = "k";

impl SqlSource {
    /// As [`outcome_core::ports::SignalSource::written`].
    pub(super) fn written_of(&self, signal: &SignalSpec, now: jiff::Timestamp) -> Result<Vec<WrittenQuery>, ReadError> {
        let Some(contract) = &signal.contract else { return Ok(Vec::new()) };
        let window = Window { from: now, to: now };
        let request = VariantRequest {
            experiment: outcome_core::domain::Slug::from_title("example"),
            flag_key: "example".to_owned(),
            window,
            launched_at: now,
            as_of: now,
            on_until: None,
        };
        let by_variant = self.variant_query(signal, &request)?;
        let mut found = vec![WrittenQuery { query: QueryKind::ByVariant, sql: by_variant.text.into_owned() }];
        if contract.population.is_some() {
            let level = self.level_query(signal, window)?;
            found.push(WrittenQuery { query: QueryKind::Level, sql: level.text.into_owned() });
        }
        Ok(found)
    }

    /// As [`outcome_core::ports::SignalSource::look`].
    pub(super) async fn look_at(
        &self,
        signal: &SignalSpec,
        request: &LookRequest,
    ) -> Result<Option<MetricLook>, ReadError> {
        let Some(contract) = signal.contract.as_deref() else { return Ok(None) };
        let looking = Looking { source: self, signal, request, contract };
        let exposures = looking.exposures().await?;
        let mut facts = Vec::new();
        for events in looking.events() {
            let counts = looking.fact(events).await?;
            if !facts.contains(&counts) {
                facts.push(counts);
            }
        }
        let is_population = exposures.n_mature == 0 && contract.population.is_some();
        let unit = looking.buckets(contract, is_population, None).await?;
        let without_cap = match contract.limits() {
            [None, ..] => None,
            [Some(_), ..] => {
                let whole = Contract { cap: None, caps: None, ..contract.clone() };
                Some(looking.buckets(&whole, is_population, None).await?.buckets)
            }
        };
        let mut coarser = Vec::new();
        for key in looking.keys(is_population).await? {
            let found = looking.buckets(contract, is_population, Some(&key)).await?;
            // A key that is another for nearly every unit says nothing that the unit does not, and one of which units have several is finer.
            let n: i64 = found.buckets.iter().filter_map(ArmSums::n).sum();
            if found.n_keys.saturating_mul(10) < n.saturating_mul(9)
                && found.n_several.saturating_mul(10) < n
                && found.n_keys > 1
            {
                coarser.push(found);
            }
        }
        Ok(Some(MetricLook { exposures, facts, unit, without_cap, coarser, is_population }))
    }
}

struct Looking<'a> {
    source: &'a SqlSource,
    signal: &'a SignalSpec,
    request: &'a LookRequest,
    contract: &'a Contract,
}

impl<'a> Looking<'a> {
    /// Whose events the metric takes.
    fn events(&self) -> Vec<&'a Events> {
        self.contract.quantity.events()
    }

    async fn ask(&self, written: Result<Written, String>, rows: u32) -> Result<Table, ReadError> {
        let statement = self.statement(written)?;
        let ask = Ask { sql: &statement.sql, binds: &statement.binds, limits: self.limits(rows), keep: |_| true };
        let answer = engine::query(&*self.source.engine, ask).await;
        answer.map_err(|error| self.source.refusal(error, &self.signal.name, None))
    }

    /// The columns of what is asked.
    async fn columns(&self, written: Result<Written, String>) -> Result<Vec<String>, ReadError> {
        let statement = self.statement(written)?;
        let ask = Ask { sql: &statement.sql, binds: &statement.binds, limits: self.limits(2), keep: |_| true };
        let answer = self.source.engine.columns_of(ask).await;
        answer.map_err(|error| self.source.refusal(error, &self.signal.name, None))
    }

    fn limits(&self, rows: u32) -> Limits {
        Limits { rows, ..self.source.limits }
    }

    fn statement(&self, written: Result<Written, String>) -> Result<Statement, ReadError> {
        let Written { text, params } = self.source.of_metric(self.signal, written)?;
        self.source.statement(self.signal, &Query { key: "check", text: text.into(), params })
    }

    /// The numbers of the only row.
    async fn counts(&self, written: Result<Written, String>) -> Result<Vec<i64>, ReadError> {
        let table = self.ask(written, 2).await?;
        let cells = table.rows.first().map(Vec::as_slice).unwrap_or_default();
        cells.iter().map(Cell::as_count).collect::<Result<_, _>>().map_err(|problem| self.misfit(problem))
    }

    fn misfit(&self, problem: String) -> ReadError {
        self.source.misfit(self.signal, Misfit { problem, hint: String::new() })
    }

    async fn exposures(&self) -> Result<ExposureCounts, ReadError> {
        let written = look_sql::exposure_counts(self.source.engine.dialect(), self.contract, self.flag());
        let [rows, pairs, units] = self.source.of_metric(self.signal, written)?;
        let mut params = self.params();
        params.insert(
            "mature".to_owned(),
            Param::At(contract::earlier(self.request.window.to, self.contract.matures_after())),
        );
        let with = |text: String| Ok(Written { text, params: params.clone() });
        let rows = self.counts(with(rows)).await?;
        let pairs = self.counts(with(pairs)).await?;
        let units = self.counts(with(units)).await?;
        let number = |all: &[i64], at: usize| all.get(at).copied().unwrap_or(0);
        Ok(ExposureCounts {
            n_rows: number(&rows, 0),
            n_repeated: number(&rows, 1),
            n_without_unit: number(&rows, 2),
            n_without_variant: number(&rows, 3),
            n_unknown_variant: number(&rows, 4),
            n_units_by_flag: number(&pairs, 0),
            n_both: number(&pairs, 1),
            n_units: number(&units, 0),
            n_mature: number(&units, 1),
        })
    }

    async fn fact(&self, events: &Events) -> Result<FactCounts, ReadError> {
        let text = look_sql::fact_counts(self.source.engine.dialect(), events);
        let found = self.counts(text.map(|text| Written { text, params: self.params() })).await?;
        let number = |at: usize| found.get(at).copied().unwrap_or(0);
        let rows = match &events.fact.rows {
            Relation::Table(name) => name.clone(),
            Relation::Sql(_) => "(a query)".to_owned(),
        };
        Ok(FactCounts { rows, n_rows: number(0), n_repeated: number(1), n_without_unit: number(2) })
    }

    fn flag(&self) -> bool {
        self.request.flag_key.is_some()
    }

    fn params(&self) -> Params {
        let Window { from, to } = self.request.window;
        let mut params = Params::from([("from".to_owned(), Param::At(from)), ("to".to_owned(), Param::At(to))]);
        if let Some(flag) = &self.request.flag_key {
            params.insert("flag".to_owned(), Param::Text(flag.clone()));
        }
        params
    }

    /// The columns beside the unit that name something: of the exposures, and of the facts.
    async fn keys(&self, is_population: bool) -> Result<Vec<KeyOf<'a>>, ReadError> {
        let exposures = &self.contract.exposures;
        let mapped = exposures.map.as_ref().map(|_| &Via::Map);
        let of_exposures = (&exposures.rows, exposures.unit.as_str(), exposures.at.as_str(), mapped);
        let population = self.contract.population.as_ref().filter(|_| is_population);
        let facts = self.events().into_iter().chain(population);
        let facts =
            facts.map(|Events { fact, .. }| (&fact.rows, fact.unit.as_str(), fact.at.as_str(), fact.via.as_ref()));
        let mut found: Vec<KeyOf<'a>> = Vec::new();
        for (rows, unit, at, via) in std::iter::once(of_exposures).filter(|_| !is_population).chain(facts) {
            let sample = look_sql::sample(self.source.engine.dialect(), rows, at);
            let sample = sample.map(|text| Written { text, params: self.params() });
            for column in self.columns(sample).await? {
                let is_key = column.to_lowercase().ends_with("_id") && !column.eq_ignore_ascii_case(unit);
                let is_plain = column.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                let is_new = !found.iter().any(|known| known.column.eq_ignore_ascii_case(&column));
                if is_key && is_plain && is_new && found.len() < MAX_COLUMNS {
                    found.push(KeyOf { rows, unit, at, via, column });
                }
            }
        }
        Ok(found)
    }

    async fn buckets(
        &self,
        contract: &Contract,
        is_population: bool,
        key: Option<&KeyOf<'_>>,
    ) -> Result<KeyBuckets, ReadError> {
        let (dialect, format) = self.source.engine_format();
        let Window { from, to } = self.request.window;
        let write = Writer { contract, dialect, format, until: to };
        let written = look_sql::buckets(&write, is_population, self.flag(), key).map(|text| {
            let mut params = self.params();
            let until = contract::earlier(to, contract.matures_after());
            params.extend([
                ("to".to_owned(), Param::At(until.max(from))),
                ("events_from".to_owned(), Param::At(from)),
                ("events_to".to_owned(), Param::At(to)),
                ("among_from".to_owned(), Param::At(contract::earlier(from, contract::among(contract)))),
                ("history_from".to_owned(), Param::At(contract::earlier(from, contract::history(contract)))),
            ]);
            Written { text, params }
        });
        let is_file = dialect == Dialect::Sqlite;
        let rows = if is_file { MAX_KEYS } else { 1000 };
        let table = self.ask(written, rows).await?;
        let column = key.map_or(contract.exposures.unit.as_str(), |key| key.column.as_str());
        let found = if table.rows.is_empty() { Ok(Vec::new()) } else { table.by_bucket(is_file) };
        let (mut buckets, mut n_keys, mut n_several) = (vec![None; N_BUCKETS], 0_i64, 0_i64);
        for (bucket, keys, sums) in found.map_err(|problem| self.misfit(problem))? {
            match bucket {
                Bucket::Of(number) => {
                    n_keys = n_keys.saturating_add(keys);
                    let known: Option<&mut Option<ArmSums>> = buckets.get_mut(number);
                    if let Some(known) = known {
                        *known = known.map_or(Some(sums), |known: ArmSums| known.plus(sums));
                    }
                }
                Bucket::Several => n_several = n_several.saturating_add(sums.n().unwrap_or(0)),
                Bucket::Nothing => {}
            }
        }
        Ok(KeyBuckets { key: column.to_owned(), n_keys, n_several, buckets: buckets.into_iter().flatten().collect() })
    }
}

/// Where the units of a row belong.
enum Bucket {
    Of(usize),
    /// They have several keys.
    Several,
    /// They have none.
    Nothing,
}

impl Table {
    fn by_bucket(&self, is_hashed_here: bool) -> Result<Vec<(Bucket, i64, ArmSums)>, String> {
        let shape = self.shape(false).map_err(|misfit| misfit.problem)?;
        let row = |row: &Vec<Cell>| {
            let cell = self.cell("or_bucket", row);
            let bucket = match cell {
                Cell::Text(text) if is_hashed_here && text.starts_with(KEY) => Bucket::Of(hashed(text)),
                _ => match cell.as_count()? {
                    -1 => Bucket::Nothing,
                    -2 => Bucket::Several,
                    number => Bucket::Of(usize::try_from(number).map_err(|_| "a bucket has no number".to_owned())?),
                },
            };
            let sums = self.with_covariate(self.sums(shape, row)?, row)?;
            Ok((bucket, self.cell("n_keys", row).as_count()?, sums))
        };
        self.rows.iter().map(row).collect()
    }
}

fn hashed(key: &str) -> usize {
    let digest = Sha256::digest(key);
    let number = digest.iter().take(4).fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
    number % N_BUCKETS
}
