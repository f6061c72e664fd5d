//! The statements that make a user who reads what the queries of a source read, and nothing else. A person runs them.
//!
//! **Invariant**: no password is in them, neither that of the configured address nor a new one.

use super::SqlSource;
use super::dialect::Dialect;
use super::engine::{EngineError, Reader};
use super::relations::{Named, named_in};

/// The user's name.
const ROLE: &str = "outcome_reader";

/// A relation of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Relation {
    schema: String,
    name: String,
    /// Found without its schema.
    is_default: bool,
}

impl SqlSource {
    /// The statements; `None` where users are not made with statements of the database.
    pub(super) async fn role(&self, queries: &[String]) -> Result<Option<Vec<String>>, EngineError> {
        let dialect = self.engine.dialect();
        let reader = self.engine.reader();
        let (relations, here) = match dialect {
            Dialect::Sqlite => return Ok(None),
            Dialect::BigQuery => (
                &*format!("SELECT table_schema, table_name, 'yes' FROM `{}`.INFORMATION_SCHEMA.TABLES LIMIT 12000", reader.home),
                "SELECT '', ''",
            ),
            Dialect::Snowflake => (
                "SELECT table_schema AS s, table_name AS t, CASE WHEN table_schema = CURRENT_SCHEMA() THEN 'yes' ELSE '' END AS d
                 FROM information_schema.tables WHERE table_schema <> 'INFORMATION_SCHEMA' LIMIT 12000",
                "SELECT CURRENT_DATABASE() AS d, CURRENT_SCHEMA() AS s",
            ),
            Dialect::ClickHouse => (
                "SELECT database AS s, name AS t, if(database = currentDatabase(), 'yes', '') AS d
                 FROM system.tables WHERE lower(database) NOT IN ('system', 'information_schema') LIMIT 12000",
                "SELECT currentDatabase() AS d, currentDatabase() AS s",
            ),
            Dialect::Postgres => (
                "SELECT CAST(n.nspname AS text) AS s, CAST(c.relname AS text) AS t, CASE WHEN pg_table_is_visible(c.oid) THEN 'yes' END AS d
                 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' LIMIT 12000",
                "SELECT CAST(current_database() AS text) AS d, CAST(coalesce(current_schema(), 'public') AS text) AS s",
            ),
            Dialect::MySql => (
                "SELECT CAST(table_schema AS CHAR) AS s, CAST(table_name AS CHAR) AS t, IF(table_schema = DATABASE(), 'yes', '') AS d
                 FROM information_schema.tables
                 WHERE table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema') LIMIT 12000",
                "SELECT CAST(coalesce(DATABASE(), '') AS CHAR) AS d, CAST(coalesce(DATABASE(), '') AS CHAR) AS s",
            ),
        };
        let known = self.texts(relations).await?.into_iter().filter_map(|row| match <[String; 3]>::try_from(row) {
            Ok([schema, name, is_default]) => Some(Relation { schema, name, is_default: is_default == "yes" }),
            Err(_) => None,
        });
        let known: Vec<_> = known.collect();
        let here = self.texts(here).await?.into_iter().next().and_then(|row| <[String; 2]>::try_from(row).ok());
        let [database, schema] = here.unwrap_or_default();
        let mut read: Vec<Relation> = Vec::new();
        for named in queries.iter().flat_map(|query| named_in(query, dialect)) {
            if let Some(relation) = known.iter().find(|known| is_named(known, &named, dialect))
                && !read.contains(relation)
            {
                read.push(relation.clone());
            }
        }
        let place = Place { host: self.engine.host(), database, schema };
        Ok(Some(match dialect {
            Dialect::MySql => in_mysql(&place, &read),
            Dialect::ClickHouse => in_clickhouse(&place, &read),
            Dialect::BigQuery => in_bigquery(&reader, &read),
            Dialect::Snowflake => in_snowflake(&place, &reader, &read),
            Dialect::Postgres | Dialect::Sqlite => {
                let dblink = self.texts(PUBLIC_DBLINK).await?.into_iter().filter_map(|row| row.into_iter().next());
                in_postgres(&place, &read, &dblink.collect::<Vec<_>>())
            }
        }))
    }
}

/// Functions that everybody may call and that act outside of a read-only transaction.
const PUBLIC_DBLINK: &str = "
    SELECT CAST(CAST(p.oid AS regprocedure) AS text) AS f
    FROM pg_proc AS p JOIN pg_depend AS d ON d.objid = p.oid AND d.deptype = 'e' JOIN pg_extension AS e ON e.oid = d.refobjid
    WHERE e.extname = 'dblink' AND p.proname IN ('dblink', 'dblink_exec', 'dblink_connect', 'dblink_open', 'dblink_send_query')
      AND (p.proacl IS NULL OR EXISTS (SELECT 1 FROM aclexplode(p.proacl) AS a WHERE a.grantee = 0))
    ORDER BY 1";

struct Place {
    host: String,
    database: String,
    schema: String,
}

fn is_named(known: &Relation, named: &Named, dialect: Dialect) -> bool {
    let is_loose = matches!(dialect, Dialect::MySql | Dialect::Snowflake);
    let same = |a: &str, b: &str| if is_loose { a.eq_ignore_ascii_case(b) } else { a == b };
    if dialect == Dialect::BigQuery {
        // All parts may stand in one pair of quotes.
        let parts: Vec<&str> = named
            .schema
            .iter()
            .map(String::as_str)
            .chain([named.name.as_str()])
            .flat_map(|part| part.split('.'))
            .collect();
        let [.., name] = parts.as_slice() else { return false };
        let is_schema =
            parts.len().checked_sub(2).and_then(|at| parts.get(at)).is_none_or(|schema| *schema == known.schema);
        return is_schema && *name == known.name;
    }
    let is_schema = named.schema.as_ref().map_or(known.is_default, |schema| same(&known.schema, schema));
    is_schema && same(&known.name, &named.name)
}

fn quoted(name: &str, quote: char) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    format!("{quote}{}{quote}", name.replace(quote, &format!("{quote}{quote}")))
}

/// The address for the outcome file; characters with a meaning in addresses are escaped.
fn address(scheme: &str, place: &Place) -> String {
    let database: String = url::form_urlencoded::byte_serialize(place.database.as_bytes()).collect();
    let database = database.replace('+', "%20");
    format!(
        "-- Then, in the outcome file: url: {scheme}://{ROLE}:${{OUTCOME_READER_PASSWORD}}@{}/{database}",
        place.host
    )
}

fn in_postgres(place: &Place, read: &[Relation], dblink: &[String]) -> Vec<String> {
    let name = |name: &str| quoted(name, '"');
    let mut out = vec![
        "-- Run this in psql, in the source's database, as the owner of the tables.".to_owned(),
        format!("CREATE ROLE {ROLE} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;"),
        format!("ALTER ROLE {ROLE} SET default_transaction_read_only = on;"),
        format!("GRANT CONNECT ON DATABASE {} TO {ROLE};", name(&place.database)),
    ];
    let mut schemas: Vec<&str> = read.iter().map(|relation| relation.schema.as_str()).collect();
    schemas.sort_unstable();
    schemas.dedup();
    if read.is_empty() {
        out.push("-- The tables of the queries were not found, so this reads the whole schema.".to_owned());
        out.push(format!("GRANT USAGE ON SCHEMA {} TO {ROLE};", name(&place.schema)));
        out.push(format!("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {ROLE};", name(&place.schema)));
    }
    out.extend(schemas.iter().map(|schema| format!("GRANT USAGE ON SCHEMA {} TO {ROLE};", name(schema))));
    out.extend(
        read.iter()
            .map(|relation| format!("GRANT SELECT ON {}.{} TO {ROLE};", name(&relation.schema), name(&relation.name))),
    );
    if !dblink.is_empty() {
        out.push(
            "-- Everybody may call dblink here, which writes in spite of a read-only transaction. These lines take that from \
             everybody; grant it back to who needs it."
                .to_owned(),
        );
        out.extend(dblink.iter().map(|function| format!("-- REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC;")));
    }
    out.push("-- Asks for a password, so that it is in no file and no history:".to_owned());
    out.push(format!("\\password {ROLE}"));
    out.push(address("postgres", place));
    out
}

fn in_clickhouse(place: &Place, read: &[Relation]) -> Vec<String> {
    let name = |name: &str| quoted(name, '`');
    let mut out = vec![
        "-- Run this in clickhouse-client as an administrator, with a password of your own in place of the dots."
            .to_owned(),
        format!("CREATE USER {ROLE} IDENTIFIED WITH sha256_password BY '...';"),
    ];
    if read.is_empty() {
        out.push("-- The tables of the queries were not found, so this reads the whole database.".to_owned());
        out.push(format!("GRANT SELECT ON {}.* TO {ROLE};", name(&place.database)));
    }
    out.extend(
        read.iter()
            .map(|relation| format!("GRANT SELECT ON {}.{} TO {ROLE};", name(&relation.schema), name(&relation.name))),
    );
    out.push(format!("-- Then, in the outcome file: user: {ROLE}, password: ${{CLICKHOUSE_PASSWORD}}"));
    out
}

/// <https://cloud.google.com/bigquery/docs/reference/standard-sql/data-control-language>
fn in_bigquery(reader: &Reader, read: &[Relation]) -> Vec<String> {
    let name = |name: &str| name.replace('`', "");
    let member = name(&reader.account);
    let mut out = vec![
        "-- Run this as the owner of the dataset, with `bq query --use_legacy_sql=false` or in the console.".to_owned(),
    ];
    let grant = |on: String| format!("GRANT `roles/bigquery.dataViewer` ON {on} TO \"serviceAccount:{member}\";");
    if read.is_empty() {
        out.push("-- The tables of the queries were not found, so this reads the whole dataset.".to_owned());
        out.push(grant(format!("SCHEMA `{}`", name(&reader.home))));
    }
    out.extend(read.iter().map(|relation| grant(format!("TABLE `{}.{}`", name(&reader.home), name(&relation.name)))));
    out.push("-- And in a shell, so that it may run queries that this project pays for:".to_owned());
    out.push(format!(
        "-- gcloud projects add-iam-policy-binding {} --role roles/bigquery.jobUser --member serviceAccount:{member} --condition None",
        reader.computes
    ));
    out
}

/// <https://docs.snowflake.com/en/sql-reference/sql/grant-privilege>
fn in_snowflake(place: &Place, reader: &Reader, read: &[Relation]) -> Vec<String> {
    let name = |name: &str| quoted(name, '"');
    let role = ROLE.to_uppercase();
    let user = if reader.account.is_empty() { role.clone() } else { reader.account.clone() };
    let (database, schema) = (name(&place.database), name(&place.schema));
    let mut out = vec![
        "-- Run this as the owner of the tables who may also make roles and users.".to_owned(),
        format!("CREATE ROLE IF NOT EXISTS {role};"),
        format!("GRANT USAGE ON WAREHOUSE {} TO ROLE {role};", name(&reader.computes)),
        format!("GRANT USAGE ON DATABASE {database} TO ROLE {role};"),
    ];
    let mut schemas: Vec<String> = read.iter().map(|relation| name(&relation.schema)).collect();
    if read.is_empty() {
        out.push("-- The tables of the queries were not found, so this reads the whole schema.".to_owned());
        schemas.push(schema.clone());
    }
    schemas.sort_unstable();
    schemas.dedup();
    out.extend(schemas.iter().map(|schema| format!("GRANT USAGE ON SCHEMA {database}.{schema} TO ROLE {role};")));
    if read.is_empty() {
        out.push(format!("GRANT SELECT ON ALL TABLES IN SCHEMA {database}.{schema} TO ROLE {role};"));
    }
    out.extend(read.iter().map(|relation| {
        format!("GRANT SELECT ON TABLE {database}.{}.{} TO ROLE {role};", name(&relation.schema), name(&relation.name))
    }));
    out.push(format!(
        "CREATE USER IF NOT EXISTS {user} TYPE = SERVICE DEFAULT_ROLE = {role} DEFAULT_SECONDARY_ROLES = ();"
    ));
    out.push(format!("GRANT ROLE {role} TO USER {user};"));
    out.push("-- Then give the user a key or a token: see docs/connectors/snowflake.md.".to_owned());
    out.push(format!("-- And in the outcome file: role: {role}"));
    out
}

fn in_mysql(place: &Place, read: &[Relation]) -> Vec<String> {
    let name = |name: &str| quoted(name, '`');
    let mut out = vec![
        "-- Run this in mysql as an administrator, with a password of your own in place of the dots.".to_owned(),
        format!("CREATE USER '{ROLE}'@'%' IDENTIFIED BY '...';"),
    ];
    if read.is_empty() {
        out.push("-- The tables of the queries were not found, so this reads the whole database.".to_owned());
        out.push(format!("GRANT SELECT ON {}.* TO '{ROLE}'@'%';", name(&place.database)));
    }
    out.extend(read.iter().map(|relation| {
        format!("GRANT SELECT ON {}.{} TO '{ROLE}'@'%';", name(&relation.schema), name(&relation.name))
    }));
    out.push(address("mysql", place));
    out
}
