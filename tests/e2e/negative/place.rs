//! A laboratory with the built programs in its folder, and what must be as it was after each try.

use anyhow::{Context as _, Result, ensure};
use outcome_core::Code;
use outcome_core::domain::Verdict;
use outcome_tests::lab::{Lab, PASSPHRASE, hypothesis};
use outcome_tests::programs::{Cli, Refused};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::journey::each_lab;

/// A laboratory and the built programs in its folder.
pub(super) struct Place {
    pub(super) lab: Lab,
    pub(super) cli: Cli,
    pub(super) home: TempDir,
}

impl Place {
    pub(super) fn of(lab: Lab) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let clock = lab.root().join(".clock");
        std::fs::write(&clock, lab.runtime.now().to_string())?;
        let clock = clock.display().to_string();
        let mut envs = vec![("OUTCOME_RUNTIME_CLOCK_FILE", clock.as_str())];
        envs.extend(lab.database().map(|url| ("OUTCOME_RUNTIME_DATABASE_URL", url)));
        let cli = Cli::new(&lab.root(), home.path(), PASSPHRASE, &envs)?;
        Ok(Self { lab, cli, home })
    }

    /// An experiment whose portfolio gate waits.
    pub(super) async fn waiting(&self) -> Result<Waiting> {
        self.waiting_with("Tempting", "tempt").await
    }

    pub(super) async fn waiting_with(&self, title: &str, flag: &str) -> Result<Waiting> {
        let experiment = self.lab.submit(hypothesis(title, flag)).await?;
        self.gate_of(experiment)
    }

    /// An experiment whose launch gate waits.
    pub(super) async fn launching(&self) -> Result<Waiting> {
        let waiting = self.waiting_with("Launching", "launch").await?;
        self.lab.decide(&waiting.experiment, Verdict::Approve).await?;
        self.lab.build(&waiting.experiment).await?;
        self.gate_of(waiting.experiment)
    }

    pub(super) fn gate_of(&self, experiment: String) -> Result<Waiting> {
        let shown = self.cli.json(&["experiment", "show", &experiment])?;
        let gate = shown["gates"][0].as_str().context("no gate waits")?.to_owned();
        Ok(Waiting { state: shown["state"].clone(), experiment, gate })
    }

    /// The gate waits, the experiment stands where it stood, and the log holds.
    pub(super) fn is_untouched(&self, waiting: &Waiting) -> Result<()> {
        let gate = self.cli.json(&["gate", "show", &waiting.gate])?;
        ensure!(gate["status"] == "pending" && gate["decisions"] == json!([]), "the gate was decided: {gate}");
        let shown = self.cli.json(&["experiment", "show", &waiting.experiment])?;
        ensure!(shown["state"] == waiting.state, "it moved from {} to {}", waiting.state, shown["state"]);
        self.is_intact()
    }

    pub(super) fn is_intact(&self) -> Result<()> {
        let check = self.cli.json(&["audit", "verify"])?;
        ensure!(check["is_intact"] == true, "{check}");
        Ok(())
    }

    /// Lines of the log of one kind.
    pub(super) fn logged(&self, kind: &str) -> Result<Vec<Value>> {
        let text = self.cli.run(&["audit", "export"])?;
        let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(lines.into_iter().filter(|line| line["kind"] == kind).collect())
    }

    pub(super) fn set_clock_to_now(&self) -> Result<()> {
        Ok(std::fs::write(self.lab.root().join(".clock"), self.lab.runtime.now().to_string())?)
    }

    pub(super) fn database_file(&self) -> std::path::PathBuf {
        self.lab.root().join(".outcome/outcome.db")
    }

    /// SQL that puts `value` at `path` of a JSON column.
    pub(super) fn set_json(&self, column: &str, path: &[&str], value: &str) -> String {
        if self.lab.is_postgres() {
            format!("{column} = jsonb_set({column}, '{{{}}}', '{value}')", path.join(","))
        } else {
            format!("{column} = json_set({column}, '$.{}', json('{value}'))", path.join("."))
        }
    }
}

pub(super) struct Waiting {
    pub(super) experiment: String,
    pub(super) gate: String,
    pub(super) state: Value,
}

pub(super) async fn each_place(test: impl AsyncFn(Place) -> Result<()>) -> Result<()> {
    each_lab(async |lab| test(Place::of(lab)?).await).await
}

pub(super) async fn on_sqlite() -> Result<Place> {
    Place::of(Lab::sqlite().await?)
}

pub(super) fn is_refused(refused: &Refused, code: Code) -> Result<()> {
    ensure!(refused.code == code.as_str() && refused.exit == Some(i32::from(code.exit_code())), "{refused:?}");
    Ok(())
}
