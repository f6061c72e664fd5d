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
    })?;
    Ok(Exit::OK)
}
