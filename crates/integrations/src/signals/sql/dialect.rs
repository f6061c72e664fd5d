//! What differs between the databases in the SQL of a metric, beside instants (see `time`): small pieces of text, and nothing of how a
//! statement is sent.

/// Whose SQL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    MySql,
    Sqlite,
    ClickHouse,
    BigQuery,
    Snowflake,
}

impl Dialect {
    /// The value of an event as a number that adds up exactly, whatever the order. It is wide enough for the sum of squares, whose
    /// overflow `ClickHouse` would not notice.
    pub(super) fn exact(self, value: &str) -> String {
        match self {
            // Of a text in a column that may be NULL the conversion alone would be NULL where it is no number.
            Self::ClickHouse => {
                format!("if(isNull({value}), NULL, {})", self.decimal(&format!("assumeNotNull({value})")))
            }
            _ => self.decimal(value),
        }
    }

    /// The same of what is a number already.
    pub(super) fn decimal(self, value: &str) -> String {
        match self {
            Self::Postgres => format!("CAST({value} AS numeric)"),
            Self::MySql => format!("CAST({value} AS DECIMAL(38, 12))"),
            Self::Sqlite => format!("CAST({value} AS REAL)"),
            Self::ClickHouse => format!("toDecimal256({value}, 12)"),
            Self::BigQuery => format!("CAST({value} AS BIGNUMERIC)"),
            Self::Snowflake => format!("CAST({value} AS NUMBER(38, 12))"),
        }
    }

    /// A number of the plan. `ClickHouse` and `BigQuery` would make a floating-point number of a literal with a fraction, and of what it
    /// is compared with.
    pub(super) fn limit(self, limit: f64) -> String {
        match self {
            Self::Postgres | Self::MySql | Self::Sqlite | Self::Snowflake => limit.to_string(),
            Self::ClickHouse | Self::BigQuery => self.decimal(&format!("'{limit}'")),
        }
    }

    /// The smaller one of a value and a limit.
    pub(super) fn at_most(self, value: &str, limit: f64) -> String {
        let limit = self.limit(limit);
        match self {
            Self::Sqlite => format!("min({value}, {limit})"),
            Self::Postgres | Self::MySql | Self::Snowflake => format!("least({value}, {limit})"),
            Self::ClickHouse | Self::BigQuery => format!("least({}, {limit})", self.decimal(value)),
        }
    }

    /// A length of time in hours.
    pub(super) fn hours(self, seconds: i64) -> String {
        match self {
            Self::Sqlite => format!("{seconds} / 3600.0"),
            _ => format!("{} / 3600", self.decimal(&seconds.to_string())),
        }
    }

    /// The product of two numbers of a unit. A product of Snowflake's decimals loses what is behind the twelfth decimal place, so small
    /// values would have no squares.
    pub(super) fn product(self, one: &str, other: &str) -> String {
        match self {
            Self::Snowflake => format!("CAST({one} AS FLOAT) * CAST({other} AS FLOAT)"),
            _ => format!("{one} * {other}"),
        }
    }

    /// The end of a join on a key and on conditions that compare both sides. `ClickHouse` joins on keys; of an inner join the rest may
    /// as well be what is kept.
    pub(super) fn on(self, key: &str, conditions: &str) -> String {
        match self {
            Self::ClickHouse => format!("ON {key} WHERE {conditions}"),
            _ => format!("ON {key} AND {conditions}"),
        }
    }

    /// Rows that are not there, for a planner that believes a table has none: PostgreSQL knows nothing yet of a flag that is new, expects
    /// one unit, and then reads all events once for each of the units that there are. `n_columns`: of the table that they are added to.
    pub(super) fn expected_rows(self, n_columns: usize) -> String {
        match self {
            // The condition is looked at once, and no row is made. A constant one would be seen through.
            Self::Postgres => format!(
                "\n  UNION ALL SELECT {} FROM generate_series(1, 10000) WHERE statement_timestamp() < '-infinity'",
                vec!["NULL"; n_columns].join(", ")
            ),
            Self::MySql | Self::Sqlite | Self::ClickHouse | Self::BigQuery | Self::Snowflake => String::new(),
        }
    }

    /// The number of the bucket of a key, by its MD5, where the database has one: the same in each.
    pub(super) fn bucket(self, key: &str) -> String {
        match self {
            Self::Postgres => format!(
                "mod(CAST(CAST('x' || substr(md5('or' || CAST({key} AS text)), 1, 8) AS bit(32)) AS bigint), 512)"
            ),
            Self::MySql => format!("CAST(CONV(SUBSTR(MD5(CONCAT('or', {key})), 1, 8), 16, 10) AS SIGNED) % 512"),
            Self::Sqlite => format!("'k' || {key}"),
            Self::ClickHouse => {
                format!(
                    "toInt64(reinterpretAsUInt32(reverse(substring(MD5(concat('or', toString({key}))), 1, 4))) % 512)"
                )
            }
            Self::BigQuery => {
                format!(
                    "MOD(CAST(CONCAT('0x', SUBSTR(TO_HEX(MD5(CONCAT('or', CAST({key} AS STRING)))), 1, 8)) AS INT64), 512)"
                )
            }
            Self::Snowflake => {
                format!("MOD(TO_NUMBER(SUBSTR(MD5('or' || TO_VARCHAR({key})), 1, 8), 'XXXXXXXX'), 512)")
            }
        }
    }

    /// The type that every value can be written as.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Postgres | Self::Sqlite => "TEXT",
            Self::MySql => "CHAR",
            Self::ClickHouse => "Nullable(String)",
            Self::BigQuery => "STRING",
            Self::Snowflake => "VARCHAR",
        }
    }

    /// The character around a name that is no plain word.
    pub(super) fn quote(self) -> char {
        match self {
            Self::Postgres | Self::Sqlite | Self::Snowflake => '"',
            Self::MySql | Self::ClickHouse | Self::BigQuery => '`',
        }
    }

    /// The program of the vendor that runs a query by hand.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Postgres => "psql",
            Self::MySql => "mysql",
            Self::Sqlite => "sqlite3",
            Self::ClickHouse => "clickhouse-client",
            Self::BigQuery => "bq",
            Self::Snowflake => "a worksheet",
        }
    }

    /// True for a database that compares a number with a text without a word: the one as doubles, the other as never equal or as numbers.
    pub(super) fn compares_unlike_types(self) -> bool {
        match self {
            Self::MySql | Self::Sqlite | Self::Snowflake => true,
            Self::Postgres | Self::ClickHouse | Self::BigQuery => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_stays_exact_where_a_literal_would_be_a_floating_point_number() {
        assert_eq!(Dialect::Postgres.at_most("v", 30.5), "least(v, 30.5)");
        assert_eq!(Dialect::Sqlite.at_most("v", 30.0), "min(v, 30)");
        assert_eq!(Dialect::ClickHouse.at_most("v", 30.5), "least(toDecimal256(v, 12), toDecimal256('30.5', 12))");
        assert_eq!(Dialect::BigQuery.at_most("v", 30.5), "least(CAST(v AS BIGNUMERIC), CAST('30.5' AS BIGNUMERIC))");
    }

    #[test]
    fn only_clickhouse_keeps_what_is_no_key_for_later() {
        assert_eq!(Dialect::Snowflake.on("a = b", "c < d"), "ON a = b AND c < d");
        assert_eq!(Dialect::ClickHouse.on("a = b", "c < d"), "ON a = b WHERE c < d");
    }
}
