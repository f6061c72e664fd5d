//! `demo`: the whole loop on a virtual clock, offline, in a temporary folder.
//!
//! The repository, the database, the MCP server, the signatures and the statistics are real, and everything goes through
//! the same doors as in use. What is played (the agent's texts, the visitors, the human's choices) is labelled as played.

mod agent;
mod beside;
mod chart;
mod printer;
mod serve;
mod shop;
mod story;

use outcome_core::{Code, Error, Result};

use crate::args::Demo;
use crate::cx::{Cx, Exit};

use printer::Printer;

/// Runs the demonstration.
pub async fn run(cx: &Cx, args: &Demo) -> Result<Exit> {
    if let Some(path) = args.keep.as_ref().filter(|path| path.exists()) {
        return Err(Error::new(Code::InvalidInput, format!("{} exists already", path.display()))
            .hint("the demonstration creates its own folder: name one that does not exist yet"));
    }
    let print = Printer::new(cx.out.is_json, cx.out.columns());
    let told = story::run(args, print, cx.overrides.vendors)
        .await
        .map_err(|e| Error::new(Code::Internal, format!("the demonstration failed: {e:#}")))?;
    if cx.out.is_json {
        cx.out.json(&told)?;
    }
    Ok(Exit::OK)
}
