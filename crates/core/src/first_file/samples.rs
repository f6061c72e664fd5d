//! What was seen of the rows: how many, and which values.

use std::collections::BTreeMap;

use crate::ports::{ColumnInfo, CommonValue, TableInfo};

/// What is worth a look before a proposal is made.
#[derive(Debug, Default)]
pub struct Wanted<'t> {
    /// Tables whose rows are counted.
    pub counts: Vec<&'t TableInfo>,
    /// Columns whose values are looked at.
    pub values: Vec<(&'t TableInfo, &'t ColumnInfo)>,
}

type Key = (Option<String>, String);

/// What was seen. What could not be seen is missing.
#[derive(Debug, Default)]
pub struct Samples {
    counts: BTreeMap<Key, i64>,
    values: BTreeMap<(Key, String), Vec<CommonValue>>,
}

fn key(table: &TableInfo) -> Key {
    (table.schema.clone(), table.name.clone())
}

impl Samples {
    /// Keeps how many rows a table has.
    pub fn keep_count(&mut self, table: &TableInfo, n: i64) {
        self.counts.insert(key(table), n);
    }

    /// Keeps the common values of a column.
    pub fn keep_values(&mut self, table: &TableInfo, column: &ColumnInfo, values: Vec<CommonValue>) {
        self.values.insert((key(table), column.name.clone()), values);
    }

    /// Rows, as far as they were counted; `None` where nobody could.
    pub(super) fn rows(&self, table: &TableInfo) -> Option<i64> {
        self.counts.get(&key(table)).copied()
    }

    /// Common values of a column, the most common first.
    pub(super) fn values(&self, table: &TableInfo, column: &ColumnInfo) -> &[CommonValue] {
        self.values.get(&(key(table), column.name.clone())).map_or(&[], Vec::as_slice)
    }
}
