//! `plan`: what `apply` would change, like a diff.

use outcome_core::Result;
use outcome_core::usecases::{OutcomePlan, PlannedAction};

use crate::cx::{Cx, Exit};
use crate::output::{Page, safe};

/// Runs it.
pub async fn run(cx: &Cx) -> Result<Exit> {
    let plans = cx.open().await?.outcomes().plan().await?;
    cx.out.result(&plans, |page| {
        show(page, &plans);
        if plans.iter().any(is_change) {
            page.hint("next: `outcome-runtime apply` stores this");
        } else {
            page.line("Nothing would change.");
        }
    })?;
    Ok(Exit::OK)
}

/// True when applying would change something.
pub fn is_change(plan: &OutcomePlan) -> bool {
    matches!(plan.action, PlannedAction::Create | PlannedAction::Change)
}

/// The plans, one block each.
pub fn show(page: &mut Page, plans: &[OutcomePlan]) {
    for plan in plans {
        let name = safe(&plan.outcome);
        let head = match plan.action {
            PlannedAction::Create => page.green(&format!("+ {name}  new, as a draft")),
            PlannedAction::Change => page.yellow(&format!("~ {name}  changes")),
            PlannedAction::MissingFromFile => page.yellow(&format!("? {name}  is stored but not in the file")),
            PlannedAction::None => page.dim(&format!("= {name}  unchanged")),
        };
        page.line(&head);
        for change in &plan.changes {
            let (from, to) = (safe(&change.from.to_string()), safe(&change.to.to_string()));
            page.line(&format!("    {}", safe(&change.field)));
            let (minus, plus) = (page.red(&format!("      - {from}")), page.green(&format!("      + {to}")));
            page.line(&minus);
            page.line(&plus);
        }
        for consequence in &plan.consequences {
            let text = page.yellow(&format!("    ! {}", safe(consequence)));
            page.line(&text);
        }
    }
}
