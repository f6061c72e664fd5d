//! Statements as constants, and lists of them.

/// A statement whose two dialects have nothing in common.
pub(super) struct Sql {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

/// Defines statement constants and the list of them that the prepare test reads.
macro_rules! statements {
    ($($name:ident = $sql:expr;)+) => {
        $(const $name: &str = $sql;)+
        pub(super) const ALL: &[&str] = &[$($name),+];
    };
}
pub(super) use statements;
