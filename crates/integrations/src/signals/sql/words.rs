//! The codes of databases in our own words.
//!
//! A code is all that is kept of an error while a query runs (see `refusal`), so it is said what it means.

use super::dialect::Dialect;

/// An error's code and what it means: `SQLSTATE 22P02: a text is not a value of the type that it is converted to`.
///
/// `number` is MySQL's error number. `code` may come from code inside of the database, which may raise any: what does not look
/// like one is not repeated.
pub(super) fn of_code(dialect: Dialect, code: &str, number: Option<u16>) -> String {
    match (dialect, number) {
        (Dialect::Sqlite, _) => {
            let primary = code.parse::<u32>().map(|extended| extended & 0xff).unwrap_or_default();
            format!("SQLite's error {primary}: {}", of_sqlite(primary))
        }
        (_, Some(number)) => {
            let meaning = of_number(number).unwrap_or_else(|| of_sqlstate(code));
            format!("error {number} (SQLSTATE {}): {meaning}", shown(code))
        }
        (_, None) => format!("SQLSTATE {}: {}", shown(code), of_sqlstate(code)),
    }
}

/// Five capital letters and digits, or `?????`. Raised errors may have any five of them, so also known words fit: `SECRE`.
fn shown(code: &str) -> &str {
    let is_code = code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if is_code { code } else { "?????" }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>; the first two characters are the class, which is the
/// same in MySQL.
fn of_sqlstate(code: &str) -> &'static str {
    match code {
        "22012" => return "division by zero",
        "22003" => return "a number is out of the range of its type",
        "22P02" | "22018" => return "a text is not a value of the type that it is converted to",
        "22007" | "22008" => return "a text is not a date or time, or one out of range",
        "25006" => return "the query tried to write, and its transaction is read-only",
        "28P01" => return "the password is wrong",
        "28000" => return "the server does not let this user in from here (is TLS demanded?)",
        "3D000" => return "there is no such database",
        "42501" => return "the user may not read something that the query uses",
        "45000" => return "code inside of the database (a function or trigger) raised an error",
        "53300" => return "it has too many connections",
        "57P03" => return "it is starting up or shutting down",
        _ => {}
    }
    match code.get(..2).unwrap_or_default() {
        "08" => "the connection broke",
        "0A" => "the query uses something that the server does not support",
        "21" => "a subquery gave more than one row, or rows of different widths",
        "22" => "a value could not be converted or computed",
        "23" => "a value breaks a constraint",
        "25" | "40" => "the transaction could not go on (a conflict with another one, say)",
        "28" => "the server did not let the user in",
        "42" => "a name, a type or a function does not fit",
        "53" => "the server has not enough memory, disk or connections",
        "54" => "a limit of the server is exceeded",
        "55" => "something that the query needs is locked or in the wrong state",
        "57" => "the server was stopped, or stopped the query",
        "58" | "XX" => "the server has an error of its own",
        "P0" => "code inside of the database (a function or trigger) raised an error",
        "2F" | "38" | "39" => "a function that the query calls failed",
        _ => "the database stopped the query",
    }
}

/// <https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html>: numbers that say more than their SQLSTATE.
fn of_number(number: u16) -> Option<&'static str> {
    Some(match number {
        1040 => "it has too many connections",
        1045 | 1698 => "the user or the password is wrong",
        1049 => "there is no such database",
        1130 => "the server does not let anybody in from this host",
        1242 => "a subquery gave more than one row",
        1264 | 1690 => "a number is out of the range of its type",
        1365 => "division by zero",
        1411 | 1292 | 1366 | 1525 => "a text is not a value of the type that it is converted to",
        1792 => "the query tried to write, and its transaction is read-only",
        _ => return None,
    })
}

/// <https://www.sqlite.org/rescode.html>
fn of_sqlite(primary: u32) -> &'static str {
    match primary {
        1 => "a function that the query calls refused a value, or a computation overflowed",
        3 | 23 => "the file may not be read",
        5 | 6 => "another program has locked the database",
        8 => "the query tried to write, and the database is opened read-only",
        7 | 13 => "there is not enough memory or disk",
        10 => "the file could not be read from its disk",
        11 => "the file is damaged",
        14 => "the file cannot be opened",
        18 => "a text or the number of columns is too large",
        19 => "a value breaks a constraint",
        20 => "a value is not of the type that is needed",
        26 => "the file is no SQLite database",
        _ => "the database stopped the query",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_said_in_words() {
        for (dialect, code, number, expected) in [
            (
                Dialect::Postgres,
                "22P02",
                None,
                "SQLSTATE 22P02: a text is not a value of the type that it is converted to",
            ),
            (Dialect::Postgres, "22P05", None, "SQLSTATE 22P05: a value could not be converted or computed"),
            (
                Dialect::Postgres,
                "P0001",
                None,
                "SQLSTATE P0001: code inside of the database (a function or trigger) raised an error",
            ),
            (Dialect::Postgres, "", None, "SQLSTATE ?????: the database stopped the query"),
            (Dialect::MySql, "22012", Some(1365), "error 1365 (SQLSTATE 22012): division by zero"),
            (Dialect::MySql, "HY000", Some(1105), "error 1105 (SQLSTATE HY000): the database stopped the query"),
            (Dialect::Sqlite, "1811", None, "SQLite's error 19: a value breaks a constraint"),
        ] {
            assert_eq!(of_code(dialect, code, number), expected);
        }
    }

    #[test]
    fn what_is_no_code_is_not_repeated() {
        for text in ["hunter2secret", "é2P02", "pw; x"] {
            assert!(!of_code(Dialect::Postgres, text, None).contains(text));
        }
    }
}
