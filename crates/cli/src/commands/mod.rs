//! One file per command. Each calls one use case, names the caller, and renders the result.

mod activate;
mod agent;
mod apply;
mod attach;
mod audit;
mod completions;
mod connectors;
mod correct;
mod demo;
mod doctor;
mod doctor_client;
mod end_outcome;
mod errors;
mod experiment;
mod flags;
mod gate;
mod gate_decide;
mod gate_list;
mod gate_view;
mod guard;
mod init;
mod init_clients;
mod init_file;
mod init_found;
mod key;
mod learnings;
mod member;
mod messages;
mod metrics;
mod migrate;
mod plan;
mod poll;
mod propose;
mod report;
mod schema;
mod scope;
mod secrets;
mod simulate;
mod stats;
mod status;
mod validate;

use outcome_core::Result;

use crate::args::Command;
use crate::cx::{Cx, Exit};

/// Runs a command.
pub async fn run(cx: &Cx, command: Command) -> Result<Exit> {
    match command {
        Command::Init(args) => init::run(cx, args).await,
        Command::Validate(args) => validate::run(cx, &args).await,
        Command::Plan => plan::run(cx).await,
        Command::Apply(args) => apply::run(cx, &args).await,
        Command::Activate(args) => activate::run(cx, &args).await,
        Command::Abandon(args) => end_outcome::abandon(cx, &args).await,
        Command::Confirm(args) => end_outcome::confirm(cx, &args).await,
        Command::Status(args) => status::run(cx, &args).await,
        Command::Experiment(args) => experiment::run(cx, args).await,
        Command::Gate(args) => gate::run(cx, args).await,
        Command::Report(args) => report::run(cx, args).await,
        Command::Poll(args) => poll::run(cx, args).await,
        Command::Messages(args) => messages::run(cx, args).await,
        Command::Learnings(args) => learnings::run(cx, &args).await,
        Command::Scope(args) => scope::run(cx, args).await,
        Command::Audit(args) => audit::run(cx, args).await,
        Command::Key(args) => key::run(cx, args).await,
        Command::Member(args) => member::run(cx, args).await,
        Command::Simulate(args) => simulate::run(cx, &args).await,
        Command::Stats(args) => stats::run(cx, args).await,
        Command::Attach(args) => attach::run(cx, args).await,
        Command::Connectors(args) => connectors::run(cx, &args).await,
        Command::Flags(args) => flags::run(cx, &args).await,
        Command::Secrets(args) => secrets::run(cx, args).await,
        Command::Metrics(args) => metrics::run(cx, &args).await,
        Command::Agent(args) => agent::run(cx, &args).await,
        Command::Demo(args) => demo::run(cx, &args).await,
        Command::Doctor(args) => doctor::run(cx, &args).await,
        Command::Migrate { unlock } => migrate::run(cx, &unlock).await,
        Command::Guard(args) => guard::run(cx, &args).await,
        Command::Schema => schema::run(cx),
        Command::Completions { shell } => completions::run(cx, shell),
        Command::Errors => errors::run(cx),
    }
}
