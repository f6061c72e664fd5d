//! `migrate`: brings the runtime's own database up to the schema of this program.

use outcome_core::Result;
use outcome_core::usecases::Workspaces;

use crate::cx::{Cx, Exit};
use crate::output::safe;

/// Runs it.
pub async fn run(cx: &Cx) -> Result<Exit> {
    let done = Workspaces::migrate(cx.settings()?).await?;
    cx.out.result(&done, |page| {
        let database = safe(&done.database);
        if done.is_changed {
            let word = page.green("Migrated");
            page.line(&format!("{word}: {database} has the schema of this version"));
        } else {
            page.line(&format!("Nothing to do: {database} has the schema of this version already."));
        }
        if done.is_file_adopted {
            page.line("outcome.yaml counts as applied, as it did before. Nobody signed it yet:");
            page.hint("from now on a change of it needs `outcome-runtime apply`, and mostly your signature");
        }
        if let Some(problem) = &done.problem {
            let text = page.yellow(&format!("outcome.yaml does not count yet: {}", safe(problem)));
            page.line(&text);
            page.hint("correct it, then run `outcome-runtime apply`");
        }
    })?;
    Ok(Exit::OK)
}
