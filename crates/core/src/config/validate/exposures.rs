//! Who saw which arm: the `exposures` of a source.

use super::relation::{column, names, relation};
use super::report::{At, Problem, Reporter, shown, text};
use crate::config::metric_file::ExposuresFile;
use crate::domain::{Exposures, Relation, is_empty_query};

pub(super) fn exposures(file: &ExposuresFile, reporter: &mut Reporter<'_>) -> Option<Exposures> {
    let rows = relation(file.at, file.table.as_ref(), file.sql.as_ref(), "`exposures`", reporter);
    if let (Some(Relation::Sql(_)), Some(sql)) = (&rows, &file.sql) {
        warn_if_missing(sql, reporter);
    }
    let columns = [&file.unit, &file.experiment, &file.variant].map(|at| column(at.as_ref(), reporter));
    let [unit, experiment, variant] = columns;
    let at = column(file.at_key.as_ref(), reporter);
    let variants = file.variants.as_ref().map(|variants| &variants.value);
    let control = names(variants.and_then(|variants| variants.control.as_ref()), "control");
    let treatment = names(variants.and_then(|variants| variants.treatment.as_ref()), "treatment");
    if let Some(both) = control.iter().find(|name| treatment.contains(name)) {
        let at = file.variants.as_ref().map_or(file.at, |variants| variants.span);
        let message = format!("`{}` is a name of both arms", shown(both));
        let problem = Problem::error("config.duplicate_key", at, message);
        reporter.push(problem.valid("each name in one arm").help("remove it from one of the two"));
    }
    Some(Exposures {
        rows: rows?,
        unit: unit?,
        experiment: experiment?,
        variant: variant?,
        at: at?,
        condition: text(file.r#where.as_ref()),
        control,
        treatment,
        is_sticky: file.sticky.as_ref()?.value,
        map: None,
        trigger: None,
    })
}

/// Warns of the empty query that `init` writes where there is no table of exposures.
fn warn_if_missing(sql: &At<String>, reporter: &mut Reporter<'_>) {
    if !is_empty_query(&sql.value) {
        return;
    }
    let message = "this query is empty, so no experiment can be measured: `init` wrote it because it found no table that says \
                   who saw which variant";
    reporter.push(
        Problem::warning("config.exposures_missing", sql.span, message)
            .valid("`table`: a table with one row for each time that somebody saw a variant")
            .help("before the first experiment, make the table, name it here with `table` in the place of `sql`, and run `outcome-runtime apply`"),
    );
}
