//! `gate`: looking at gates, and asking for one.

use outcome_core::Result;
use outcome_core::present::due;
use outcome_core::usecases::{GateOpenRequest, Runtime};

use super::gate_view::{show, show_all};
use super::{gate_decide, gate_list};
use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Table, safe};
use crate::pages::or_on_its_page;

/// Runs it.
pub async fn run(cx: &Cx, args: args::Gate) -> Result<Exit> {
    let runtime = cx.open().await?;
    match args {
        args::Gate::List => list(cx, &runtime).await?,
        args::Gate::Show { gate, full } => {
            let view = runtime.gates().show(&gate).await?;
            let elsewhere = or_on_its_page(&view.review_url).await;
            let show = if full { show_all } else { show };
            cx.out.result(&view, |page| show(page, &view, runtime.now(), Some(&elsewhere)))?;
        }
        args::Gate::Decide(args) if args.gates.len() > 1 => gate_list::run(cx, &runtime, args).await?,
        args::Gate::Decide(args) => gate_decide::run(cx, &runtime, args).await?,
        args::Gate::Open { experiment, question, details } => {
            let by = Cx::by();
            let view = runtime.gates().open(GateOpenRequest { experiment, question, details }, &by).await?;
            let elsewhere = or_on_its_page(&view.review_url).await;
            cx.out.result(&view, |page| {
                page.line(&format!(
                    "Gate `{}` is waiting for {}",
                    view.gate,
                    safe(view.holder.as_deref().unwrap_or("a member"))
                ));
                page.hint(&format!(
                    "a member decides with `outcome-runtime gate decide {}`, {}",
                    view.gate,
                    safe(&elsewhere)
                ));
            })?;
        }
    }
    Ok(Exit::OK)
}

async fn list(cx: &Cx, runtime: &Runtime) -> Result<()> {
    let gates = runtime.gates().list().await?;
    let now = runtime.now();
    cx.out.result(&gates, |page| {
        if gates.is_empty() {
            page.line("No gate is waiting for a decision.");
            return;
        }
        let mut table = Table::new(&["gate", "type", "experiment", "holder", "time"]);
        for view in &gates {
            let experiment = view.context.experiment.as_ref().map_or("-", |slug| slug.as_str());
            let holder = view.holder.as_deref().unwrap_or("-");
            let time = due(view.due_at.duration_since(now).as_mins());
            if page.is_narrow() {
                page.line(&format!("  {}", view.gate));
                page.line(&format!("    {} of {experiment}, holder {}, {time}", view.gate_type, safe(holder)));
            }
            table.row(&[&view.gate, view.gate_type.as_str(), experiment, holder, &time]);
        }
        if !page.is_narrow() {
            page.table(table);
        }
        page.hint("`outcome-runtime gate decide GATE` shows the question and the facts, then asks for your decision");
    })
}
