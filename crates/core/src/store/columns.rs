//! Every stored column, declared once: its name, its type and what stands behind its value.
//!
//! [`columns!`] makes from a declaration the row struct, the column lists of `SELECT` and `INSERT`, `FromRow` for both engines
//! and the list that a test compares with the tables of both engines.

use crate::address::Engine;

/// What stands behind a stored value (DESIGN section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The log gives it: a step and `audit verify` compare it with what the log says, or a hash of it.
    Folded,
    /// It is computed from other columns again before it is used.
    Derived,
    /// Nothing checks it; why that is safe, or, after `unchecked:`, what it can still change.
    Volatile(&'static str),
}

/// A stored column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its table.
    pub table: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What stands behind its value.
    pub class: Class,
    /// The only engine that has it; both when absent.
    pub only: Option<Engine>,
}

/// Declares a table: a struct of the columns that are read together, `beside` it those that are only written or compared,
/// and those that only PostgreSQL has.
///
/// Makes the struct with `FromRow`, and as its associated items `COLUMNS` (what it reads, for `SELECT`), `INSERT` (a
/// statement for all columns but those of one engine), `insert` (which binds that statement's values in their order) and
/// `DECLARED`.
macro_rules! columns {
    (
        $(#[$meta:meta])* $vis:vis struct $row:ident in $table:literal {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty => $class:ident $(($reason:literal))?),+ $(,)?
        }
        beside {
            $($beside:ident: $beside_type:ty => $beside_class:ident $(($beside_reason:literal))?),* $(,)?
        }
        $(postgres { $($postgres:ident => $postgres_class:ident $(($postgres_reason:literal))?),+ $(,)? })?
    ) => {
        $crate::store::columns::row! {
            $(#[$meta])* $vis struct $row { $($(#[$field_meta])* $field_vis $field: $type),+ }
        }

        impl $row {
            pub(in crate::store) const READ: &'static [&'static str] = &[$(stringify!($field)),+];
            pub(in crate::store) const WRITTEN: &'static [&'static str] = &[$(stringify!($field),)+ $(stringify!($beside)),*];
            /// What is read, for `SELECT`.
            #[allow(dead_code, reason = "not every table is read by its whole row")]
            pub(in crate::store) const COLUMNS: &'static str = $crate::store::columns::list!($row, "");
            /// Writes a whole row.
            pub(in crate::store) const INSERT: &'static str = $crate::store::columns::text!(
                $crate::store::columns::Text::new()
                    .push(concat!("INSERT INTO ", $table, " ("))
                    .list("", $row::WRITTEN)
                    .push(") VALUES (")
                    .placeholders($row::WRITTEN.len())
                    .push(")")
            );
            /// The same for [`ROWS`](crate::store::columns::ROWS) rows.
            #[allow(dead_code, reason = "most tables are written row by row")]
            pub(in crate::store) const INSERT_ROWS: &'static str = $crate::store::columns::text!(
                $crate::store::columns::Text::new()
                    .push(concat!("INSERT INTO ", $table, " ("))
                    .list("", $row::WRITTEN)
                    .push(") VALUES ")
                    .rows($row::WRITTEN.len(), $crate::store::columns::ROWS)
            );
            pub(in crate::store) const DECLARED: &'static [$crate::store::columns::Column] = &[
                $($crate::store::columns::declared!(None, $table, $field, $class $(($reason))?),)+
                $($crate::store::columns::declared!(None, $table, $beside, $beside_class $(($beside_reason))?),)*
                $($($crate::store::columns::declared!(
                    Some($crate::address::Engine::Postgres), $table, $postgres, $postgres_class $(($postgres_reason))?
                ),)+)?
            ];

            #[allow(dead_code, clippy::too_many_arguments, reason = "one for each column; the tests' table is never written")]
            /// Binds the values of [`Self::INSERT`]: its own, then the others in the order of their declaration.
            pub(in crate::store) fn insert<'q, 'e, DB>(
                &'e self,
                query: sqlx::query::Query<'q, DB, <DB as sqlx::Database>::Arguments>,
                $($beside: &'e $beside_type),*
            ) -> sqlx::query::Query<'q, DB, <DB as sqlx::Database>::Arguments>
            where
                DB: sqlx::Database,
                $($type: sqlx::Encode<'e, DB> + sqlx::Type<DB>,)+
                $($beside_type: sqlx::Encode<'e, DB> + sqlx::Type<DB>,)*
            {
                query$(.bind(&self.$field))+$(.bind($beside))*
            }
        }
    };
}
pub(super) use columns;

/// A struct that is read from columns of its fields' names; after `with`, from a struct of the same kind.
macro_rules! row {
    (
        $(#[$meta:meta])* $vis:vis struct $row:ident {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty),+ $(,)?
        }
        $(with { $($part:ident: $part_type:ty),+ $(,)? })?
    ) => {
        $(#[$meta])*
        $vis struct $row {
            $($(#[$field_meta])* $field_vis $field: $type,)+
            $($($part: $part_type,)+)?
        }

        impl<'r, R> sqlx::FromRow<'r, R> for $row
        where
            R: sqlx::Row,
            &'r str: sqlx::ColumnIndex<R>,
            $($type: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,)+
            $($($part_type: sqlx::FromRow<'r, R>,)+)?
        {
            fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
                Ok(Self {
                    $($field: row.try_get(stringify!($field))?,)+
                    $($($part: <$part_type as sqlx::FromRow<'r, R>>::from_row(row)?,)+)?
                })
            }
        }
    };
}
pub(super) use row;

/// The columns that a row reads, each with `before` in front of its name: an alias and a dot.
macro_rules! list {
    ($row:ident, $before:literal) => {
        $crate::store::columns::text!($crate::store::columns::Text::new().list($before, $row::READ))
    };
}
pub(super) use list;

/// A statement from literals and column lists.
macro_rules! sql {
    ($($part:expr),+ $(,)?) => {
        $crate::store::columns::text!($crate::store::columns::Text::new()$(.push($part))+)
    };
}
pub(super) use sql;

/// The `&'static str` of a [`Text`]. Only its own bytes end up in the program.
macro_rules! text {
    ($text:expr) => {{
        const TEXT: $crate::store::columns::Text = $text;
        const BYTES: [u8; TEXT.len()] = TEXT.bytes();
        $crate::store::columns::as_text(&BYTES)
    }};
}
pub(super) use text;

macro_rules! declared {
    ($only:expr, $table:literal, $name:ident, $($class:tt)+) => {
        $crate::store::columns::Column {
            table: $table,
            name: stringify!($name),
            class: $crate::store::columns::class!($($class)+),
            only: $only,
        }
    };
}
pub(super) use declared;

macro_rules! class {
    (folded) => {
        $crate::store::columns::Class::Folded
    };
    (derived) => {
        $crate::store::columns::Class::Derived
    };
    (volatile($reason:literal)) => {
        $crate::store::columns::Class::Volatile($reason)
    };
}
pub(super) use class;

/// Rows that are written by one statement where many are.
pub(super) const ROWS: usize = 16;

/// Longest statement, in bytes.
const CAPACITY: usize = 4096;

/// A text that is put together while the program is compiled. One that is too long does not compile.
pub(super) struct Text {
    bytes: [u8; CAPACITY],
    len: usize,
}

#[expect(clippy::indexing_slicing, reason = "constants: an index out of bounds does not compile")]
impl Text {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; CAPACITY], len: 0 }
    }

    pub(super) const fn push(mut self, text: &str) -> Self {
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            self.bytes[self.len] = *first;
            self.len += 1;
            rest = tail;
        }
        self
    }

    /// Names with commas between them.
    pub(super) const fn list(mut self, before: &str, names: &[&str]) -> Self {
        let mut rest = names;
        while let [first, tail @ ..] = rest {
            self = self.push(before).push(first);
            if !tail.is_empty() {
                self = self.push(", ");
            }
            rest = tail;
        }
        self
    }

    /// `$1, $2` and so on up to `n`.
    pub(super) const fn placeholders(self, n: usize) -> Self {
        self.placeholders_after(0, n)
    }

    /// `n` placeholders after so many others, which are fewer than 1,000 together.
    const fn placeholders_after(mut self, before: usize, n: usize) -> Self {
        const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let mut i = 1;
        while i <= n {
            let number = before + i;
            self = self.push("$");
            if number >= 100 {
                self = self.push(DIGITS[number / 100]);
            }
            if number >= 10 {
                self = self.push(DIGITS[number / 10 % 10]);
            }
            self = self.push(DIGITS[number % 10]);
            if i < n {
                self = self.push(", ");
            }
            i += 1;
        }
        self
    }

    /// `($1, $2), ($3, $4)` and so on: `n_rows` of `n_columns` placeholders each.
    pub(super) const fn rows(mut self, n_columns: usize, n_rows: usize) -> Self {
        let mut row = 0;
        while row < n_rows {
            self = self.push(if row == 0 { "(" } else { ", (" });
            self = self.placeholders_after(row * n_columns, n_columns).push(")");
            row += 1;
        }
        self
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Its bytes; `N` is its length.
    pub(super) const fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        let mut i = 0;
        while i < N {
            out[i] = self.bytes[i];
            i += 1;
        }
        out
    }
}

/// The text of the bytes of a [`Text`].
pub(super) const fn as_text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // They were texts before, and a text begins and ends with whole characters.
        Err(_) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    columns! {
        struct Pet in "pet" {
            id: i64 => folded,
            name: String => volatile("for people"),
        }
        beside { age: i64 => derived, a: i64 => folded, b: i64 => folded, c: i64 => folded, d: i64 => folded,
            e: i64 => folded, f: i64 => folded, g: i64 => folded }
        postgres { index => derived }
    }

    #[test]
    fn statements_follow_from_the_declaration() {
        assert_eq!(Pet::COLUMNS, "id, name");
        assert_eq!(list!(Pet, "p."), "p.id, p.name");
        assert_eq!(
            Pet::INSERT,
            "INSERT INTO pet (id, name, age, a, b, c, d, e, f, g) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        );
        assert!(Pet::INSERT_ROWS.starts_with(
            "INSERT INTO pet (id, name, age, a, b, c, d, e, f, g) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10), ($11, $12, "
        ));
        assert!(Pet::INSERT_ROWS.ends_with("$158, $159, $160)"));
        const GET: &str = sql!("SELECT ", Pet::COLUMNS, " FROM pet WHERE name = 'Ä'");
        assert_eq!(GET, "SELECT id, name FROM pet WHERE name = 'Ä'");
        let column = |name: &str| *Pet::DECLARED.iter().find(|column| column.name == name).unwrap();
        assert_eq!(column("age"), Column { table: "pet", name: "age", class: Class::Derived, only: None });
        assert_eq!(column("name").class, Class::Volatile("for people"));
        assert_eq!(column("index").only, Some(Engine::Postgres));
    }
}
