//! Where readings come from: a [`SignalSource`] for each kind of connector, and the settings that open it.
//!
//! Everything a source says is untrusted. Whoever implements this port bounds it (rows, bytes, time) while it is read and
//! passes it through [`super::reading_check`]. **Invariant**: a source writes nothing, stores nothing and decides nothing.

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limits::SourceLimits;
use super::read_error::ReadError;
use super::secrets::Opening;
use super::tables::{ColumnInfo, CommonValue, TableInfo, Tables};
use crate::domain::{ArmSums, FoundQuantile, Period, Reading, SignalSpec, Slug, VariantReading, Window, text_enum};

/// The checked settings of a declared source; references such as `${ENV}` are not resolved yet.
pub trait SourceSettings: std::fmt::Debug + Send + Sync {
    /// The settings as they were declared, references unresolved.
    fn to_json(&self) -> serde_json::Value;

    /// The texts that may hold references. When one of them resolves to something else, the source is opened again.
    fn references(&self) -> Vec<&str>;

    /// Opens the source. Nothing is connected before the first question.
    ///
    /// # Errors
    /// [`ReadError::Config`] when the settings cannot work or a secret is missing.
    fn open(&self, name: &str, opening: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError>;

    /// How long after its exposure a unit can be claimed on, where the settings say so: the time in which it counts, and how late rows come.
    fn whole_after(&self) -> Option<Period> {
        None
    }

    /// How requests of this source are verified, for a source that pushes its readings.
    fn push(&self) -> Option<PushSettings<'_>> {
        None
    }
}

/// How the requests of a pushing source are verified.
#[derive(Debug, Clone, Copy)]
pub struct PushSettings<'s> {
    /// Shared secret of the signature; a `${ENV}` or `${file:}` reference.
    pub secret: &'s str,
    /// Maximum age of a signed request.
    pub replay_window: Period,
}

/// Units that were shown the treatment of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Treated {
    /// How many.
    pub n: i64,
    /// When the last one was; `None` where the source does not say.
    pub newest: Option<Timestamp>,
}

/// A place that signals are read from.
#[async_trait]
pub trait SignalSource: Send + Sync {
    /// Connects, tries what the runtime relies on (a write must be refused), and says what was found.
    async fn test(&self) -> Result<SourceReport, ReadError>;

    /// Reads the signal over the whole population in `window`.
    async fn level(&self, signal: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError>;

    /// Reads the signal for the units that were exposed in one allocation phase: at most one reading an arm, control
    /// first. An arm that nobody saw yet is missing.
    async fn by_variant(
        &self,
        signal: &SignalSpec,
        request: &VariantRequest,
    ) -> Result<Reading<Vec<VariantReading>>, ReadError>;

    /// The same for several allocation phases, a reading for each: of one and the same instant where the source can do so.
    async fn by_phase(
        &self,
        signal: &SignalSpec,
        requests: &[VariantRequest],
    ) -> Result<Vec<Reading<Vec<VariantReading>>>, ReadError> {
        let mut readings = Vec::with_capacity(requests.len());
        for request in requests {
            readings.push(self.by_variant(signal, request).await?);
        }
        Ok(readings)
    }

    /// The same for parts of allocation phases, of one and the same instant; only where [`Self::sealing`] allows it and the metric
    /// [has fixed cohorts](crate::domain::Contract::has_fixed_cohorts). A unit counts in the part in which it was exposed first; one that
    /// saw both arms counts as such in the part in which it saw the second. So what is read of parts adds up to what is read of
    /// their phase.
    async fn by_part(
        &self,
        signal: &SignalSpec,
        _requests: &[PartRequest],
    ) -> Result<Vec<Reading<Vec<VariantReading>>>, ReadError> {
        Err(no_parts(&signal.source))
    }

    /// When metrics are read in sealed cohorts.
    fn sealing(&self) -> Sealing {
        Sealing::Never
    }

    /// What could be measured there: tables and columns, events, metrics. Bounded.
    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError>;

    /// The tables of a database with what their columns hold, for a proposal of metrics; `None` where there are none. Bounded.
    async fn tables(&self) -> Result<Option<Tables>, ReadError> {
        Ok(None)
    }

    /// How many rows a table has, counted up to `most`: never a scan of a big table.
    async fn count_rows(&self, _table: &TableInfo, _most: u32) -> Result<i64, ReadError> {
        Ok(0)
    }

    /// The most common values of a column among some thousands of rows. Never stored.
    async fn common_values(&self, _table: &TableInfo, _column: &ColumnInfo) -> Result<Vec<CommonValue>, ReadError> {
        Ok(Vec::new())
    }

    /// Statements that make a user who reads what these queries read and can do nothing else, for a person to run; `None`
    /// where there are no users. Never with a password.
    async fn reader_role(&self, _queries: &[String]) -> Result<Option<Vec<String>>, ReadError> {
        Ok(None)
    }

    /// Where it leads, without secrets: engine, user, host, port and database, or the path of a file from the root; `None` for a source
    /// that leads nowhere, because it is pushed to. Nothing is connected for it.
    fn place(&self) -> Option<String> {
        None
    }

    /// How much it bears.
    fn limits(&self) -> SourceLimits {
        SourceLimits::default()
    }

    /// What its own clock shows; `None` for a source that has none but ours: a file, or one that pushes.
    async fn clock(&self) -> Result<Option<Timestamp>, ReadError> {
        Ok(None)
    }

    /// The quantile that the signal's cap asks for, over one window of every unit that ended at `before`: of the value or numerator, then of the
    /// denominator of a ratio, then of the covariate, of those that there are. Empty where its cap is no quantile.
    async fn quantiles(&self, _signal: &SignalSpec, _before: Timestamp) -> Result<Vec<FoundQuantile>, ReadError> {
        Ok(Vec::new())
    }

    /// Who was shown the treatment of a flag in a window, of a metric of the contract; `None` where nobody knows.
    async fn treated(
        &self,
        _signal: &SignalSpec,
        _flag_key: &str,
        _window: Window,
    ) -> Result<Option<Treated>, ReadError> {
        Ok(None)
    }

    /// Whether the columns of a metric of the contract fit each other, where the source would not say so when it is asked.
    async fn fits(&self, _signal: &SignalSpec) -> Result<(), ReadError> {
        Ok(())
    }

    /// The statements of a metric of the contract as this source would be asked; empty for any other signal.
    fn written(&self, _signal: &SignalSpec) -> Result<Vec<WrittenQuery>, ReadError> {
        Ok(Vec::new())
    }

    /// What the rows behind a metric of the contract say about its units; `None` for any other signal.
    async fn look(&self, _signal: &SignalSpec, _request: &LookRequest) -> Result<Option<MetricLook>, ReadError> {
        Ok(None)
    }

    /// What can be tried of a protocol that only this kind of source speaks, as with a question that a later version would ask; empty where
    /// there is nothing.
    async fn protocol(&self, _signal: &SignalSpec, _window: Window) -> Vec<ProtocolTry> {
        Vec::new()
    }

    /// How the source would answer one of the signal's queries (its query plan), without running it; `None` where there is no
    /// such thing.
    async fn plan(
        &self,
        _signal: &SignalSpec,
        _query: QueryKind,
        _window: Window,
    ) -> Result<Option<QueryPlan>, ReadError> {
        Ok(None)
    }
}

/// Something of a protocol that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtocolTry {
    /// Stable name of the check.
    pub check: &'static str,
    /// What is expected, as a sentence.
    pub expected: &'static str,
    /// What was seen instead, and what to do.
    pub problem: Option<(String, String)>,
}

/// What is asked about an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantRequest {
    /// The experiment.
    pub experiment: Slug,
    /// Its flag.
    pub flag_key: String,
    /// Units exposed in this window are counted: `[start of the allocation phase, min(now, its end))`.
    pub window: Window,
    /// When the experiment was launched; at or before the start of the window.
    pub launched_at: Timestamp,
    /// The instant up to which values of those units count; the time of the poll.
    pub as_of: Timestamp,
    /// When the flag's allocation was changed after the window began; `None` where it was not. A unit whose own window was not over by
    /// then is not whole.
    pub on_until: Option<Timestamp>,
}

/// A part of an allocation phase.
#[derive(Debug, Clone, PartialEq)]
pub struct PartRequest {
    /// What is asked about the experiment in the phase.
    pub of: VariantRequest,
    /// Within its window.
    pub part: Window,
}

text_enum! {
    /// When a metric is read in sealed cohorts: what was read of units whose values are final is kept, and not read at each poll again.
    pub enum Sealing {
        /// Each poll reads every unit.
        Never,
        /// From the first reading of every unit on that takes long.
        Auto,
        /// From the beginning.
        Always,
    }
}

/// What a source says that cannot be asked for parts of a phase.
#[must_use]
pub fn no_parts(source: &str) -> ReadError {
    ReadError::Config {
        source_name: source.to_owned(),
        problem: "it cannot be read in sealed cohorts".to_owned(),
        hint: "read it without: `sealed_cohorts: never`".to_owned(),
    }
}

/// What [`SignalSource::test`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct SourceReport {
    /// Name of the connector.
    pub source: String,
    /// Product and version, as the server says: `PostgreSQL 17.2`.
    pub server: String,
    /// A write was tried and refused. For a source that pushes: nothing can be written there at all.
    pub is_read_only: bool,
    /// From the request for a connection to the first answer.
    pub latency_ms: u64,
    /// Rights of the user that no reading needs.
    pub risks: Vec<Risk>,
    /// Remarks for people.
    pub notes: Vec<String>,
}

/// A right that no reading needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Risk {
    /// How bad it is.
    pub danger: Danger,
    /// The right, as a sentence about the user.
    pub what: String,
}

impl Risk {
    /// A test refuses a user who has it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.danger == Danger::Refused
    }
}

text_enum! {
    /// What holds a right back that no reading needs.
    pub enum Danger {
        /// Nothing: a query alone acts outside of its read-only transaction. A test refuses such a user.
        Refused,
        /// The read-only transaction; a test warns.
        Warned,
    }
}

/// Something that could be measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct MetricInfo {
    /// Name as a query would write it: `public.orders`.
    pub name: String,
    /// What it holds: `amount numeric`.
    pub fields: Vec<String>,
}

text_enum! {
    /// One of a signal's queries.
    pub enum QueryKind {
        /// Over the whole population.
        Level,
        /// By variant.
        ByVariant,
    }
}

/// A statement that the runtime wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct WrittenQuery {
    /// Which.
    pub query: QueryKind,
    /// With the parameters by name.
    pub sql: String,
}

/// Which units are looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct LookRequest {
    /// Exposures of this flag; of all of them where absent.
    pub flag_key: Option<String>,
    /// Exposures in this window.
    pub window: Window,
}

/// What the exposures say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ExposureCounts {
    /// Rows in the window.
    pub n_rows: i64,
    /// Rows that say what another one says.
    pub n_repeated: i64,
    /// Rows without a unit.
    pub n_without_unit: i64,
    /// Rows without an arm.
    pub n_without_variant: i64,
    /// Rows whose arm is neither control nor treatment.
    pub n_unknown_variant: i64,
    /// Units.
    pub n_units: i64,
    /// Units whose window, `settle` and `lag` are over.
    pub n_mature: i64,
    /// Units of each flag, added up.
    pub n_units_by_flag: i64,
    /// Those of them that saw both arms of it.
    pub n_both: i64,
}

/// What a fact says in the window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct FactCounts {
    /// Its table, or `(a query)`.
    pub rows: String,
    /// Rows in the window.
    pub n_rows: i64,
    /// Rows with the unit and the instant of another one.
    pub n_repeated: i64,
    /// Rows without a unit.
    pub n_without_unit: i64,
}

/// The units by hash of one of their keys.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyBuckets {
    /// The column.
    pub key: String,
    /// Different values of it.
    pub n_keys: i64,
    /// Units that have several of them: these are in no bucket.
    pub n_several: i64,
    /// Sums of the units in each bucket, with the cap and the covariate.
    pub buckets: Vec<ArmSums>,
}

/// What the rows behind a metric say.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricLook {
    /// Of the exposures.
    pub exposures: ExposureCounts,
    /// Of each fact.
    pub facts: Vec<FactCounts>,
    /// By the unit itself.
    pub unit: KeyBuckets,
    /// The same without a cap; `None` where there is none.
    pub without_cap: Option<Vec<ArmSums>>,
    /// By each other key of which a unit has one.
    pub coarser: Vec<KeyBuckets>,
    /// The units are those of `population`, because nobody was exposed long enough ago.
    pub is_population: bool,
}

/// How the source would answer a query.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct QueryPlan {
    /// The source's own words, one line each.
    pub lines: Vec<String>,
    /// Tables, or their names in the query, that are read from end to end.
    pub full_scans: Vec<String>,
    /// Some table is read through an index.
    pub uses_index: bool,
    /// How many bytes it would read, where the source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl QueryPlan {
    /// Whether an index helps, in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        if let Some(bytes) = self.bytes {
            return format!("reads {}", size(bytes));
        }
        let tables: Vec<_> = self.full_scans.iter().map(|table| format!("`{table}`")).collect();
        match (tables.join(", "), self.uses_index) {
            (none, true) if none.is_empty() => "uses an index".to_owned(),
            (none, false) if none.is_empty() => "reads no table".to_owned(),
            (whole, true) => format!("reads all of {whole}, the rest through an index"),
            (whole, false) => format!("reads all of {whole}, without an index"),
        }
    }
}

/// A number of bytes for people, in the units in which warehouses are paid.
#[must_use]
pub fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let gigabytes = bytes as f64 / 1e9;
    if gigabytes < 0.01 { format!("{} MB", bytes.div_ceil(1_000_000)) } else { format!("{gigabytes:.2} GB") }
}
