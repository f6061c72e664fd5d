//! 90,189 real players of a mobile game, from `init` to the verdict: built programs, a real PostgreSQL, an MCP client as the
//! agent, signed decisions. `docs/tutorial-cookie-cats.md` tells the same story for a reader.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use outcome_tests::lab::{commit, git, write};
use outcome_tests::postgres;
use outcome_tests::programs::Cli;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

const DAYS: i64 = 28;

/// The data lies beside the repository and is not part of it.
fn data() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/cookie_cats.csv.gz");
    path.exists().then_some(path)
}

/// The file of the tutorial: what a reader copies is what is tested.
fn outcome_file() -> Result<String> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tutorial-cookie-cats.md"))?;
    let (_, rest) = page.split_once("```yaml\n").context("the tutorial has no outcome file")?;
    let (file, _) = rest.split_once("```").context("the tutorial's outcome file does not end")?;
    Ok(file.replace("sqlite:game.db", "${GAME_DATABASE_URL}"))
}

/// The page's blocks of a language, in order.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    page.split(&format!("```{language}\n")).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

/// Types the passphrase and the verdicts where a reader does, and passes everything else on.
const READER: &str = r#"
set -eu
sign() { command outcome-runtime "$@" --passphrase-fd 3 3<"$PASSPHRASE"; }
outcome-runtime() {
  case "$1 ${2:-}" in
    "init "*) sign "$@" --email dana@example.com --name Dana ;;
    "gate decide") shift; sign gate "$@" --confirm-checklist --note "see the tutorial" --verdict "$(verdict "$2")" ;;
    *) command outcome-runtime "$@" ;;
  esac
}
verdict() {
  case "$1" in analysis-*-2) echo kill ;; analysis-*) echo extend ;; *) echo approve ;; esac
}
"#;

/// A reader copies the two files and the commands of the page, in their order.
#[test]
fn the_page_can_be_followed_by_hand() -> Result<()> {
    let Some(path) = data() else {
        eprintln!("SKIPPED: cookie_cats.csv.gz is not beside the repository");
        return Ok(());
    };
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tutorial-cookie-cats.md"))?;
    let (files, commands) = (blocks(&page, "yaml"), blocks(&page, "sh"));
    let [outcome, hypothesis] = files.as_slice() else { anyhow::bail!("the page has {} files", files.len()) };
    let folder = tempfile::tempdir()?;
    let at = folder.path().canonicalize()?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
    std::fs::write(at.join("cookie_cats.csv"), text)?;
    std::fs::write(at.join("passphrase"), "nine lives of a cookie cat\n")?;
    let mut script = READER.to_owned();
    for (i, block) in commands.iter().enumerate() {
        script.push_str(block);
        script.push('\n');
        let written = match i {
            0 => Some(("outcome.yaml", outcome)),
            1 => Some(("hypothesis.yaml", hypothesis)),
            _ => None,
        };
        if let Some((name, text)) = written {
            script.push_str(&format!("cat > {name} <<'THE_FILE'\n{text}\nTHE_FILE\n"));
        }
    }
    let programs = outcome_tests::programs::program("outcome-runtime")?;
    let path = format!("{}:{}", programs.parent().context("no folder")?.display(), std::env::var("PATH")?);
    let done = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(&at)
        .env_clear()
        .envs([("PATH", path.as_str()), ("PASSPHRASE", &at.join("passphrase").display().to_string())])
        .envs([("HOME", at.as_os_str()), ("GIT_CONFIG_GLOBAL", std::ffi::OsStr::new("/dev/null"))])
        .envs([("GIT_AUTHOR_NAME", "Dana"), ("GIT_AUTHOR_EMAIL", "dana@example.com")])
        .envs([("GIT_COMMITTER_NAME", "Dana"), ("GIT_COMMITTER_EMAIL", "dana@example.com")])
        .output()?;
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    anyhow::ensure!(done.status.success(), "{said}");
    for part in
        ["90189 players", "18.6", "It does not bring the 1 point that it was planned for", "It does harm", "is killed"]
    {
        anyhow::ensure!(said.contains(part), "{part} is missing in {said}");
    }
    Ok(())
}

/// Loads the players with exposure times spread evenly over four weeks, in the order of the file.
async fn load(path: &Path, url: &str, start: Timestamp) -> Result<()> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>()?;
    assert_eq!(rows.len(), 90_189);
    let mut db = PgConnection::connect(url).await?;
    sqlx::query(
        "CREATE TABLE players (userid BIGINT PRIMARY KEY, version TEXT NOT NULL, sum_gamerounds INT NOT NULL,
             retention_1 BOOLEAN NOT NULL, retention_7 BOOLEAN NOT NULL, exposed_at TIMESTAMPTZ NOT NULL)",
    )
    .execute(&mut db)
    .await?;
    let whole = SignedDuration::from_hours(24 * DAYS).as_secs_f64();
    let mut copy = db.copy_in_raw("COPY players FROM STDIN WITH (FORMAT csv)").await?;
    let mut lines = String::new();
    // The file is sorted by user id, which says nothing about time: a fixed stride mixes it.
    let (n, stride) = (rows.len(), 7919);
    for (index, row) in rows.iter().enumerate() {
        let place = (index * stride) % n;
        let at = start + SignedDuration::from_secs_f64(whole * place as f64 / n as f64);
        let field = |i: usize| row.get(i).unwrap_or_default();
        lines.push_str(&format!("{},{},{},{},{},{at}\n", field(0), field(1), field(2), field(3), field(4)));
    }
    copy.send(lines.as_bytes()).await?;
    copy.finish().await?;
    sqlx::query("CREATE INDEX players_exposed_at ON players (exposed_at)").execute(&mut db).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_at_level_forty_is_stopped_as_soon_as_harm_is_certain() -> Result<()> {
    let Some(story) = play(0.0).await? else { return Ok(()) };
    assert_eq!(story.cause.as_deref(), Some("kill_threshold"), "{}", story.result);
    assert!(story.n_polls < DAYS, "harm was only found at the end");
    assert!(number(&story.result, "effect")? < 0.0 && number(&story.result["ci"], "upper")? < 0.0, "{}", story.result);
    Ok(())
}

/// A team that wants to see all of it tolerates five points of harm: the runtime reports what the data is known to hold.
#[tokio::test(flavor = "multi_thread")]
async fn the_gate_at_level_forty_costs_eight_tenths_of_a_point() -> Result<()> {
    let Some(story) = play(-0.05).await? else { return Ok(()) };
    assert_eq!((story.cause, story.n_polls), (None, DAYS), "{}", story.result);
    let (effect, control) = (number(&story.result, "effect")?, number(&story.result, "control_level")?);
    assert!((effect + 0.0082).abs() < 5e-5, "difference {effect}");
    assert!((control - 0.1902).abs() < 5e-5, "control {control}");
    assert_eq!((&story.result["n_control"], &story.result["n_treatment"]), (&json!(44_700), &json!(45_489)));
    assert_eq!(story.result["is_significant"], true, "{}", story.result);
    Ok(())
}

/// How it ended.
struct Story {
    /// Why the runtime paused it, if it did.
    cause: Option<String>,
    /// Daily polls until the end.
    n_polls: i64,
    /// The frozen result.
    result: Value,
}

/// From `init` to the end; `None` where the data or PostgreSQL is missing, which is said loudly.
async fn play(kill_threshold: f64) -> Result<Option<Story>> {
    let Some(path) = data() else {
        eprintln!("SKIPPED: cookie_cats.csv.gz is not beside the repository");
        return Ok(None);
    };
    let server = match postgres::server() {
        Ok(server) => server,
        Err(skip) => {
            eprintln!("SKIPPED: {skip}");
            return Ok(None);
        }
    };
    let url = server.database().await;
    let start: Timestamp = "2026-09-01T00:00:00Z".parse()?;
    load(&path, &url, start).await?;

    let (repo, home) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let root = repo.path().canonicalize()?;
    let clock = home.path().join("clock");
    std::fs::write(&clock, start.to_string())?;
    write(&root, "game/gate.txt", "level 30\n")?;
    write(&root, "outcome.yaml", &outcome_file()?)?;
    git(&root, &["init", "-q", "-b", "main"])?;
    commit(&root, "The game and its outcome")?;
    let clock_text = clock.display().to_string();
    let envs = [("OUTCOME_RUNTIME_CLOCK_FILE", clock_text.as_str()), ("GAME_DATABASE_URL", url.as_str())];
    let cli = Cli::new(&root, home.path(), "nine lives of a cookie cat", &envs)?;

    cli.signed(&["init", "--email", "dana@example.com", "--name", "Dana", "--no-apply"])?;
    cli.run(&["validate"])?;
    cli.signed(&["apply"])?;
    cli.signed(&["activate", "retention"])?;
    let agent = cli.agent().await?;
    let order = agent.call("get_work_order", json!({ "outcome": "retention" })).await?;
    assert!(order.to_string().contains("retention_7"), "{order}");
    let done = agent
        .call("submit_hypotheses", json!({ "outcome": "retention", "hypotheses": [idea(kill_threshold)] }))
        .await?;
    let experiment = done["proposed"][0].as_str().context("nothing was proposed")?.to_owned();

    decide(&cli, &experiment, "approve")?;
    let brief = agent.call("get_experiment_brief", json!({ "experiment_id": experiment })).await?;
    git(&root, &["checkout", "-q", "-b", "gate-40", brief["base_commit"].as_str().context("no base commit")?])?;
    write(&root, "game/gate.txt", "level 40 behind the flag gate-40\n")?;
    let head = commit(&root, "Move the gate")?;
    let report = json!({ "experiment_id": experiment, "implementation_summary": "Moved the gate",
        "files_changed": ["game/gate.txt"], "head": head });
    let built = agent.call("report_experiment_built", report).await?;
    assert_eq!(built["status"], "awaiting_launch_gate");
    decide(&cli, &experiment, "approve")?;

    let mut n_polls = 0;
    for day in 1..=DAYS {
        std::fs::write(&clock, (start + SignedDuration::from_hours(24 * day)).to_string())?;
        let polled = cli.json(&["poll", "--all"])?;
        assert_eq!(polled["failures"], json!([]), "{polled}");
        n_polls += 1;
        let status = show(&cli, &experiment)?["state"]["status"].as_str().unwrap_or_default().to_owned();
        match status.as_str() {
            "running" | "measuring" => {}
            // A week in, the promised point is excluded. We want to know whether it is worse, too.
            "awaiting_analysis_gate" if day < DAYS => decide(&cli, &experiment, "extend")?,
            _ => break,
        }
    }
    let shown = show(&cli, &experiment)?;
    let cause = shown["state"]["pause"]["cause"].as_str().map(ToOwned::to_owned);
    decide(&cli, &experiment, "kill")?;
    let shown = show(&cli, &experiment)?;
    assert_eq!(shown["state"]["status"], "killed");
    let result = shown["final_result"]["result"].clone();

    let found = agent.call("query_learnings", json!({ "query": "gate level" })).await?;
    assert!(found.to_string().contains("refuted_hypothesis"), "{found}");
    let check = cli.json(&["audit", "verify"])?;
    assert_eq!(check["is_intact"], true, "{check}");
    agent.stop().await?;
    Ok(Some(Story { cause, n_polls, result }))
}

fn decide(cli: &Cli, experiment: &str, verdict: &str) -> Result<()> {
    let gate = show(cli, experiment)?["gates"][0].as_str().context("no gate waits")?.to_owned();
    cli.signed(&["gate", "decide", &gate, "--verdict", verdict, "--confirm-checklist", "--note", "see the tutorial"])?;
    Ok(())
}

fn show(cli: &Cli, experiment: &str) -> Result<Value> {
    cli.json(&["experiment", "show", experiment])
}

fn number(value: &Value, field: &str) -> Result<f64> {
    value[field].as_f64().with_context(|| format!("`{field}` is no number in {value}"))
}

/// The agent's idea.
fn idea(kill_threshold: f64) -> Value {
    json!({
        "title": "Gate at level 40",
        "statement": "Moving the first gate from level 30 to 40 brings more players back after a week",
        "mechanism": "Players are interrupted later, when they are already fond of the game",
        "expected_improvement": 0.01, "confidence": 0.5,
        "intervention": "code_change", "intervention_description": "Move the gate behind the flag gate-40",
        "touched_paths": ["game/gate.txt"], "flag_key": "gate-40",
        "measurement": { "duration_days": 28, "min_sample_size": 10000, "success_threshold": 0.0,
            "kill_threshold": kill_threshold, "minimum_detectable_effect": 0.01 },
        "rollout": { "initial_pct": 50, "steps": [] },
        "effort_hours": 2, "risk": "low", "is_reversible": true, "tags": ["gate", "retention"],
    })
}
