//! `activate`: measures the baseline and starts the horizon.

use outcome_core::Result;
use outcome_core::present::{count, when, whole};

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::on_terminal;

/// Runs it.
pub async fn run(cx: &Cx, args: &args::Activate) -> Result<Exit> {
    let runtime = cx.open().await?;
    runtime.outcomes().require(&args.outcome).await?;
    let unlock = cx.terminal.unlock(&args.unlock, &format!("activate {}", args.outcome))?;
    let done = runtime.outcomes().activate(&args.outcome, &unlock, args.accept_baseline).await?;
    let scale = on_terminal(&done.scale);
    cx.out.result(&done, |page| {
        page.line(&format!("{} `{}`", page.green("Activated"), done.outcome));
        page.field("baseline", &scale.level(done.baseline.value));
        if let Some(n) = done.baseline.n.and_then(|n| u64::try_from(n).ok()) {
            let daily =
                done.baseline.daily_units.map(|units| format!(", about {} a day", whole(units))).unwrap_or_default();
            page.field("units", &format!("{}{daily}", count(n)));
        }
        page.field("deadline", &when(runtime.now(), done.deadline));
        if let Some(warning) = &done.warning {
            page.warning(warning);
        }
        page.hint(&format!("next: {}", done.next));
    })?;
    Ok(Exit::OK)
}
