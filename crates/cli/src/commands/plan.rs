//! `plan`: what `apply` would change, like a diff.

use outcome_core::Result;
use outcome_core::usecases::{Change, FilePlan, OutcomePlan, PlannedAction};
use serde_json::Value;

use crate::cx::{Cx, Exit};
use crate::output::{Page, safe};

/// Runs it.
pub async fn run(cx: &Cx) -> Result<Exit> {
    let plan = cx.open().await?.outcomes().plan().await?;
    cx.out.result(&plan, |page| {
        show(page, &plan);
        if !plan.is_change() {
            page.line("Nothing would change.");
        } else if plan.needs_signature {
            page.hint("next: `outcome-runtime apply`; what is marked with * needs a member's signature");
        } else {
            page.hint("next: `outcome-runtime apply`");
        }
    })?;
    Ok(Exit::OK)
}

/// True when applying would change this outcome.
pub fn is_change(plan: &OutcomePlan) -> bool {
    matches!(plan.action, PlannedAction::Create | PlannedAction::Change)
}

/// The plan, one block each.
pub fn show(page: &mut Page, plan: &FilePlan) {
    if !plan.settings.is_empty() {
        let head = page.yellow("~ sources, flags, messages");
        page.line(&head);
        changes(page, &plan.settings);
    }
    for plan in &plan.outcomes {
        let name = safe(&plan.outcome);
        let head = match plan.action {
            PlannedAction::Create => page.green(&format!("+ {name}  new, as a draft")),
            PlannedAction::Change => page.yellow(&format!("~ {name}  changes")),
            PlannedAction::MissingFromFile => page.yellow(&format!("? {name}  is stored but not in the file")),
            PlannedAction::None => page.dim(&format!("= {name}  unchanged")),
        };
        page.line(&head);
        if plan.action == PlannedAction::Change {
            changes(page, &plan.changes);
        }
        for consequence in &plan.consequences {
            let text = page.yellow(&format!("    ! {}", safe(consequence)));
            page.line(&text);
        }
    }
}

/// Keys with their values before and now. What needs a signature is marked.
pub fn changes(page: &mut Page, changes: &[Change]) {
    for change in changes {
        page.line(&format!("    {}{}", safe(&change.field), if change.is_signed { " *" } else { "" }));
        if !change.from.is_null() {
            let minus = page.red(&format!("      - {}", said(&change.from)));
            page.line(&minus);
        }
        if !change.to.is_null() {
            let plus = page.green(&format!("      + {}", said(&change.to)));
            page.line(&plus);
        }
    }
}

fn said(value: &Value) -> String {
    safe(&value.to_string())
}
