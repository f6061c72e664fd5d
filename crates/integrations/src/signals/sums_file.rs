//! A JSON file of daily sums, which another program writes: an example, and for small projects without a database.
//!
//! There is no vendor: the format is our own, and is described in `docs/connectors/sums_file.md`. The file is read anew at
//! each question and never written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use outcome_core::config::vendor::{Answers, Asked, Decode as _, Keymap, Node, Reporter, SignalVendor, references};
use outcome_core::domain::{ArmSums, Reading, SignalSpec, Variant, VariantReading, Window};
use outcome_core::ports::reading_check as check;
use outcome_core::ports::{MetricInfo, Opening, ReadError, SignalSource, SourceReport, SourceSettings, VariantRequest};
use outcome_core::yaml_map;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// A JSON file of daily sums.
pub(crate) const VENDOR: SignalVendor = SignalVendor {
    kind: "sums_file",
    example: "path: sums.json",
    asked: Asked::ByName(Answers { by_variant: true, funnels: false, segments: false }),
    keys: Keymap::new(SumsFile::FIELDS, |generator| generator.subschema_for::<SumsFile>()),
    read,
};

yaml_map! {
    /// Settings of a `sums_file` source.
    SumsFile("the config of a `sums_file` source") {
        /// The file, such as `sums.json`, relative to the repository's root.
        required path: String,
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>> {
    let path = SumsFile::decode(node, reporter)?.path?;
    references(&path, reporter).then(|| Arc::new(SumsSettings { path: path.value }) as Arc<dyn SourceSettings>)
}

#[derive(Debug)]
struct SumsSettings {
    path: String,
}

impl SourceSettings for SumsSettings {
    fn to_json(&self) -> serde_json::Value {
        json!({ "path": self.path })
    }

    fn references(&self) -> Vec<&str> {
        vec![&self.path]
    }

    fn open(&self, name: &str, opening: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        let path = opening.resolve.resolve(&self.path).map_err(|error| ReadError::secret(name, &error))?;
        let path = Path::new(path.expose_secret());
        if path.file_name().is_none()
            || !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Err(ReadError::Config {
                source_name: name.to_owned(),
                problem: "`path` does not lead to a file below the repository's root".to_owned(),
                hint: "write it without `..` and without a leading `/`, as in data/sums.json".to_owned(),
            });
        }
        Ok(Box::new(SumsSource { name: name.to_owned(), file: opening.root.join(path) }))
    }
}

/// Largest file, in bytes.
const MAX_FILE: u64 = 10 * 1024 * 1024;

#[derive(Debug, Clone)]
struct SumsSource {
    name: String,
    file: PathBuf,
}

/// By metric.
type Days = BTreeMap<String, Vec<Day>>;

/// One day of one metric: of all units, or of the units that were exposed on this day to one variant of a flag.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Day {
    date: Date,
    flag: Option<String>,
    variant: Option<String>,
    n: i64,
    successes: Option<i64>,
    sum: Option<f64>,
    sum_squares: Option<f64>,
}

impl Day {
    /// The day belongs to the window in which it ends (UTC), so that it belongs to one window only.
    fn is_in(&self, window: Window) -> bool {
        let end = self.date.checked_add(1.day()).and_then(|next| next.to_zoned(TimeZone::UTC));
        end.is_ok_and(|end| window.from < end.timestamp() && end.timestamp() <= window.to)
    }

    fn arm(&self) -> Option<Variant> {
        self.variant.as_deref().and_then(check::variant)
    }

    fn sums(&self) -> Result<ArmSums, String> {
        let sums = match (self.successes, self.sum, self.sum_squares) {
            (Some(successes), None, None) => ArmSums::Proportion { n: self.n, successes },
            (None, Some(sum), Some(sum_squares)) => ArmSums::Mean { n: self.n, sum, sum_squares },
            _ => return Err("it has neither `successes`, nor `sum` and `sum_squares`".to_owned()),
        };
        check::sums(&sums).map(|()| sums)
    }
}

/// The sums of some days; `None` without a day.
fn total<'d>(days: impl Iterator<Item = &'d Day>) -> Result<Option<ArmSums>, String> {
    let (mut total, mut seen) = (None, BTreeSet::new());
    for day in days {
        if !seen.insert(day.date) {
            return Err(format!("{}: the day stands twice", day.date));
        }
        let sums = day.sums().map_err(|problem| format!("{}: {problem}", day.date))?;
        total = Some(match (total, sums) {
            (None, sums) => sums,
            (Some(ArmSums::Proportion { n, successes }), ArmSums::Proportion { n: more, successes: also }) => {
                ArmSums::Proportion { n: n.saturating_add(more), successes: successes.saturating_add(also) }
            }
            (
                Some(ArmSums::Mean { n, sum, sum_squares }),
                ArmSums::Mean { n: more, sum: plus, sum_squares: squares },
            ) => ArmSums::Mean { n: n.saturating_add(more), sum: sum + plus, sum_squares: sum_squares + squares },
            _ => return Err(format!("{}: it has other sums than the days before", day.date)),
        });
    }
    if let Some(total) = &total {
        check::sums(total)?;
    }
    Ok(total)
}

/// SHA-256 of canonical JSON.
fn hash(value: &impl Serialize) -> String {
    hex::encode(Sha256::digest(serde_json_canonicalizer::to_vec(value).unwrap_or_default()))
}

impl SumsSource {
    fn shape(&self, signal: &str, problem: String) -> ReadError {
        let hint = "docs/connectors/sums_file.md has the fields of a day".to_owned();
        ReadError::Shape { source_name: self.name.clone(), signal: signal.to_owned(), problem, hint }
    }

    fn load_sync(&self) -> Result<Days, ReadError> {
        let lost = |detail: std::io::Error| ReadError::Unreachable {
            source_name: self.name.clone(),
            detail: format!("{}: {detail}", self.file.display()),
        };
        let mut text = String::new();
        let file = File::open(&self.file).map_err(lost)?;
        file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(lost)?;
        if text.len() as u64 > MAX_FILE {
            return Err(self.shape("(file)", format!("the file is larger than {MAX_FILE} bytes")));
        }
        // The place only: what stands there could be anything, when the path leads to another file.
        serde_json::from_str(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            self.shape("(file)", format!("line {line}, column {column}: this is not a list of days for each metric"))
        })
    }

    /// Not on the runtime's threads: the file may be on a slow disk.
    async fn load(&self) -> Result<Days, ReadError> {
        let this = self.clone();
        let lost = |detail: String| ReadError::Unreachable { source_name: self.name.clone(), detail };
        tokio::task::spawn_blocking(move || this.load_sync()).await.map_err(|error| lost(error.to_string()))?
    }

    async fn days(&self, signal: &SignalSpec, window: Window) -> Result<Vec<Day>, ReadError> {
        let days = self.load().await?.remove(&signal.metric);
        let days = days.ok_or_else(|| self.shape(&signal.name, format!("there is no `{}`", signal.metric)))?;
        Ok(days.into_iter().filter(|day| day.is_in(window)).collect())
    }
}

#[async_trait]
impl SignalSource for SumsSource {
    async fn test(&self) -> Result<SourceReport, ReadError> {
        let began = Instant::now();
        let n_metrics = self.load().await?.len();
        Ok(SourceReport {
            source: self.name.clone(),
            server: "a file of daily sums".to_owned(),
            is_read_only: true,
            latency_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            notes: vec![format!("{n_metrics} metrics; the file is only read")],
        })
    }

    async fn level(&self, signal: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError> {
        let mut days = self.days(signal, window).await?;
        days.retain(|day| day.variant.is_none());
        let data = total(days.iter()).map_err(|problem| self.shape(&signal.name, problem))?;
        let data = data.ok_or_else(|| self.shape(&signal.name, "no day of all units in the window".to_owned()))?;
        let query_hash = hash(&json!(["level", signal.metric, window]));
        Ok(Reading { data, window, query_hash, raw_hash: hash(&days), warnings: Vec::new() })
    }

    async fn by_variant(
        &self,
        signal: &SignalSpec,
        request: &VariantRequest,
    ) -> Result<Reading<Vec<VariantReading>>, ReadError> {
        let mut days = self.days(signal, request.window).await?;
        days.retain(|day| day.variant.is_some() && day.flag.as_ref() == Some(&request.flag_key));
        if let Some(other) = days.iter().find(|day| day.arm().is_none()) {
            let problem = format!("{}: the variant is neither `control` nor `treatment`", other.date);
            return Err(self.shape(&signal.name, problem));
        }
        let mut data = Vec::new();
        for variant in [Variant::Control, Variant::Treatment] {
            let sums = total(days.iter().filter(|day| day.arm() == Some(variant)))
                .map_err(|problem| self.shape(&signal.name, problem))?;
            data.extend(sums.map(|sums| VariantReading { variant, sums }));
        }
        let query_hash = hash(&json!(["by_variant", signal.metric, request.flag_key, request.window]));
        Ok(Reading { data, window: request.window, query_hash, raw_hash: hash(&days), warnings: Vec::new() })
    }

    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError> {
        let named =
            |(name, days): (String, Vec<Day>)| MetricInfo { name, fields: vec![format!("{} days", days.len())] };
        Ok(self.load().await?.into_iter().take(1000).map(named).collect())
    }
}

#[cfg(test)]
mod tests {
    use outcome_core::domain::{Aggregation, MetricMethod, Period, SignalQuery};
    use pretty_assertions::assert_eq;
    use secrecy::SecretString;

    use super::*;

    /// Opens `sums.json` in a folder of its own, with this text in it.
    fn open(text: &str) -> (tempfile::TempDir, Box<dyn SignalSource>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("sums.json"), text).unwrap();
        let source = at("sums.json", dir.path()).unwrap();
        (dir, source)
    }

    fn at(path: &str, root: &Path) -> Result<Box<dyn SignalSource>, ReadError> {
        let resolve = |text: &str| Ok(SecretString::from(text));
        SumsSettings { path: path.to_owned() }.open("sums", &Opening { root, resolve: &resolve })
    }

    fn signal(metric: &str) -> SignalSpec {
        SignalSpec {
            name: "paid".to_owned(),
            source: "sums".to_owned(),
            metric: metric.to_owned(),
            method: MetricMethod::Event,
            funnel_steps: vec![],
            segment: BTreeMap::new(),
            aggregation: Aggregation::default(),
            unit: None,
            poll_interval: Period::from_hours(6),
            query: SignalQuery::default(),
        }
    }

    fn window(from: &str, to: &str) -> Window {
        Window { from: from.parse().unwrap(), to: to.parse().unwrap() }
    }

    fn request(window: Window) -> VariantRequest {
        VariantRequest {
            experiment: "short-form".parse().unwrap(),
            flag_key: "short".to_owned(),
            window,
            launched_at: window.from,
            as_of: window.to,
        }
    }

    const SUMS: &str = r#"{
        "paid": [
            { "date": "2026-11-19", "n": 100, "successes": 10 },
            { "date": "2026-11-20", "n": 200, "successes": 30, "note": "unknown keys are left alone" },
            { "date": "2026-11-20", "flag": "short", "variant": "on", "n": 90, "successes": 20 },
            { "date": "2026-11-20", "flag": "short", "variant": "off", "n": 110, "successes": 10 },
            { "date": "2026-11-20", "flag": "other", "variant": "on", "n": 5, "successes": 5 },
            { "date": "2026-11-21", "flag": "short", "variant": "on", "n": 10, "successes": 1 }
        ],
        "spent": [{ "date": "2026-11-20", "n": 3, "sum": 6.0, "sum_squares": 14.0 }]
    }"#;

    #[tokio::test]
    async fn days_that_end_in_the_window_are_added() {
        let (_dir, source) = open(SUMS);
        let week = window("2026-11-14T08:00:00Z", "2026-11-21T08:00:00Z");
        let paid = source.level(&signal("paid"), week).await.unwrap();
        assert_eq!(paid.data, ArmSums::Proportion { n: 300, successes: 40 });
        let spent = source.level(&signal("spent"), week).await.unwrap();
        assert_eq!(spent.data, ArmSums::Mean { n: 3, sum: 6.0, sum_squares: 14.0 });
        assert!(paid.query_hash != spent.query_hash && paid.raw_hash != spent.raw_hash);

        let midday = window("2026-11-20T12:00:00Z", "2026-11-21T12:00:00Z");
        let arms = source.by_variant(&signal("paid"), &request(midday)).await.unwrap().data;
        let arm = |variant, n, successes| VariantReading { variant, sums: ArmSums::Proportion { n, successes } };
        assert_eq!(arms, [arm(Variant::Control, 110, 10), arm(Variant::Treatment, 90, 20)]);
        let later = window("2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z");
        assert_eq!(source.by_variant(&signal("paid"), &request(later)).await.unwrap().data, []);
    }

    #[tokio::test]
    async fn what_cannot_be_a_sum_is_refused_with_its_day() {
        let day = window("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z");
        for (lines, problem) in [
            (r#"{"date":"2026-11-20","n":1,"successes":2}"#, "2026-11-20: `successes` is 2"),
            (r#"{"date":"2026-11-20","n":1}"#, "2026-11-20: it has neither"),
            (r#"{"date":"2026-11-20","n":1,"successes":0},{"date":"2026-11-20","n":1,"successes":0}"#, "stands twice"),
            (r#"{"date":"2026-11-19","n":1,"successes":0}"#, "no day of all units"),
            (r#"{"date":"2026-11-20","n":"s3cret","successes":0}"#, "line 1, column"),
            (r#"{"date":"2026-11-20""#, "line 1, column"),
        ] {
            let (_dir, source) = open(&format!("{{\"paid\": [{lines}]}}"));
            let error = source.level(&signal("paid"), day).await.unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, ReadError::Shape { .. }) && text.contains(problem), "{lines}: {text}");
            assert!(!text.contains("s3cret"), "{text}");
        }
        let third = r#"{"paid": [{"date":"2026-11-20","flag":"short","variant":"blue","n":1,"successes":0}]}"#;
        let error = open(third).1.by_variant(&signal("paid"), &request(day)).await.unwrap_err();
        assert!(error.to_string().contains("neither `control` nor `treatment`"), "{error}");
        assert!(open(SUMS).1.level(&signal("lost"), day).await.unwrap_err().to_string().contains("there is no `lost`"));
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_may_come_later_and_one_outside_is_refused() {
        let (dir, source) = open(SUMS);
        assert_eq!(source.test().await.unwrap().notes, ["2 metrics; the file is only read"]);
        assert_eq!(source.list().await.unwrap().len(), 2);
        std::fs::remove_file(dir.path().join("sums.json")).unwrap();
        assert!(source.test().await.unwrap_err().is_transient());
        for path in ["", ".", "/etc/sums.json", "../sums.json", "a/../../sums.json"] {
            assert!(matches!(at(path, dir.path()), Err(ReadError::Config { .. })), "{path}");
        }
    }
}
