//! A program that is asked: the sample of the documentation, and small shell scripts that answer badly.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use outcome_core::Code;
use outcome_core::domain::{ArmSums, CountedUnits, MetricMethod, Reading, SignalSpec, Variant, VariantReading};
use outcome_core::ports::{ReadError, SignalSource, VariantRequest};
use outcome_tests::peers::{run, runs, skip};
use pretty_assertions::assert_eq;
use sha2::{Digest as _, Sha256};

use super::contract::{request, source_of, window};
use super::kit::{named, week};

/// A folder of the user's own, outside of temporary folders and repositories.
pub(crate) fn home() -> tempfile::TempDir {
    let home = std::env::home_dir().unwrap();
    tempfile::Builder::new().prefix(".outcome-exec-test-").tempdir_in(home).unwrap()
}

pub(crate) fn put(dir: &Path, text: &str) -> PathBuf {
    let program = dir.join("metrics");
    // Written under another name first: a file that is open for writing cannot be run.
    let draft = dir.join("draft");
    std::fs::write(&draft, text).unwrap();
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(&draft, &program).unwrap();
    program
}

pub(crate) fn hash(program: &Path) -> String {
    hex::encode(Sha256::digest(std::fs::read(program).unwrap()))
}

pub(crate) fn open(program: &Path, sha256: &str, more: &str, root: &Path) -> Box<dyn SignalSource> {
    let config = format!("program: {}, sha256: {sha256}, token: \"${{TOKEN}}\"{more}", program.display());
    source_of("exec", &config, root, &[("${TOKEN}", "t0ken")]).unwrap()
}

/// A script that reads its question and goes on with this.
fn source(dir: &Path, rest: &str) -> Box<dyn SignalSource> {
    let program = put(dir, &format!("#!/bin/sh\nread question\n{rest}\n"));
    open(&program, &hash(&program), ", timeout: 2s", Path::new("/nowhere"))
}

async fn level(source: &dyn SignalSource) -> Result<Reading<ArmSums>, ReadError> {
    source.level(&named("order paid"), week()).await
}

#[tokio::test]
async fn a_question_is_one_line_and_an_answer_another() {
    let dir = home();
    let program = put(
        dir.path(),
        "#!/bin/sh\nread question\nprintf '%s' \"$question\" > \"$1\"\n[ \"$OUTCOME_TOKEN\" = t0ken ] && [ -z \"$HOME\" ] || exit 9\n\
         echo '{\"n\": \"100\", \"successes\": 7, \"warnings\": [\"late t0ken\"], \"new\": 1}'\n",
    );
    let asked = dir.path().join("asked");
    let more = format!(", arguments: [\"{}\"]", asked.display());
    let source = open(&program, &hash(&program), &more, Path::new("/nowhere"));
    let read = level(&*source).await.unwrap();
    assert_eq!((read.data, read.window), (ArmSums::Proportion { n: 100, successes: 7 }, week()));
    assert_eq!(read.warnings, ["late [redacted]"]);
    assert_eq!(
        std::fs::read_to_string(&asked).unwrap(),
        r#"{"version":1,"ask":"level","metric":"order paid","method":"event","funnel_steps":[],"segment":{},"window":{"from":"2026-11-14T00:00:00Z","to":"2026-11-21T00:00:00Z"}}"#
    );
    assert_eq!(level(&*source).await.unwrap(), read, "the same question has the same answer and hashes");

    let _ = source.by_variant(&named("order paid"), &request(week())).await;
    let asked = std::fs::read_to_string(&asked).unwrap();
    assert!(
        asked.ends_with(
            r#""experiment":"short-form","flag":"short-form","launched_at":"2026-11-14T00:00:00Z","as_of":"2026-11-21T00:00:00Z"}"#
        ),
        "{asked}"
    );
}

#[tokio::test]
async fn only_the_signed_program_is_run_and_only_where_nobody_else_can_change_it() {
    let dir = home();
    let good = "#!/bin/sh\nread q\necho '{\"value\": 1}'\n";
    let program = put(dir.path(), good);
    let signed = hash(&program);
    let source = open(&program, &signed, "", Path::new("/nowhere"));
    assert_eq!(level(&*source).await.unwrap().data, ArmSums::Value { value: 1.0 });
    put(dir.path(), &good.replace('1', "2"));
    let error = level(&*source).await.unwrap_err();
    assert_eq!(error.code(), Code::ConnectorConfig);
    assert!(error.to_string().contains("is not the program that was signed"), "{error}");

    put(dir.path(), good);
    let inside = open(&program, &signed, "", dir.path());
    assert!(level(&*inside).await.unwrap_err().to_string().contains("is in the repository"));
    std::fs::create_dir(dir.path().join(".git")).unwrap();
    let error = level(&*source).await.unwrap_err();
    assert!(error.to_string().contains("in a repository"), "{error}");
    std::fs::remove_dir(dir.path().join(".git")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert!(level(&*source).await.unwrap_err().to_string().contains("others can write"));

    let temporary = tempfile::tempdir().unwrap();
    let program = put(temporary.path(), good);
    let source = open(&program, &signed, "", Path::new("/nowhere"));
    assert!(level(&*source).await.unwrap_err().to_string().contains("a temporary folder"));
    std::fs::remove_file(&program).unwrap();
    assert!(level(&*source).await.unwrap_err().is_transient());
    for (program, sha256) in [("metrics", signed.as_str()), ("/opt/metrics", "abc")] {
        let opened = std::panic::catch_unwind(|| open(Path::new(program), sha256, "", Path::new("/nowhere")));
        assert!(opened.is_err(), "{program} {sha256}: the file was accepted");
    }
}

#[tokio::test]
async fn answers_that_are_none_are_refused() {
    let dir = home();
    for (rest, code, expected) in [
        ("echo '{}'", Code::SignalShape, "it has neither `n` and `successes`"),
        ("echo '{\"n\": 1}'", Code::SignalShape, "it has neither"),
        ("echo '{\"n\": 1, \"successes\": 2}'", Code::SignalShape, "more than `n` (1)"),
        ("echo '{\"value\": null}'", Code::SignalShape, "it has neither"),
        ("echo '{\"value\": \"NaN\"}'", Code::SignalShape, "`value` is no number"),
        ("echo '{\"value\": NaN}'", Code::SignalShape, "it is not JSON"),
        ("echo '{\"value\": \"s3cret\"}'", Code::SignalShape, ""),
        (
            "echo '{\"value\": 1, \"window\": {\"from\": \"2026-11-14T00:00:00Z\", \"to\": \"2026-11-22T00:00:00Z\"}}'",
            Code::SignalShape,
            "`window` ends after",
        ),
        ("printf '{\"value\": '", Code::SignalShape, "it ends in the middle"),
        ("true", Code::SignalShape, "it is empty"),
        ("head -c 2000000 /dev/zero", Code::SignalShape, "it is larger than 1048576 bytes"),
        ("echo 'no such table t0ken' >&2; exit 3", Code::SignalFetchFailed, "exit status: 3: no such table [redacted]"),
        (
            "echo '{\"error\": {\"kind\": \"unauthorized\", \"message\": \"t0ken expired\"}}'",
            Code::SignalUnauthorized,
            "[redacted] expired",
        ),
        ("echo '{\"error\": {\"kind\": \"unreachable\", \"message\": \"gone\"}}'", Code::SignalFetchFailed, "gone"),
        ("echo '{\"error\": {\"message\": \"which metric?\"}}'", Code::SignalFetchFailed, "which metric?"),
        ("exec sleep 60", Code::SignalTimeout, "did not answer within 2 s"),
        // A child that keeps the output open.
        ("sleep 60 & exit 0", Code::SignalTimeout, "did not answer within 2 s"),
    ] {
        let source = source(dir.path(), rest);
        let error = level(&*source).await.unwrap_err();
        assert_eq!(error.code(), code, "{rest}: {error}");
        assert!(error.to_string().contains(expected), "{rest}: {error}");
        let shown = format!("{error:?}");
        assert!(!shown.contains("t0ken") && !shown.contains("s3cret"), "{shown}");
    }
    let full = source(
        dir.path(),
        "echo '{\"error\": {\"kind\": \"throttled\", \"message\": \"quota\", \"retry_after_secs\": 90}}'",
    );
    assert_eq!(level(&*full).await.unwrap_err().retry_after(), Some(Duration::from_secs(90)));
}

#[tokio::test]
async fn what_runs_too_long_is_ended_with_all_that_it_started() {
    let dir = home();
    let mark = dir.path().join("alive");
    let source = source(dir.path(), &format!("(sleep 4; touch '{}') &\nwait", mark.display()));
    let began = Instant::now();
    assert_eq!(level(&*source).await.unwrap_err().code(), Code::SignalTimeout);
    assert!(began.elapsed() < Duration::from_secs(4));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!mark.exists(), "a child lived on");
}

#[tokio::test]
async fn arms_are_read_and_none_vanishes() {
    let dir = home();
    let arms = async |arms: &str| {
        let source = source(dir.path(), &format!("echo '{{\"arms\": {arms}}}'"));
        source.by_variant(&named("order paid"), &request(week())).await
    };
    let read = arms(r#"[{"variant": "on", "n": 12, "successes": 2, "n_both": 1}, {"variant": "off", "n": 10, "sum": 3, "sum_squares": 5}]"#).await;
    let units = CountedUnits { n_units: Some(12), n_both: Some(1), same_as: None };
    assert_eq!(
        read.unwrap().data,
        [
            VariantReading::new(Variant::Control, ArmSums::Mean { n: 10, sum: 3.0, sum_squares: 5.0 }),
            VariantReading {
                units: Some(units),
                ..VariantReading::new(Variant::Treatment, ArmSums::Proportion { n: 12, successes: 2 })
            },
        ]
    );
    assert_eq!(arms("[]").await.unwrap().data, [], "nobody was exposed yet");
    for (text, expected) in [
        (r#"[{"variant": "blue", "n": 1, "successes": 0}]"#, "`arms[0]`: the variant `blue` is neither"),
        (
            r#"[{"variant": "on", "n": 1, "successes": 0}, {"variant": "true", "n": 1, "successes": 0}]"#,
            "a second row for `treatment`",
        ),
        (r#"[{"variant": "on", "n": 1}]"#, "`arms[0]`: it has neither"),
        (r#"[{"variant": "on", "n": 1, "successes": 0, "n_both": -1}]"#, "`n_both` is -1"),
        ("7", "`arms` is integer"),
    ] {
        let error = arms(text).await.unwrap_err();
        assert_eq!(error.code(), Code::SignalShape);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn units_of_an_earlier_step_are_refused_and_less_than_was_asked_is_said() {
    let dir = home();
    let arms = async |from: &str| {
        let answer = format!(r#"{{"arms": [], "window": {{"from": "{from}", "to": "2026-11-20T00:00:00Z"}}}}"#);
        source(dir.path(), &format!("echo '{answer}'")).by_variant(&named("order paid"), &request(week())).await
    };
    let error = arms("2026-11-13T23:59:59Z").await.unwrap_err();
    assert_eq!(error.code(), Code::SignalShape);
    assert!(error.to_string().contains("`window` begins before the one that was asked for"), "{error}");
    for from in ["2026-11-14T00:00:00Z", "2026-11-15T00:00:00Z"] {
        assert_eq!(arms(from).await.unwrap().window, window(from, "2026-11-20T00:00:00Z"));
    }
    let about = source(dir.path(), "echo '{}'").test().await.unwrap();
    assert!(!about.is_read_only, "nothing was tried: {about:?}");
}

#[tokio::test]
async fn the_sample_of_the_documentation_answers() {
    if !runs("python3") {
        skip("exec: there is no python3");
        return;
    }
    let dir = home();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/connectors/samples/exec_sqlite.py");
    let program = put(dir.path(), &std::fs::read_to_string(sample).unwrap());
    let db = dir.path().join("shop.db");
    let rows = "
        CREATE TABLE exposures (user_id, flag, variant, at); CREATE TABLE events (user_id, name, at);
        INSERT INTO exposures VALUES ('c1', 'short-form', 'off', '2026-11-15T10:00:00Z'), ('c2', 'short-form', 'off', '2026-11-15T10:00:00Z'),
            ('t1', 'short-form', 'on', '2026-11-15T10:00:00Z'), ('t1', 'short-form', 'off', '2026-11-16T10:00:00Z'),
            ('z', 'other', 'on', '2026-11-15T10:00:00Z');
        INSERT INTO events VALUES ('c1', 'order paid', '2026-11-15T09:00:00Z'), ('t1', 'order paid', '2026-11-15T11:00:00Z'),
            ('x', 'seen', '2026-11-15T11:00:00Z');";
    let make = format!("import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript('''{rows}''')");
    run(std::process::Command::new("python3").args(["-c", &make]).arg(&db)).unwrap();
    let source =
        open(&program, &hash(&program), &format!(", arguments: [\"{}\"]", db.display()), Path::new("/nowhere"));

    assert!(source.test().await.unwrap().server.starts_with("SQLite 3."));
    let names: Vec<_> = source.list().await.unwrap().into_iter().map(|metric| metric.name).collect();
    assert_eq!(names, ["order paid", "seen"]);
    assert_eq!(level(&*source).await.unwrap().data, ArmSums::Proportion { n: 3, successes: 2 });
    let phase = VariantRequest {
        as_of: "2026-11-22T00:00:00Z".parse().unwrap(),
        ..request(window("2026-11-14T00:00:00Z", "2026-11-21T00:00:00Z"))
    };
    let read = source.by_variant(&named("order paid"), &phase).await.unwrap();
    assert_eq!(
        read.data,
        [
            VariantReading::new(Variant::Control, ArmSums::Proportion { n: 2, successes: 0 }),
            VariantReading::new(Variant::Treatment, ArmSums::Proportion { n: 1, successes: 1 }),
        ]
    );
    let funnel = SignalSpec { method: MetricMethod::Funnel, ..named("checkout") };
    let error = source.level(&funnel, week()).await.unwrap_err();
    assert!(error.to_string().contains("only `method: event`"), "{error}");
}
