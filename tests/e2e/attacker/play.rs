//! A sequence is played: each step through the real door, and what it wrote past the runtime is remembered.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use outcome_tests::lab::{MEMBER, OUTCOME, write};
use outcome_tests::programs::Cli;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _};

use super::git;
use super::human::Ledger;
use super::oracle::{self, FORGED_N, Facts, Found};
use super::shop::{BUILDING, FLAGS, Prepared, Shop, copied};
use super::step::{Environment, FileTrick, POWERFUL, Step};
use super::store::Wrote;

/// What came of a sequence.
#[derive(Debug)]
pub(super) struct Played {
    /// What the attacker caused that the member did not.
    pub(super) differences: Vec<String>,
    /// Rows that were written past the runtime.
    pub(super) rows: Vec<String>,
    /// What broke a promise whether it is found or not.
    pub(super) broken: Vec<String>,
    pub(super) found: Found,
    /// What the store says, where there is one.
    pub(super) facts: Option<Facts>,
    /// Acts of the member that were refused.
    pub(super) refused: Vec<String>,
    /// Nothing was written past the runtime: then nothing may be found.
    pub(super) is_honest: bool,
}

impl Played {
    /// What nothing refused and nothing found.
    pub(super) fn unseen(&self) -> Vec<String> {
        let mut unseen = self.broken.clone();
        if !self.found.is_any() {
            unseen.extend(self.differences.iter().chain(&self.rows).cloned());
        }
        if self.is_honest && !self.found.verify.is_empty() {
            unseen.push(format!("false alarm: {:?}", self.found.verify));
        }
        // Nor may an agent make an experiment undecidable.
        let alarms = ["state_tampered", "audit_broken", "root_changed", "signature_invalid"];
        if let Some(code) =
            self.refused.iter().chain(&self.found.unsealing).find(|code| alarms.contains(&code.as_str()))
            && self.is_honest
        {
            unseen.push(format!("the member is refused with `{code}`, and nobody wrote past the runtime"));
        }
        unseen
    }
}

struct Kept {
    rows: Vec<String>,
    /// The name of the copy, on PostgreSQL.
    database: Option<String>,
}

pub(super) struct World {
    pub(super) shop: Shop,
    pub(super) ledger: Ledger,
    environment: Environment,
    rows: Vec<String>,
    broken: Vec<String>,
    is_honest: bool,
    kept: Option<Kept>,
    token: Option<String>,
}

/// Plays the steps in a fresh copy, and asks the oracle.
pub(super) async fn played(prepared: &Prepared, ledger: &Ledger, steps: &[Step]) -> Result<Played> {
    let mut world = World::begun(prepared, ledger).await?;
    for step in steps {
        world.step(step).await.with_context(|| format!("{step:?}"))?;
    }
    world.judged().await
}

impl World {
    /// A fresh copy, in which nothing happened yet.
    pub(super) async fn begun(prepared: &Prepared, ledger: &Ledger) -> Result<Self> {
        Ok(Self {
            shop: prepared.shop().await?,
            ledger: ledger.clone(),
            environment: Environment::Clean,
            rows: vec![],
            broken: vec![],
            is_honest: true,
            kept: None,
            token: None,
        })
    }

    async fn judged(mut self) -> Result<Played> {
        self.shop.quiet().await;
        let mut found = Found { verify: oracle::verified(&self.shop)?, ..Found::default() };
        let facts = Facts::of(&self.shop).await;
        let mut differences = match &facts {
            Ok(facts) => oracle::differences(facts, &self.ledger),
            // Where nothing is left nobody can decide anything, and everybody sees it.
            Err(error) => vec![format!("the store is gone: {error}")],
        };
        found.poll = oracle::polled(&mut self.shop)?;
        differences.extend(oracle::flags(&self.shop, &self.ledger).into_iter().filter(|flag| {
            // A service that does not do what it is told is said by the round.
            let key = flag.split(' ').nth(1).unwrap_or_default();
            !found.poll.iter().any(|said| said.contains(key))
        }));
        let _ = std::fs::remove_file(git::mark(&self.shop));
        found.unsealing = oracle::unsealed(&self.shop);
        self.planted("the last unsealing");
        self.broken.extend(oracle::forbidden(&self.shop, &self.ledger)?);
        Ok(Played {
            facts: facts.ok(),
            differences,
            rows: self.rows,
            broken: self.broken,
            found,
            refused: self.ledger.refused,
            is_honest: self.is_honest,
        })
    }

    fn planted(&mut self, whose: &str) {
        if let Ok(text) = std::fs::read_to_string(git::mark(&self.shop)) {
            self.broken.push(format!("a planted program ran in {whose}: {text}"));
        }
    }

    pub(super) async fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Human(act) => {
                let _ = std::fs::remove_file(git::mark(&self.shop));
                act.done(&self.shop, &mut self.ledger)?;
                self.planted("an act of the member");
            }
            Step::Later(hours) => self.shop.later(*hours)?,
            Step::Tool { tool, arguments } => self.tool(tool, arguments.clone()).await,
            Step::Rest { method, path, body } => {
                let _ = self.rest(method, path, body).await;
            }
            Step::Command { args, guess } => {
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                let cli = self.cli()?;
                let _ = if *guess {
                    cli.signed(&[&["--no-input"], &args[..]].concat())
                } else {
                    cli.run(&[&["--no-input"], &args[..]].concat())
                };
            }
            Step::Environment(environment) => {
                self.shop.quiet().await;
                self.environment = *environment;
            }
            Step::File(trick) => self.file(*trick).await?,
            Step::Row(row) => {
                let anchored = self.shop.anchored()?;
                // A statement that the engine refuses, or a store that is not there any more, wrote nothing.
                match row.write(&self.shop, anchored).await.unwrap_or(Wrote::Nothing) {
                    Wrote::Nothing => {}
                    Wrote::Allowed => self.is_honest = false,
                    Wrote::MustBeFound(what) => {
                        self.is_honest = false;
                        self.rows.push(what);
                    }
                }
            }
            Step::KeepStore => self.keep().await?,
            Step::PutStoreBack => self.put_back().await?,
            Step::MadeAnew => self.made_anew().await?,
            Step::Git(trick) => {
                let _ = trick.done(&self.shop);
            }
            Step::Build { is_forbidden } => {
                let _ = self.build(*is_forbidden).await;
            }
            Step::Source { flag, successes } => {
                let flag = FLAGS.get(*flag).map_or("soft", |(_, flag)| *flag);
                self.shop
                    .tell("game.db", &format!(
                        "INSERT OR REPLACE INTO arms (flag, variant, n, successes, crashes) VALUES ('{flag}', 'treatment', 1100, {successes}, 5)"
                    ))
                    .await?;
            }
        }
        Ok(())
    }

    /// The attacker's programs, in the environment of the attacker's choice.
    fn cli(&self) -> Result<Cli> {
        let scratch = self.shop.beside.join("scratch");
        std::fs::create_dir_all(&scratch)?;
        let own = |name: &str| scratch.join(name).display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        let more = match self.environment {
            Environment::Clean => vec![],
            Environment::LyingGit => {
                let folder = scratch.join("bin");
                std::fs::create_dir_all(&folder)?;
                let real = std::env::split_paths(&path)
                    .map(|dir| dir.join("git"))
                    .find(|git| git.is_file())
                    .context("no git")?;
                let script =
                    format!("#!/bin/sh\ncase \"$*\" in *diff*) exit 0;; esac\nexec {} \"$@\"\n", real.display());
                std::fs::write(folder.join("git"), script)?;
                std::fs::set_permissions(folder.join("git"), std::fs::Permissions::from_mode(0o755))?;
                vec![("PATH", format!("{}:{path}", folder.display()))]
            }
            Environment::OtherHome => vec![("HOME", own("home"))],
            Environment::RuntimeHome => vec![("OUTCOME_RUNTIME_HOME", own("runtime"))],
            Environment::OtherDatabase => vec![("OUTCOME_RUNTIME_DATABASE_URL", format!("sqlite:{}", own("own.db")))],
            Environment::ApplicationsDatabase => vec![("DATABASE_URL", format!("sqlite:{}", own("app.db")))],
            Environment::GitVariables => vec![
                ("GIT_DIR", own("no.git")),
                ("GIT_CONFIG_COUNT", "1".to_owned()),
                ("GIT_CONFIG_KEY_0", "core.fsmonitor".to_owned()),
                ("GIT_CONFIG_VALUE_0", git::planted(&self.shop, "watcher")?),
                ("GIT_EXTERNAL_DIFF", git::planted(&self.shop, "differ")?),
            ],
            Environment::Clock(days) => {
                let clock = self.shop.clock.checked_add(jiff::SignedDuration::from_hours(24 * days))?;
                std::fs::write(scratch.join("clock"), clock.to_string())?;
                vec![("OUTCOME_RUNTIME_CLOCK_FILE", own("clock"))]
            }
            Environment::Workspace => vec![("OR_WORKSPACE", self.shop.beside.display().to_string())],
        };
        self.shop.attacker(&more)
    }

    async fn tool(&mut self, tool: &str, arguments: Value) {
        if self.shop.agent.is_none() {
            self.shop.agent = match self.cli() {
                Ok(cli) => cli.agent().await.ok(),
                Err(_) => None,
            };
        }
        if let Some(agent) = &self.shop.agent {
            let _ = agent.call(tool, arguments).await;
        }
    }

    async fn rest(&mut self, method: &str, path: &str, body: &Value) -> Result<()> {
        if self.shop.daemon.is_none() {
            let cli = self.cli()?;
            let token = match &self.token {
                Some(token) => token.clone(),
                None => cli.json(&["agent", "token", "ci-bot"])?["token"].as_str().unwrap_or_default().to_owned(),
            };
            self.token = Some(token.clone());
            self.shop.daemon = Some((cli.daemon().await?, token));
        }
        let (daemon, token) = self.shop.daemon.as_ref().context("no daemon")?;
        let client = reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(20)).build()?;
        let request = client.request(method.parse()?, format!("http://{}{path}", daemon.address));
        request.bearer_auth(token).json(body).send().await?;
        Ok(())
    }

    async fn file(&mut self, trick: FileTrick) -> Result<()> {
        let root = &self.shop.root;
        let text = std::fs::read_to_string(root.join("outcome.yaml")).unwrap_or_default();
        match trick {
            FileTrick::Powerful(n) => {
                let (old, new) = POWERFUL.get(n).copied().unwrap_or_default();
                write(root, "outcome.yaml", &text.replace(old, new))?;
                let _ = other_source(&self.shop).await;
            }
            FileTrick::Free => write(root, "outcome.yaml", &text.replace("More players", "Many more players"))?,
            FileTrick::NoOutcomeFile => std::fs::remove_file(root.join("outcome.yaml")).unwrap_or(()),
            FileTrick::CommittedOutcomeFile => write(root, "outcome.yaml", &super::shop::file())?,
            FileTrick::FlagOn(n) => {
                let key = FLAGS.get(n).map_or("soft", |(_, flag)| *flag);
                let path = root.join("flags.json");
                let mut flags: Value =
                    serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_default()).unwrap_or_default();
                let split = json!({ "fractional": [{ "cat": [{ "var": "$flagd.flagKey" }, { "var": "targetingKey" }] }, ["treatment", 100], ["control", 0]] });
                if flags["flags"][key].is_object() {
                    flags["flags"][key]["state"] = json!("ENABLED");
                    flags["flags"][key]["targeting"] = split;
                    std::fs::write(&path, flags.to_string())?;
                }
            }
            FileTrick::NoFlagFile => std::fs::remove_file(root.join("flags.json")).unwrap_or(()),
            FileTrick::PushSecret => write(root, "push.secret", "a secret of the attacker's own, long enough")?,
            FileTrick::ForgetSeen => std::fs::remove_dir_all(self.shop.beside.join("home/.local")).unwrap_or(()),
            FileTrick::Pin => {
                let pin = root.join(".outcome/workspace.json");
                let text = std::fs::read_to_string(&pin).unwrap_or_default();
                let mut said: Value = serde_json::from_str(&text).unwrap_or_default();
                if said.is_object() {
                    said["root_fingerprint"] = json!("f".repeat(64));
                    std::fs::write(&pin, said.to_string())?;
                    self.is_honest = false;
                }
            }
            FileTrick::NoAnchors => {
                let _ = std::fs::remove_file(root.join(".outcome/anchors.jsonl"));
                super::git::GitTrick::NoNotes.done(&self.shop).unwrap_or(());
            }
        }
        Ok(())
    }

    async fn keep(&mut self) -> Result<()> {
        self.shop.quiet().await;
        let mut kept = Kept { rows: self.rows.clone(), database: None };
        match &self.shop.database {
            None => {
                let copy = self.shop.beside.join("scratch/kept");
                let _ = std::fs::remove_dir_all(&copy);
                copied(&self.shop.root.join(".outcome"), &copy).unwrap_or(());
            }
            Some(url) => {
                let server = outcome_tests::postgres::server().map_err(|skip| anyhow::anyhow!("{skip}"))?;
                let name = alone(url).await?;
                let copy = server.database_from_template(&name).await;
                kept.database = copy.rsplit('/').next().map(ToOwned::to_owned);
            }
        }
        self.kept = Some(kept);
        Ok(())
    }

    async fn put_back(&mut self) -> Result<()> {
        let Some(kept) = self.kept.take() else { return Ok(()) };
        self.shop.quiet().await;
        match &self.shop.database {
            None => {
                let _ = std::fs::remove_dir_all(self.shop.root.join(".outcome"));
                copied(&self.shop.beside.join("scratch/kept"), &self.shop.root.join(".outcome")).unwrap_or(());
            }
            Some(url) => {
                let (name, copy) = (alone(url).await?, kept.database.context("no copy")?);
                let mut all = sqlx::PgConnection::connect(&maintenance(url)).await?;
                for sql in [format!("DROP DATABASE {name}"), format!("ALTER DATABASE {copy} RENAME TO {name}")] {
                    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut all).await?;
                }
            }
        }
        self.rows = kept.rows;
        self.is_honest = false;
        Ok(())
    }

    async fn made_anew(&mut self) -> Result<()> {
        self.is_honest = false;
        self.token = None;
        let _ = std::fs::remove_dir_all(self.shop.beside.join("home/.local"));
        if !self.shop.made_anew().await.unwrap_or(false) {
            return Ok(());
        }
        let own = self.shop.attacker(&[])?;
        let _ = own.signed(&["--no-input", "apply"]);
        let _ = own.signed(&["--no-input", "activate", OUTCOME, "--accept-baseline"]);
        let file = self.shop.beside.join("scratch/hypothesis.json");
        std::fs::write(&file, serde_json::to_string(&outcome_tests::lab::hypothesis("Softer level", "soft"))?)?;
        let _ = own.run(&[
            "--no-input",
            "experiment",
            "propose",
            "--outcome",
            OUTCOME,
            "--file",
            &file.display().to_string(),
        ]);
        let _ = own.signed(&[
            "--no-input",
            "gate",
            "decide",
            "portfolio-softer-level",
            "--verdict",
            "approve",
            "--member",
            MEMBER,
        ]);
        Ok(())
    }

    async fn build(&mut self, is_forbidden: bool) -> Result<()> {
        let root = self.shop.root.clone();
        git::run(&root, &["checkout", "-q", "-f", "-B", BUILDING, "main"])?;
        write(&root, "game/level.txt", "darker, behind dark\n")?;
        if is_forbidden {
            write(&root, "game/payments/charge.txt", "charge twice\n")?;
        }
        git::run(&root, &["add", "-A", "game"])?;
        git::run(&root, &["commit", "-q", "-m", BUILDING])?;
        let head = git::run(&root, &["rev-parse", "HEAD"])?;
        git::run(&root, &["checkout", "-q", "-f", "main"])?;
        self.tool(
            "report_experiment_built",
            json!({ "experiment_id": BUILDING, "summary": "built", "head": head, "files_changed": ["game/level.txt"] }),
        )
        .await;
        Ok(())
    }
}

/// A source that says what no source of the member's says.
async fn other_source(shop: &Shop) -> Result<()> {
    std::fs::copy(shop.root.join("game.db"), shop.root.join("evil.db"))?;
    shop.tell("evil.db", &format!("UPDATE arms SET n = {FORGED_N}, successes = {}", FORGED_N / 2)).await
}

fn maintenance(url: &str) -> String {
    url.rsplit_once('/').map_or_else(String::new, |(server, _)| format!("{server}/postgres"))
}

/// The name of a database to which nobody is connected any more.
async fn alone(url: &str) -> Result<String> {
    let name = url.rsplit('/').next().context("no name")?.to_owned();
    let mut all = sqlx::PgConnection::connect(&maintenance(url)).await?;
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
        .bind(&name)
        .execute(&mut all)
        .await?;
    Ok(name)
}
