//! `stats`: the statistics by hand.

mod ab;
mod eval;
pub mod parse;
mod plan;
mod proof;
mod recompute;

use outcome_core::Result;

use crate::args;
use crate::cx::{Cx, Exit};

/// Runs it.
pub async fn run(cx: &Cx, args: args::Stats) -> Result<Exit> {
    match args {
        args::Stats::Ab(args) => ab::run(cx, &args),
        args::Stats::Plan(args) => plan::run(cx, &args),
        args::Stats::Proof(args) => proof::run(cx, &args).await,
        args::Stats::Recompute(args) => recompute::run(cx, &args).await,
        args::Stats::Eval => eval::run(),
    }
}
