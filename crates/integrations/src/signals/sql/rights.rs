//! Which rights the user of a source has that no reading needs.
//!
//! A read-only transaction holds back a write, and not what happens outside of it: `dblink` opens a connection of its own, functions
//! read files of the server, a superuser may do all of that. A query is written by an agent as often as by a person, so such a
//! user is refused by a test; rights that the transaction holds back are warned about, since only it stands before them.

use super::dialect::Dialect;
use super::engine::EngineError;
use super::table::Cell;
use super::{MAX_TABLES, SqlSource};
use outcome_core::ports::{Danger, Risk};

/// <https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-ACCESS>: a row a right, with its kind. Of a superuser,
/// who has them all, only that.
const IN_POSTGRES: &str = "
    WITH me AS (SELECT rolsuper, rolreplication, rolbypassrls, rolcreaterole, rolname FROM pg_roles WHERE rolname = current_user)
    SELECT kind, what FROM (
        SELECT 1 AS place, 'superuser' AS kind, CAST(rolname AS text) AS what FROM me WHERE rolsuper
        UNION ALL
        SELECT 2, 'role', CAST(r.rolname AS text) FROM pg_roles AS r, me
        WHERE NOT me.rolsuper AND r.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
          AND pg_has_role(current_user, r.oid, 'MEMBER')
        UNION ALL
        SELECT DISTINCT 3, 'function', CAST(p.proname AS text) FROM pg_proc AS p, me
        WHERE NOT me.rolsuper AND has_function_privilege(p.oid, 'EXECUTE') AND (
            p.proname IN ('pg_read_file', 'pg_read_binary_file', 'pg_ls_dir', 'pg_stat_file', 'lo_import', 'lo_export', 'pg_file_write')
            OR EXISTS (SELECT 1 FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
                       WHERE d.objid = p.oid AND d.deptype = 'e' AND e.extname = 'dblink'
                         AND p.proname IN ('dblink', 'dblink_exec', 'dblink_connect', 'dblink_connect_u', 'dblink_open',
                                           'dblink_send_query')))
        UNION ALL
        SELECT 4, 'powers', 'CREATEROLE, REPLICATION or BYPASSRLS' FROM me
        WHERE NOT rolsuper AND (rolcreaterole OR rolreplication OR rolbypassrls)
        UNION ALL
        SELECT 5, 'write', CAST(CAST(c.oid AS regclass) AS text) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace, me
        WHERE NOT me.rolsuper AND c.relkind IN ('r', 'p', 'f', 'v') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
        UNION ALL
        SELECT 6, 'create', CAST(n.nspname AS text) FROM pg_namespace AS n, me
        WHERE NOT me.rolsuper AND n.nspname !~ '^pg_' AND has_schema_privilege(n.oid, 'CREATE')
        UNION ALL
        SELECT 7, 'foreign', CAST(s.srvname AS text) FROM pg_foreign_server AS s JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw, me
        WHERE NOT me.rolsuper AND w.fdwname IN ('postgres_fdw', 'dblink_fdw') AND has_server_privilege(s.oid, 'USAGE')
    ) AS found ORDER BY place, what LIMIT 1000";

/// MySQL's privileges that change something, as `SHOW GRANTS` writes them.
const WRITES: [&str; 14] = [
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "ALTER",
    "INDEX",
    "TRIGGER",
    "EVENT",
    "CREATE ROUTINE",
    "ALTER ROUTINE",
    "CREATE USER",
    "GRANT OPTION",
    "ALL PRIVILEGES",
];

impl SqlSource {
    /// The rights of the user, the dangerous ones first.
    pub(super) async fn risks(&self) -> Result<Vec<Risk>, EngineError> {
        let found = match self.engine.dialect() {
            Dialect::Postgres => in_postgres(&self.texts(IN_POSTGRES).await?),
            Dialect::MySql => in_mysql(&self.texts("SHOW GRANTS").await?),
            // A file has no users; it is opened read-only, and its functions reach nothing outside.
            Dialect::Sqlite => Vec::new(),
            Dialect::ClickHouse | Dialect::BigQuery | Dialect::Snowflake => self.engine.risks(self.limits).await?,
        };
        Ok(found.into_iter().map(|risk| Risk { what: self.redactor.clean(&risk.what), ..risk }).collect())
    }

    /// The rows of one of our own statements, all of text.
    pub(super) async fn texts(&self, sql: &str) -> Result<Vec<Vec<String>>, EngineError> {
        let table = self.ask(sql, &[]).await?;
        let text = |cell: Cell| if let Cell::Text(text) = cell { text } else { String::new() };
        Ok(table.rows.into_iter().take(MAX_TABLES * 60).map(|row| row.into_iter().map(text).collect()).collect())
    }
}

pub(super) fn refused(what: String) -> Risk {
    Risk { danger: Danger::Refused, what }
}

pub(super) fn warned(what: String) -> Risk {
    Risk { danger: Danger::Warned, what }
}

/// A few of the names, and how many more there are.
fn some(names: &[&str]) -> String {
    let shown: Vec<_> = names.iter().take(5).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(shown.len());
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

fn in_postgres(rows: &[Vec<String>]) -> Vec<Risk> {
    let of = |wanted: &str| -> Vec<&str> {
        let of_kind = rows.iter().filter_map(|row| match row.as_slice() {
            [kind, what] if kind == wanted => Some(what.as_str()),
            _ => None,
        });
        of_kind.collect()
    };
    let mut found = Vec::new();
    let mut add = |kind: &str, risk: &dyn Fn(String) -> Risk| {
        let names = of(kind);
        if !names.is_empty() {
            found.push(risk(some(&names)));
        }
    };
    add("superuser", &|name| {
        refused(format!("{name} is a superuser: a query can read and write files of the server and run its programs"))
    });
    add("role", &|names| {
        refused(format!("it is a member of {names}: a query can reach the server's files or programs"))
    });
    add("function", &|names| refused(format!("it may call {names}: these act outside of the read-only transaction")));
    add("powers", &|powers| warned(format!("it has {}", powers.replace('`', ""))));
    add("write", &|names| warned(format!("it may write to {names}")));
    add("create", &|names| warned(format!("it may create objects in the schema {names}")));
    add("foreign", &|names| warned(format!("it may reach other databases through the foreign server {names}")));
    found
}

/// <https://dev.mysql.com/doc/refman/8.4/en/show-grants.html>: ``GRANT SELECT, INSERT ON `shop`.* TO ...``, a line a scope; a line without
/// ON grants roles.
fn in_mysql(rows: &[Vec<String>]) -> Vec<Risk> {
    let mut found = Vec::new();
    for line in rows.iter().filter_map(|row| row.first()) {
        let Some(granted) = line.strip_prefix("GRANT ") else { continue };
        let Some((privileges, scope)) = granted.split_once(" ON ") else {
            found.push(warned("it has rights through roles, which are not looked at here".to_owned()));
            continue;
        };
        let scope = scope.split(" TO ").next().unwrap_or_default();
        // Columns: `SELECT (a, b)`.
        let privileges: Vec<_> = privileges.split(", ").map(str::trim).collect();
        let has = |name: &str| privileges.contains(&name);
        if scope == "*.*" && has("ALL PRIVILEGES") {
            found.push(refused("it has ALL PRIVILEGES on `*.*`: a query can read files of the server".to_owned()));
        } else if has("FILE") || has("SUPER") {
            found.push(refused("it has FILE or SUPER: a query can read files of the server (`LOAD_FILE`)".to_owned()));
        } else if line.ends_with("WITH GRANT OPTION") || privileges.iter().any(|one| WRITES.contains(one)) {
            found.push(warned(format!("it may change something in {scope}")));
        } else if has("EXECUTE") {
            found.push(warned(format!("it may call every function in {scope}, also those that write")));
        }
    }
    found.sort_by_key(|risk| risk.danger != Danger::Refused);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mysql_grants_is_sorted_by_its_danger() {
        let of = |lines: &[&str]| {
            let rows: Vec<_> = lines.iter().map(|line| vec![(*line).to_owned()]).collect();
            in_mysql(&rows).into_iter().map(|risk| (risk.danger, risk.what)).collect::<Vec<_>>()
        };
        assert_eq!(of(&["GRANT USAGE ON *.* TO `r`@`%`", "GRANT SELECT ON `shop`.`users` TO `r`@`%`"]), []);
        let found = of(&["GRANT SELECT, INSERT ON `shop`.* TO `r`@`%`", "GRANT SELECT, FILE ON *.* TO `r`@`%`"]);
        assert_eq!(found.first().unwrap().0, Danger::Refused);
        assert_eq!(found.last().unwrap(), &(Danger::Warned, "it may change something in `shop`.*".to_owned()));
        for line in
            ["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION", "GRANT SUPER ON *.* TO `r`@`%`"]
        {
            assert_eq!(of(&[line]).first().unwrap().0, Danger::Refused, "{line}");
        }
        for line in [
            "GRANT ALL PRIVILEGES ON `shop`.* TO `r`@`%`",
            "GRANT SELECT, DROP ON `shop`.`t` TO `r`@`%`",
            "GRANT SELECT ON `shop`.* TO `r`@`%` WITH GRANT OPTION",
            "GRANT SELECT, EXECUTE ON `shop`.* TO `r`@`%`",
            "GRANT `writer`@`%` TO `r`@`%`",
        ] {
            assert_eq!(of(&[line]).first().unwrap().0, Danger::Warned, "{line}");
        }
    }
}
