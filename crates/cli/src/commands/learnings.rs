//! `learnings`: what experiments taught.

use outcome_core::Result;
use outcome_core::usecases::LearningView;

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, safe};

/// Runs it.
pub async fn run(cx: &Cx, args: &args::Learnings) -> Result<Exit> {
    let words = args.words.join(" ");
    let found = cx.open().await?.learnings().search(&words, args.outcome.as_deref(), args.limit, 0).await?;
    cx.out.result(&found, |page| show(page, &found, &words))?;
    Ok(Exit::OK)
}

fn show(page: &mut Page, found: &[LearningView], words: &str) {
    if found.is_empty() {
        page.line(if words.is_empty() { "There are no learnings yet." } else { "No learnings found." });
        page.hint("a learning is stored whenever an experiment ends");
        return;
    }
    for view in found {
        page.head(&format!("{} · {} · grade {}", view.experiment, view.finding_type, view.grade));
        page.line(&format!("  {}", safe(&view.finding)));
        page.quote(2, &view.hypothesis_says);
        if let Some(note) = &view.note_says {
            page.quote(2, note);
        }
        let about = format!("  {} · {} days ago · {}", view.outcome, view.age_days, view.applies_to.join(", "));
        let about = page.dim(safe(&about).trim_end_matches([' ', '·']));
        page.line(&about);
    }
}
