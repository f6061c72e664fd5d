//! The code of the pages that say how an application is wired, run on the flag that the runtime wrote: it gets the arms, records both,
//! and records nobody while the flag is off.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use outcome_core::domain::Verdict;
use outcome_tests::lab::Lab;
use outcome_tests::peers;
use serde_json::Value;

/// The first block of code in this language that has the function.
fn code(page: &str, fence: &str, function: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/wire-your-app").join(page);
    let text = std::fs::read_to_string(&path)?;
    let fence = format!("```{fence}\n");
    let blocks = text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next());
    let found = blocks.map(ToOwned::to_owned).find(|block| block.contains(function));
    found.with_context(|| format!("{page} has no code with {function}"))
}

/// What 200 people got, and what was recorded.
struct Asked {
    gets: Vec<(String, bool)>,
    rows: Vec<(String, String, String)>,
}

fn asked(printed: &str) -> Result<Asked> {
    let mut found = Asked { gets: Vec::new(), rows: Vec::new() };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for line in printed.lines() {
        let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        match line["row"].as_array() {
            Some(row) => found.rows.push((text(&row[0]), text(&row[1]), text(&row[2]))),
            None => found.gets.push((text(&line["user"]), line["gets"] == true)),
        }
    }
    Ok(found)
}

/// `people`: a command for the file with the code, and the flag, in the workspace's root.
async fn is_wired(code: &str, file: &str, people: impl Fn(&Path) -> Command) -> Result<()> {
    let lab = Lab::sqlite().await?;
    let experiment = lab.running("Softer level", "soft").await?;
    let path: PathBuf = lab.root().join(file);
    std::fs::write(&path, code)?;
    let run = || asked(&peers::run(people(&path).arg("soft").current_dir(lab.root()))?);

    let on = run()?;
    ensure!((on.gets.len(), on.rows.len()) == (200, 200), "{} answers, {} rows", on.gets.len(), on.rows.len());
    for ((user, gets), (exposed, flag, variant)) in on.gets.iter().zip(&on.rows) {
        let arm = if *gets { "treatment" } else { "control" };
        ensure!(
            (user.as_str(), "soft", arm) == (exposed.as_str(), flag.as_str(), variant.as_str()),
            "{user}: {variant}"
        );
    }
    let n_treated = on.gets.iter().filter(|(_, gets)| *gets).count();
    ensure!((60..=140).contains(&n_treated), "{n_treated} of 200 at 50 %");

    lab.act(&experiment, Verdict::Pause).await?;
    let off = run()?;
    ensure!(off.gets.iter().all(|(_, gets)| !gets) && off.rows.is_empty(), "{} rows while it is off", off.rows.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_of_the_page_for_typescript_asks_and_records() -> Result<()> {
    let Some(home) = peers::npm("wiring-typescript")? else { return Ok(()) };
    let code = code("typescript.md", "ts", "getsTreatment(db, flag, user)")?;
    // Node looks for packages from the file on.
    let modules = home.join("node_modules");
    let people = |file: &Path| {
        let link = file.with_file_name("node_modules");
        if !link.exists() {
            std::os::unix::fs::symlink(&modules, link).unwrap_or_default();
        }
        let mut command = Command::new("node");
        command.arg(home.join("people.mjs")).arg(file);
        command
    };
    is_wired(&code, "arm.mjs", people).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_of_the_page_for_python_asks_and_records() -> Result<()> {
    let Some(home) = peers::python("wiring-python")? else { return Ok(()) };
    let code = code("python.md", "python", "def gets_treatment")?;
    let people = |file: &Path| {
        let mut command = Command::new(home.join("bin/python"));
        command.arg(peers::sources("wiring-python").join("people.py")).arg(file);
        command
    };
    is_wired(&code, "arm.py", people).await
}
