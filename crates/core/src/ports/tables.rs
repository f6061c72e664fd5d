//! What a database holds, for whoever proposes metrics from it: its tables, their columns, a few values.

/// The tables of a database, as far as its user may see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// Its engine.
    pub engine: SqlEngine,
    /// Tables and views, at most some hundreds.
    pub tables: Vec<TableInfo>,
}

/// An engine, whose SQL differs from that of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlEngine {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    MySql,
    /// SQLite.
    Sqlite,
}

/// A table or view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    /// Its schema, where a query has to name it.
    pub schema: Option<String>,
    /// Its name, as it is: without quotes.
    pub name: String,
    /// Its columns, in their order.
    pub columns: Vec<ColumnInfo>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnInfo {
    /// Its name, as it is: without quotes.
    pub name: String,
    /// What it was declared to hold.
    pub kind: ColumnKind,
}

/// What a column was declared to hold. Of SQLite that is a hint: there instants are often texts or numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// A date with a time.
    Instant,
    /// A date.
    Day,
    /// Whole numbers.
    Whole,
    /// Other numbers.
    Number,
    /// Text, or words of an enumeration.
    Text,
    /// A UUID with a type of its own.
    Uuid,
    /// True or false.
    Boolean,
    /// Anything else.
    Other,
}

/// A value of a column, and how often it is there among the rows that were looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommonValue {
    /// The value as text, cut to 100 characters.
    pub text: String,
    /// Rows.
    pub n: i64,
}
