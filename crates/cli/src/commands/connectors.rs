//! `connectors`: the sources that the outcome file declares.

use outcome_core::Result;

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::safe;

/// Runs it.
pub async fn run(cx: &Cx, args: &args::Connectors) -> Result<Exit> {
    let runtime = cx.open().await?;
    match args {
        args::Connectors::List => {
            let names = runtime.signals().connector_names().await?;
            cx.out.result(&names, |page| {
                for name in &names {
                    page.line(&safe(name));
                }
                page.hint("`outcome-runtime connectors test NAME` tests one");
            })?;
        }
        args::Connectors::Test { name } => {
            let found = runtime.signals().connector_test(name).await?;
            cx.out.result(&found, |page| {
                page.line(&format!("{} `{}` answers", page.green("ok:"), safe(&found.source)));
                page.field("server", &found.server);
                page.field("latency", &format!("{} ms", found.latency_ms));
                page.field(
                    "writes",
                    if found.is_read_only { "refused, which is correct" } else { "POSSIBLE: use a read-only user" },
                );
                for note in &found.notes {
                    page.item(note);
                }
            })?;
        }
    }
    Ok(Exit::OK)
}
