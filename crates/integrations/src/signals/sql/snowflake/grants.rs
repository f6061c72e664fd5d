//! Which rights the role has that no reading needs. <https://docs.snowflake.com/en/user-guide/security-access-control-privileges>

use outcome_core::ports::Risk;

use super::super::rights::warned;
use super::super::table::{Cell, Table};

/// Rights that change nothing.
const READS: [&str; 7] = ["USAGE", "SELECT", "REFERENCES", "MONITOR", "READ", "OPERATE", "IMPORTED PRIVILEGES"];
/// Roles of the system that may change everything.
const OF_THE_SYSTEM: [&str; 5] = ["ACCOUNTADMIN", "ORGADMIN", "SECURITYADMIN", "SYSADMIN", "USERADMIN"];
/// Most rights that are named.
const NAMED: usize = 5;

/// Of the rows of `SHOW GRANTS TO ROLE`: `privilege`, `granted_on`, `name`.
pub(super) fn risks(role: &str, table: &Table) -> Vec<Risk> {
    let mut found = Vec::new();
    if OF_THE_SYSTEM.iter().any(|name| role.eq_ignore_ascii_case(name)) {
        found.push(warned(format!("{role} may change nearly everything in the account")));
    }
    let text = |column: &str, row: &[Cell]| match table.cell(column, row) {
        Cell::Text(text) => text.clone(),
        _ => String::new(),
    };
    let (mut writes, mut roles) = (Vec::new(), Vec::new());
    for row in &table.rows {
        let [privilege, on, name] = ["privilege", "granted_on", "name"].map(|column| text(column, row));
        if on.eq_ignore_ascii_case("ROLE") || on.eq_ignore_ascii_case("DATABASE_ROLE") {
            roles.push(format!("`{name}`"));
        } else if !READS.iter().any(|read| privilege.eq_ignore_ascii_case(read)) {
            writes.push(format!("{privilege} on {} `{name}`", on.to_lowercase()));
        }
    }
    for (all, what) in [(writes, "it has"), (roles, "it has the rights of the role, which are not looked at here:")] {
        if !all.is_empty() {
            let more = all.len().saturating_sub(NAMED);
            let shown = all.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
            found.push(warned(if more == 0 {
                format!("{what} {shown}")
            } else {
                format!("{what} {shown} and {more} more")
            }));
        }
    }
    found
}

/// Of the row of `CURRENT_SECONDARY_ROLES()`: `{"roles":"","value":""}` where there are none.
pub(super) fn secondary(table: &Table) -> Option<Risk> {
    let Some(Cell::Text(json)) = table.rows.first().and_then(|row| row.first()) else { return None };
    let is_none = json.contains("\"roles\":\"\"") && json.contains("\"value\":\"\"");
    (!is_none).then(|| {
        warned("its user has secondary roles, whose rights count as well: set DEFAULT_SECONDARY_ROLES = ()".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn table(rows: &[[&str; 3]]) -> Table {
        Table {
            columns: ["privilege", "granted_on", "name"].map(str::to_owned).to_vec(),
            rows: rows.iter().map(|row| row.map(|text| Cell::Text(text.to_owned())).to_vec()).collect(),
        }
    }

    #[test]
    fn what_is_granted_beyond_reading_is_named() {
        let of = |role: &str, rows: &[[&str; 3]]| {
            risks(role, &table(rows)).into_iter().map(|risk| risk.what).collect::<Vec<_>>()
        };
        assert_eq!(of("READER", &[["USAGE", "WAREHOUSE", "W"], ["SELECT", "TABLE", "S.P.T"]]), Vec::<String>::new());
        assert_eq!(
            of("READER", &[["INSERT", "TABLE", "S.P.T"], ["USAGE", "ROLE", "OTHER"]]),
            ["it has INSERT on table `S.P.T`", "it has the rights of the role, which are not looked at here: `OTHER`"]
        );
        assert_eq!(of("SYSADMIN", &[]), ["SYSADMIN may change nearly everything in the account"]);
    }

    #[test]
    fn secondary_roles_are_seen() {
        let of = |json: &str| {
            let rows = vec![vec![Cell::Text(json.to_owned())]];
            secondary(&Table { columns: vec!["R".to_owned()], rows }).is_some()
        };
        assert!(!of(r#"{"roles":"","value":""}"#));
        assert!(of(r#"{"roles":"OTHER","value":"ALL"}"#));
    }
}
