//! Does one thing to a workspace and says `done` when it is done, so that a test can kill it at any point before.
//!
//! `crash_worker ROOT poll`, `crash_worker ROOT decide GATE VERDICT`, `crash_worker ROOT act EXPERIMENT VERDICT`,
//! `crash_worker ROOT ingest ID BODY_FILE`.
//! The clock is `.clock` in ROOT; `OUTCOME_RUNTIME_DATABASE_URL` names the database.

use anyhow::{Context as _, Result, bail};
use outcome_core::ports::push::{Headers, sign};
use outcome_core::settings::{Overrides, Settings, process_env};
use outcome_core::usecases::{PollRequest, Runtime};
use outcome_tests::lab::{INGEST_SECRET, act, decision};
use secrecy::SecretString;

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let root = std::path::PathBuf::from(args.first().context("which workspace?")?);
    let clock = root.join(".clock").display().to_string();
    let env = move |name: &str| match name {
        "OUTCOME_RUNTIME_CLOCK_FILE" => Some(clock.clone()),
        name => process_env(name),
    };
    let runtime =
        Runtime::open(Settings::for_root(&root, &Overrides::new(&outcome_integrations::VENDORS), &env)?).await?;
    let argument = |index: usize| args.get(index).map(String::as_str).context("an argument is missing");
    match argument(1)? {
        "poll" => {
            runtime.signals().poll(&PollRequest { is_forced: true, ..PollRequest::default() }).await?;
        }
        "decide" => {
            let verdict = argument(3)?.parse().map_err(anyhow::Error::msg)?;
            runtime.gates().decide(decision(argument(2)?, verdict)).await?;
        }
        "act" => {
            let verdict = argument(3)?.parse().map_err(anyhow::Error::msg)?;
            runtime.experiments().act(act(argument(2)?, verdict)).await?;
        }
        "ingest" => {
            let body = std::fs::read(argument(3)?)?;
            let at = runtime.now().as_second();
            let signature = sign(argument(2)?, at, &body, &SecretString::from(INGEST_SECRET))?;
            let headers = Headers { id: argument(2)?, timestamp: &at.to_string(), signature: &signature };
            runtime.signals().ingest(headers, &body).await?;
        }
        other => bail!("`{other}` is none of poll, decide, act, ingest"),
    }
    use std::io::Write as _;
    writeln!(std::io::stdout(), "done")?;
    Ok(())
}
