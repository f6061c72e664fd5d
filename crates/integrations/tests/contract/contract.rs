//! What every SQL source must do, whatever its engine. Each engine's module prepares the same tables and calls [`all`].
//!
//! Tables: `exposure (unit text, variant text, at instant, converted int null, amount numeric null)` with
//!  - control: units c1, c2, c3; c1 converted; amounts 1.5, NULL, 2.5
//!  - treatment: units t1, t2; both converted; amounts 3, 4
//!
//! All at 2026-11-20 10:00:00 and later, and the text table `note (body)` with one row `naïve — 世界`.
//! The table `keyed (id)` has a primary key and 500 rows.

use std::collections::BTreeMap;
use std::path::Path;

use outcome_core::Code;
use outcome_core::config::{Config, ConnectorSpec, parse};
use outcome_core::domain::{
    Aggregation, ArmSums, MetricMethod, Period, Reading, SignalQuery, SignalSpec, Variant, VariantReading, Window,
};
use outcome_core::ports::{
    ColumnKind, FlagError, FlagService, Notifier, NotifyError, Opening, QueryKind, ReadError, SignalSource, SqlEngine,
    VariantRequest,
};
use outcome_integrations::VENDORS;
use pretty_assertions::assert_eq;
use secrecy::SecretString;

pub(crate) const ROWS: &str = "
    INSERT INTO exposure (unit, variant, at, converted, amount) VALUES
        ('c1', 'control', '2026-11-20 10:00:00', 1, 1.5),
        ('c2', 'control', '2026-11-20 11:00:00', NULL, NULL),
        ('c3', 'control', '2026-11-20 12:00:00', NULL, 2.5),
        ('t1', 'treatment', '2026-11-20 10:30:00', 1, 3),
        ('t2', 'treatment', '2026-11-20 11:30:00', 1, 4)";

pub(crate) const KEYED: &str = "
    CREATE TABLE keyed (id INTEGER PRIMARY KEY);
    INSERT INTO keyed
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT i FROM n";

/// What differs between engines.
pub(crate) struct Subject {
    pub(crate) url: String,
    pub(crate) config: SqlConfig,
    pub(crate) server: &'static str,
    /// A query that runs for very long and gives one row.
    pub(crate) slow: &'static str,
    /// A query that begins like a reading and writes.
    pub(crate) sneaky_write: Option<&'static str>,
    /// An expression of a floating-point value that is not a number, or infinite.
    pub(crate) not_finite: &'static str,
    /// Name of `exposure` in the list.
    pub(crate) table: &'static str,
    /// Name of `exposure` in a plan, where plans name tables.
    pub(crate) scanned: Option<&'static str>,
    /// A first file can be proposed from its tables.
    pub(crate) proposes: bool,
}

/// The settings of a source that is asked with SQL.
#[derive(Clone)]
pub(crate) struct SqlConfig {
    pub(crate) kind: &'static str,
    /// Further keys, as in the file.
    pub(crate) more: String,
    /// What references other than `${URL}` resolve to.
    pub(crate) secrets: Vec<(&'static str, String)>,
    pub(crate) url: String,
    pub(crate) statement_timeout: &'static str,
    pub(crate) row_cap: u32,
    pub(crate) time_format: &'static str,
}

impl SqlConfig {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self {
            kind: "sql",
            more: String::new(),
            secrets: Vec::new(),
            url: url.into(),
            statement_timeout: "30s",
            row_cap: 1000,
            time_format: "native",
        }
    }

    /// Declared in a file whose `url` is a reference, so that any address reaches the source.
    pub(crate) fn declared(&self) -> ConnectorSpec {
        let Self { statement_timeout, row_cap, time_format, more, .. } = self;
        connector(
            self.kind,
            &format!(
                "url: ${{URL}}, statement_timeout: {statement_timeout}, row_cap: {row_cap}, time_format: {time_format}{more}"
            ),
        )
    }

    pub(crate) fn open(&self, root: &Path) -> Result<Box<dyn SignalSource>, ReadError> {
        let resolve = |text: &str| {
            let secret = self.secrets.iter().find(|(name, _)| *name == text).map(|(_, value)| value.as_str());
            let is_reference = text.starts_with("${");
            Ok(SecretString::from(secret.unwrap_or(if is_reference { &self.url } else { text })))
        };
        self.declared().settings.open("shop", &Opening { root, resolve: &resolve })
    }
}

pub(crate) fn config_of(section: &str) -> Config {
    let text = format!(
        "version: 1\noutcomes:\n  - id: paid\n    title: Paid\n    horizon: 6w\n    \
         target: {{ direction: increase, from: 0.3, to: 0.4 }}\n    \
         signal: {{ source: other, metric: paid, query: {{ level: \"SELECT :from, :to\" }} }}\n{section}\n"
    );
    let parsed = parse(&text, "outcome.yaml", &VENDORS, None);
    parsed.config.unwrap_or_else(|| panic!("{}", outcome_core::config::render_all(&parsed.diagnostics, false)))
}

/// A connector named `shop`, as a file declares it.
pub(crate) fn connector(kind: &str, config: &str) -> ConnectorSpec {
    let other = "{ name: other, type: sql, config: { url: \"${OTHER}\" } }";
    let found = config_of(&format!(
        "signal_connectors:\n  - {other}\n  - {{ name: shop, type: {kind}, config: {{ {} }} }}",
        config.replace("${URL}", "\"${URL}\"").replace("${S}", "\"${S}\"")
    ));
    found.connector("shop").unwrap().clone()
}

/// A source, as a file declares it; references resolve to `value`, keyed by their text.
pub(crate) fn source_of(
    kind: &str,
    config: &str,
    root: &Path,
    values: &[(&str, &str)],
) -> Result<Box<dyn SignalSource>, ReadError> {
    let resolve = |text: &str| {
        let found = values.iter().find(|(name, _)| *name == text).map_or(text, |(_, value)| *value);
        Ok(SecretString::from(found))
    };
    connector(kind, config).settings.open("shop", &Opening { root, resolve: &resolve })
}

/// A flag service, as a file declares it; references resolve to `value`, keyed by their text.
pub(crate) fn flag_service(
    provider: &str,
    config: &str,
    root: &Path,
    values: &[(&str, &str)],
) -> Result<Box<dyn FlagService>, FlagError> {
    let text = format!(
        "signal_connectors:\n  - {{ name: other, type: sql, config: {{ url: \"${{OTHER}}\" }} }}\n\
         feature_flags: {{ provider: {provider}, config: {{ {config} }} }}"
    );
    let resolve = |text: &str| {
        let found = values.iter().find(|(name, _)| *name == text).map_or(text, |(_, value)| *value);
        Ok(SecretString::from(found))
    };
    config_of(&text).flags.unwrap().settings.open(&Opening { root, resolve: &resolve })
}

/// A channel, as a file declares it; references resolve to `value`, keyed by their text.
pub(crate) fn channel(
    kind: &str,
    config: &str,
    root: &Path,
    values: &[(&str, &str)],
) -> Result<Box<dyn Notifier>, NotifyError> {
    let text = format!(
        "signal_connectors:\n  - {{ name: other, type: sql, config: {{ url: \"${{OTHER}}\" }} }}\n\
         notifications: {{ {kind}: {{ {config} }} }}"
    );
    let resolve = |text: &str| {
        let found = values.iter().find(|(name, _)| *name == text).map_or(text, |(_, value)| *value);
        Ok(SecretString::from(found))
    };
    let declared = config_of(&text).notifications.channels;
    declared[0].settings.open(&Opening { root, resolve: &resolve })
}

pub(crate) fn source(config: SqlConfig) -> Box<dyn SignalSource> {
    config.open(Path::new("/")).unwrap()
}

pub(crate) fn signal(level: &str, by_variant: &str) -> SignalSpec {
    SignalSpec {
        name: "paid".to_owned(),
        source: "shop".to_owned(),
        metric: "paid".to_owned(),
        method: MetricMethod::Custom,
        funnel_steps: vec![],
        segment: BTreeMap::new(),
        aggregation: Aggregation::default(),
        unit: None,
        poll_interval: Period::from_hours(1),
        query: SignalQuery { level: Some(level.to_owned()), by_variant: Some(by_variant.to_owned()) },
        contract: None,
    }
}

pub(crate) fn window(from: &str, to: &str) -> Window {
    Window { from: from.parse().unwrap(), to: to.parse().unwrap() }
}

pub(crate) fn day() -> Window {
    window("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z")
}

pub(crate) fn request(window: Window) -> VariantRequest {
    VariantRequest {
        experiment: "short-form".parse().unwrap(),
        flag_key: "short-form".to_owned(),
        window,
        launched_at: window.from,
        as_of: window.to,
        on_until: None,
    }
}

async fn level(source: &dyn SignalSource, sql: &str) -> Result<Reading<ArmSums>, ReadError> {
    source.level(&signal(sql, ""), day()).await
}

const BY_VARIANT: &str = "SELECT variant, count(*) AS n, count(converted) AS successes FROM exposure
    WHERE at >= :from AND at < :to GROUP BY variant";
const LEVEL: &str = "SELECT count(*) AS n, sum(amount) AS sum, sum(amount * amount) AS sum_squares FROM exposure
    WHERE amount IS NOT NULL AND at >= :from AND at < :to;  -- the end";

pub(crate) async fn all(subject: &Subject) {
    let source = source(subject.config.clone());
    let source = &*source;
    reads(source).await;
    bounds_the_window(source).await;
    refuses_writes(source, subject).await;
    refuses_shapes(source, subject).await;
    says_what_the_database_said(source).await;
    reports(source, subject).await;
    stops(subject).await;
    keeps_the_address_to_itself(subject).await;
}

async fn reads(source: &dyn SignalSource) {
    let got = source.by_variant(&signal(LEVEL, BY_VARIANT), &request(day())).await.unwrap();
    assert_eq!(
        got.data,
        [
            VariantReading::new(Variant::Control, ArmSums::Proportion { n: 3, successes: 1 }),
            VariantReading::new(Variant::Treatment, ArmSums::Proportion { n: 2, successes: 2 }),
        ]
    );
    assert_eq!((got.window, got.warnings.as_slice()), (day(), [].as_slice()));
    assert_eq!((got.query_hash.len(), got.raw_hash.len()), (64, 64));
    let again = source.by_variant(&signal(LEVEL, BY_VARIANT), &request(day())).await.unwrap();
    assert_eq!(again, got, "the same question has the same answer and hashes");

    // What a query says of its units is read beside the sums, and covered by the hash.
    let units =
        "SELECT variant, count(*) AS n, count(DISTINCT unit) AS n_units, 1 AS N_Both, count(converted) AS successes
        FROM exposure WHERE at >= :from AND at < :to GROUP BY variant";
    let with_units = source.by_variant(&signal(LEVEL, units), &request(day())).await.unwrap();
    let said: Vec<_> = with_units.data.iter().filter_map(|arm| arm.units).collect();
    assert_eq!(said.iter().map(|units| units.n_both).collect::<Vec<_>>(), [Some(1), Some(1)]);
    assert!(
        said.iter().zip(&with_units.data).all(|(units, arm)| units.n_units.is_some_and(|n| Some(n) <= arm.sums.n()))
    );
    assert_ne!(with_units.raw_hash, got.raw_hash);
    for wrong in ["-1", "NULL", "1.5"] {
        let query = units.replace("1 AS N_Both", &format!("{wrong} AS n_both"));
        let refused = source.by_variant(&signal(LEVEL, &query), &request(day())).await.unwrap_err();
        assert!(refused.to_string().contains("`n_both`"), "{wrong}: {refused}");
    }

    let got = level(source, LEVEL).await.unwrap();
    assert_eq!(got.data, ArmSums::Mean { n: 4, sum: 11.0, sum_squares: 33.5 });
    let got = level(source, "SELECT avg(amount) AS value FROM exposure WHERE at < :to").await.unwrap();
    assert_eq!(got.data, ArmSums::Value { value: 2.75 });
    let got = level(source, "SELECT 2000000000 AS n, 3 AS successes").await.unwrap();
    assert_eq!(got.data, ArmSums::Proportion { n: 2_000_000_000, successes: 3 });
    let sql = "SELECT count(*) AS n, 0 AS successes FROM note WHERE body = 'naïve — 世界' AND ':from' <> ''";
    assert_eq!(level(source, sql).await.unwrap().data, ArmSums::Proportion { n: 1, successes: 0 });

    let mut segmented = signal("SELECT count(*) AS n, 0 AS successes FROM exposure WHERE unit = :segment_unit", "");
    segmented.segment.insert("unit".to_owned(), "c1".to_owned());
    segmented.segment.insert("land kode".to_owned(), "NL".to_owned());
    let got = source.level(&segmented, day()).await.unwrap();
    assert_eq!(got.data, ArmSums::Proportion { n: 1, successes: 0 });
    assert_eq!(got.warnings, ["the query does not use :segment_land_kode: the segment does not restrict this reading"]);

    let by_name = "SELECT CASE WHEN :flag = 'short-form' AND :experiment = 'short-form' AND :since_launch <= :as_of
        THEN 'on' ELSE 'none' END AS variant, 1 AS n, 1 AS successes";
    let got = source.by_variant(&signal("", by_name), &request(day())).await.unwrap();
    assert_eq!(got.data.first().map(|reading| reading.variant), Some(Variant::Treatment));
}

async fn bounds_the_window(source: &dyn SignalSource) {
    // The start counts, the end does not.
    let at = async |from, to| source.by_variant(&signal("", BY_VARIANT), &request(window(from, to))).await;
    let n = |got: Reading<Vec<VariantReading>>| got.data.iter().map(|reading| reading.sums.n()).collect::<Vec<_>>();
    let read = at("2026-11-20T10:00:00Z", "2026-11-20T11:30:00Z").await;
    assert_eq!(n(read.unwrap()), [Some(2), Some(1)]);
    let offset = at("2026-11-20T11:00:00+01:00", "2026-11-20T12:30:00+01:00").await;
    assert_eq!(n(offset.unwrap()), [Some(2), Some(1)]);
    let empty = at("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z").await.unwrap();
    assert_eq!(empty.data, [], "nobody was exposed yet");
    let nothing = window("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z");
    let got = source.level(&signal(LEVEL, ""), nothing).await.unwrap();
    assert_eq!(got.data, ArmSums::Mean { n: 0, sum: 0.0, sum_squares: 0.0 });
}

async fn refuses_writes(source: &dyn SignalSource, subject: &Subject) {
    let error = level(source, "INSERT INTO note (body) VALUES ('x')").await.unwrap_err();
    assert_eq!(error.code(), Code::ConnectorConfig);
    let error = level(source, "SELECT 1 AS value; DELETE FROM note").await.unwrap_err();
    assert_eq!(error.code(), Code::ConnectorConfig);
    if let Some(sql) = subject.sneaky_write {
        let error = level(source, sql).await.unwrap_err();
        assert_eq!(error.code(), Code::SignalFetchFailed, "{error}");
    }
    let rows = level(source, "SELECT count(*) AS value FROM note").await.unwrap();
    assert_eq!(rows.data, ArmSums::Value { value: 1.0 }, "nothing was written or removed");
}

async fn refuses_shapes(source: &dyn SignalSource, subject: &Subject) {
    let not_finite = format!("SELECT {} AS value", subject.not_finite);
    for (sql, expected) in [
        ("SELECT unit AS a, at AS b FROM exposure", "its columns `a`, `b` are not those of a reading"),
        ("SELECT unit AS a FROM exposure WHERE unit = 'nobody'", "its columns `a` are not those of a reading"),
        ("SELECT 1 AS n, 2 AS successes", "row 1: `successes` is 2, more than `n` (1)"),
        ("SELECT -1 AS n, 0 AS successes", "row 1: `n` is -1"),
        ("SELECT 9223372036854775807 AS n, 0 AS successes", "row 1: `n` is 9223372036854775807, more than the limit"),
        ("SELECT 2 AS n, 10 AS sum, 3.5 AS sum_squares", "row 1: `sum_squares` is 3.5, less than"),
        ("SELECT amount AS value FROM exposure WHERE unit = 'c2'", "row 1: `value` is NULL, not a number"),
        ("SELECT 'many' AS value", "row 1: `value` is a text of 4 characters, not a number"),
        ("SELECT 1 AS value FROM exposure", "it has 5 rows where one is expected"),
        ("SELECT 1 AS value FROM exposure WHERE unit = 'nobody'", "it has no rows"),
        (not_finite.as_str(), "row 1: `value` is "),
    ] {
        let error = level(source, sql).await.unwrap_err();
        assert_eq!(error.code(), Code::SignalShape, "{sql}: {error}");
        let expected = format!("connector `shop` gave an unusable answer for `paid`: {expected}");
        assert!(error.to_string().starts_with(&expected), "{sql}: {error}");
    }
    let error = source.by_variant(&signal("", "SELECT 'b' AS variant, 1 AS n, 1 AS successes"), &request(day())).await;
    let error = error.unwrap_err();
    let expected = "row 1: the variant is `b`, which is unknown; known are control, treatment, off, on";
    assert!(error.to_string().contains(expected), "{error}");
}

async fn says_what_the_database_said(source: &dyn SignalSource) {
    let error = level(source, "SELECT 1 AS value,\n  nope FROM exposure").await.unwrap_err();
    assert_eq!(error.code(), Code::SignalFetchFailed);
    assert!(error.to_string().contains("nope"), "{error}");
    assert!(!error.is_transient());
    let error = level(source, "SELECT 1 AS value WHERE :form = 1").await.unwrap_err();
    assert!(error.to_string().contains("unknown parameter `:form`; valid here: :from :to"), "{error}");
    let error = source.level(&SignalSpec { query: SignalQuery::default(), ..signal("", "") }, day()).await.unwrap_err();
    assert!(error.to_string().contains("signal `paid` has no `query.level`"), "{error}");
}

async fn reports(source: &dyn SignalSource, subject: &Subject) {
    let report = source.test().await.unwrap();
    assert!(report.server.contains(subject.server), "{report:?}");
    assert!(report.is_read_only, "{report:?}");
    let tables = source.list().await.unwrap();
    let exposure = tables.iter().find(|table| table.name == subject.table).unwrap_or_else(|| panic!("{tables:?}"));
    assert!(exposure.fields.iter().any(|field| field.to_lowercase().starts_with("variant ")), "{exposure:?}");
    if subject.proposes {
        tells_its_tables(source).await;
    }
    let broken = signal("SELECT nope FROM exposure", BY_VARIANT);
    let error = source.plan(&broken, QueryKind::Level, day()).await.unwrap_err();
    assert!(matches!(error, ReadError::Query { .. }) && error.to_string().contains("nope"), "{error}");
    let Some(scanned) = subject.scanned else { return };
    for kind in [QueryKind::Level, QueryKind::ByVariant] {
        let plan = source.plan(&signal(LEVEL, BY_VARIANT), kind, day()).await.unwrap().unwrap();
        assert!(plan.lines.concat().contains("exposure"), "{plan:?}");
        assert_eq!((plan.full_scans.as_slice(), plan.uses_index), ([scanned.to_owned()].as_slice(), false), "{plan:?}");
        assert_eq!(plan.in_words(), format!("reads all of `{scanned}`, without an index"));
    }
    let by_key = signal("SELECT count(*) AS value FROM keyed WHERE id = 7", BY_VARIANT);
    let plan = source.plan(&by_key, QueryKind::Level, day()).await.unwrap().unwrap();
    assert_eq!(plan.in_words(), "uses an index", "{plan:?}");
}

/// What a proposal of metrics is made from: columns by what they hold, rows counted up to a limit, common values.
async fn tells_its_tables(source: &dyn SignalSource) {
    let all = source.tables().await.unwrap().unwrap();
    let exposure = all.tables.iter().find(|table| table.name == "exposure").unwrap_or_else(|| panic!("{all:?}"));
    assert_eq!(exposure.schema, None, "it is where queries look first");
    let column = |name: &str| exposure.columns.iter().find(|column| column.name == name).unwrap();
    assert_eq!(column("variant").kind, ColumnKind::Text, "{exposure:?}");
    assert_eq!(column("converted").kind, ColumnKind::Whole, "{exposure:?}");
    assert_eq!(column("amount").kind, ColumnKind::Number, "{exposure:?}");
    if all.engine != SqlEngine::Sqlite {
        assert_eq!(column("at").kind, ColumnKind::Instant, "{exposure:?}");
    }
    assert_eq!(source.count_rows(exposure, 100).await.unwrap(), 5);
    assert_eq!(source.count_rows(exposure, 3).await.unwrap(), 3, "no more rows are read than were asked for");
    let values = source.common_values(exposure, column("variant")).await.unwrap();
    let values: Vec<_> = values.iter().map(|value| (value.text.as_str(), value.n)).collect();
    assert_eq!(values, [("control", 3), ("treatment", 2)]);
}

async fn stops(subject: &Subject) {
    let short = source(SqlConfig { statement_timeout: "1s", ..subject.config.clone() });
    let error = level(&*short, subject.slow).await.unwrap_err();
    assert_eq!(error.code(), Code::SignalTimeout, "{error}");
    assert!(error.is_transient());
    assert!(level(&*short, "SELECT 1 AS value").await.is_ok(), "the next question is answered");

    let capped = source(SqlConfig { row_cap: 3, ..subject.config.clone() });
    let error = level(&*capped, "SELECT 1 AS value FROM exposure").await.unwrap_err();
    assert!(error.to_string().ends_with("it has more than 3 rows"), "{error}");
    assert!(level(&*capped, "SELECT 1 AS value").await.is_ok(), "the next question is answered");
}

async fn keeps_the_address_to_itself(subject: &Subject) {
    let source = source(subject.config.clone());
    for sql in ["SELECT 1 AS nope", "SELECT", "SELECT 1 AS value FROM nowhere"] {
        let error = level(&*source, sql).await.unwrap_err();
        let shown = format!("{error} {error:?} {:?}", error.hint());
        assert!(!shown.contains(&subject.url), "{shown}");
    }
}
