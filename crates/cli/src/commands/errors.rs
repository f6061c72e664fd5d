//! `errors`: the table of codes.

use outcome_core::{Code, Result};
use serde::Serialize;

use crate::cx::{Cx, Exit};
use crate::output::Table;

#[derive(Debug, Serialize)]
struct Row {
    code: &'static str,
    exit_code: u8,
    http_status: u16,
    meaning: &'static str,
}

/// Runs it.
pub fn run(cx: &Cx) -> Result<Exit> {
    let mut rows: Vec<Row> = Code::ALL
        .iter()
        .map(|code| Row {
            code: code.as_str(),
            exit_code: code.exit_code(),
            http_status: code.http_status(),
            meaning: code.meaning(),
        })
        .collect();
    rows.sort_by_key(|row| row.exit_code);
    cx.out.result(&rows, |page| {
        let mut table = Table::new(&["exit", "code", "http", "meaning"]);
        for row in &rows {
            table.row(&[&row.exit_code.to_string(), row.code, &row.http_status.to_string(), row.meaning]);
        }
        page.table(table);
    })?;
    Ok(Exit::OK)
}
