//! The tables as documentation: what `docs/lifecycle.md` is made of.

use std::fmt::Write as _;

use super::{EXPERIMENT_TABLE, OUTCOME_TABLE, To};

/// The lifecycle page: two diagrams (Mermaid) and two tables, generated from the transition tables.
#[must_use]
pub fn lifecycle_markdown() -> String {
    let mut out = String::from(
        "# Lifecycles\n\nGenerated from the transition tables in `crates/core/src/lifecycle/` by `cargo xtask docs`; \
         do not edit.\n\n## Experiment\n\n```mermaid\nstateDiagram-v2\n    [*] --> hypothesis\n",
    );
    for row in EXPERIMENT_TABLE {
        for from in row.from {
            match row.to {
                To::Status(to) => _ = writeln!(out, "    {from} --> {to}: {}", row.event),
                To::Unchanged => _ = writeln!(out, "    {from} --> {from}: {}", row.event),
                To::BeforePause => {
                    for to in ["running", "measuring", "scaling"] {
                        _ = writeln!(out, "    {from} --> {to}: {}", row.event);
                    }
                }
            }
        }
    }
    out.push_str(
        "    shipped --> [*]\n    killed --> [*]\n    detached --> [*]\n```\n\n| from | event | by | to | effects |\n|---|---|---|---|---|\n",
    );
    for row in EXPERIMENT_TABLE {
        let to = match row.to {
            To::Status(status) => status.to_string(),
            To::BeforePause => "the state before the pause".to_owned(),
            To::Unchanged => "stays".to_owned(),
        };
        let effects: Vec<_> = row.effects.iter().map(|effect| format!("{effect:?}")).collect();
        _ = writeln!(
            out,
            "| {} | {} | {} | {to} | {} |",
            join(row.from),
            row.event,
            join(row.by),
            if effects.is_empty() { "-".to_owned() } else { effects.join(", ") }
        );
    }
    out.push_str("\n## Outcome\n\n```mermaid\nstateDiagram-v2\n    [*] --> draft\n");
    for row in OUTCOME_TABLE {
        for from in row.from {
            _ = writeln!(out, "    {from} --> {}: {}", row.to.unwrap_or(*from), row.event);
        }
    }
    out.push_str("```\n\n| from | event | by | to |\n|---|---|---|---|\n");
    for row in OUTCOME_TABLE {
        let to = row.to.map_or_else(|| "stays".to_owned(), |to| to.to_string());
        _ = writeln!(out, "| {} | {} | {} | {to} |", join(row.from), row.event, join(row.by));
    }
    out
}

fn join<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
