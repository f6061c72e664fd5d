//! Instants in the SQL of a metric, as each engine and each format of instants has them.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::TimeFormat;
use super::contract::Writer;
use super::dialect::Dialect;

/// How far back the offsets of a time zone are written out; before that its oldest one is used.
const YEARS: i64 = 5;

impl Writer<'_> {
    /// Hours between a unit's first exposure and an instant.
    pub(super) fn hours_until(&self, at: &str) -> String {
        let first = "or_u.or_first";
        match (self.format, self.dialect) {
            (TimeFormat::UnixSeconds, Dialect::Sqlite) => format!("({at} - {first}) / 3600.0"),
            (TimeFormat::UnixSeconds, Dialect::Postgres | Dialect::MySql) => {
                format!("CAST({at} - {first} AS DECIMAL(38, 12)) / 3600")
            }
            (TimeFormat::UnixSeconds, dialect) => format!("{} / 3600", dialect.decimal(&format!("{at} - {first}"))),
            (TimeFormat::UnixMillis, Dialect::Sqlite) => format!("({at} - {first}) / 3600000.0"),
            (TimeFormat::UnixMillis, Dialect::Postgres | Dialect::MySql) => {
                format!("CAST({at} - {first} AS DECIMAL(38, 12)) / 3600000")
            }
            (TimeFormat::UnixMillis, dialect) => format!("{} / 3600000", dialect.decimal(&format!("{at} - {first}"))),
            (
                TimeFormat::Native | TimeFormat::Datetime | TimeFormat::Iso8601,
                dialect @ (Dialect::ClickHouse | Dialect::BigQuery),
            ) => {
                let between = format!("{} - {}", dialect.micros(at), dialect.micros(first));
                format!("{} / 3600000000", dialect.decimal(&between))
            }
            (TimeFormat::Native | TimeFormat::Datetime | TimeFormat::Iso8601, Dialect::Snowflake) => {
                let between = format!("DATEDIFF(microsecond, {first}, {at})");
                format!("{} / 3600000000", Dialect::Snowflake.decimal(&between))
            }
            (TimeFormat::Native | TimeFormat::Datetime | TimeFormat::Iso8601, Dialect::Sqlite) => {
                format!("(strftime('%s', {at}) - strftime('%s', {first})) / 3600.0")
            }
            (TimeFormat::Native | TimeFormat::Datetime | TimeFormat::Iso8601, Dialect::Postgres) => {
                format!("CAST(extract(epoch FROM {at} - {first}) AS numeric) / 3600")
            }
            (TimeFormat::Native | TimeFormat::Datetime | TimeFormat::Iso8601, Dialect::MySql) => {
                format!("CAST(TIMESTAMPDIFF(MICROSECOND, {first}, {at}) AS DECIMAL(38, 12)) / 3600000000")
            }
        }
    }

    /// The day, or the hour, of an instant in the source's time zone.
    pub(super) fn part_of_time(&self, at: &str, is_day: bool) -> Result<String, String> {
        let seconds = if is_day { 86_400 } else { 3600 };
        match &self.contract.timezone {
            None => Ok(self.part_of_utc(at, is_day, seconds)),
            Some(name) => {
                let zone = TimeZoneDatabase::bundled()
                    .get(name)
                    .map_err(|_| format!("the time zone `{name}` is not known here"))?;
                let since = self.seconds_since_1970(at);
                let local = format!("({since} + {})", offset(&zone, &since, self.until));
                Ok(match self.dialect {
                    Dialect::Postgres => format!("floor({local} / {seconds})"),
                    dialect => dialect.whole(&local, seconds),
                })
            }
        }
    }

    fn part_of_utc(&self, at: &str, is_day: bool, seconds: i64) -> String {
        match (self.format, self.dialect) {
            (TimeFormat::UnixSeconds, dialect) => dialect.whole(at, seconds),
            (TimeFormat::UnixMillis, dialect) => dialect.whole(at, seconds * 1000),
            (_, dialect @ (Dialect::ClickHouse | Dialect::BigQuery | Dialect::Snowflake)) => {
                dialect.whole(&self.seconds_since_1970(at), seconds)
            }
            (TimeFormat::Native | TimeFormat::Datetime | TimeFormat::Iso8601, Dialect::Sqlite) => {
                format!("substr({at}, 1, {})", if is_day { 10 } else { 13 })
            }
            (TimeFormat::Native | TimeFormat::Datetime | TimeFormat::Iso8601, Dialect::Postgres) => {
                format!("date_trunc('{}', CAST({at} AS timestamptz))", if is_day { "day" } else { "hour" })
            }
            (TimeFormat::Native | TimeFormat::Datetime | TimeFormat::Iso8601, Dialect::MySql) => {
                format!("DATE_FORMAT({at}, '{}')", if is_day { "%Y-%m-%d" } else { "%Y-%m-%d %H" })
            }
        }
    }

    fn seconds_since_1970(&self, at: &str) -> String {
        seconds_since_1970((self.dialect, self.format), at)
    }

    /// An instant this many seconds after a unit's first exposure, as its column writes instants.
    pub(super) fn after_exposure(&self, seconds: i64) -> Result<String, String> {
        let first = "or_u.or_first";
        // What follows the seconds of a text, such as a fraction or a `Z`, stays as it is written.
        let text =
            |format: &str| format!("strftime('{format}', {first}, '{seconds:+} seconds') || substr({first}, 20)");
        Ok(match (self.format, self.dialect) {
            _ if seconds == 0 => first.to_owned(),
            (TimeFormat::UnixSeconds, _) => format!("{first} + ({seconds})"),
            (TimeFormat::UnixMillis, _) => format!("{first} + ({})", i128::from(seconds) * 1000),
            (TimeFormat::Native | TimeFormat::Datetime, Dialect::Postgres) => {
                format!("{first} + interval '{seconds} seconds'")
            }
            (TimeFormat::Native | TimeFormat::Datetime, Dialect::MySql) => {
                format!("{first} + INTERVAL {seconds} SECOND")
            }
            (TimeFormat::Native | TimeFormat::Datetime, Dialect::Sqlite) => text("%Y-%m-%d %H:%M:%S"),
            (TimeFormat::Native | TimeFormat::Datetime, Dialect::ClickHouse) => {
                format!("addSeconds({first}, {seconds})")
            }
            (TimeFormat::Native | TimeFormat::Datetime, Dialect::BigQuery) => {
                format!("{first} + INTERVAL {seconds} SECOND")
            }
            (TimeFormat::Native | TimeFormat::Datetime, Dialect::Snowflake) => {
                format!("DATEADD(second, {seconds}, {first})")
            }
            (TimeFormat::Iso8601, Dialect::Sqlite) => text("%Y-%m-%dT%H:%M:%S"),
            (TimeFormat::Iso8601, _) => {
                return Err(
                    "`metrics` need instants in columns of a time type, and `time_format` says that they are text"
                        .to_owned(),
                );
            }
        })
    }
}

/// Whole seconds from 1970 to an instant.
pub(super) fn seconds_since_1970((dialect, format): (Dialect, TimeFormat), at: &str) -> String {
    match (format, dialect) {
        (TimeFormat::UnixSeconds, _) => at.to_owned(),
        (TimeFormat::UnixMillis, dialect) => dialect.whole(at, 1000),
        (_, dialect @ (Dialect::ClickHouse | Dialect::BigQuery)) => dialect.whole(&dialect.micros(at), 1_000_000),
        (_, Dialect::Snowflake) => format!("DATE_PART(epoch_second, {at})"),
        (TimeFormat::Native | TimeFormat::Datetime | TimeFormat::Iso8601, Dialect::Sqlite) => {
            format!("CAST(strftime('%s', {at}) AS INTEGER)")
        }
        (TimeFormat::Native | TimeFormat::Datetime | TimeFormat::Iso8601, Dialect::Postgres) => {
            format!("floor(extract(epoch FROM CAST({at} AS timestamptz)))")
        }
        (TimeFormat::Native | TimeFormat::Datetime | TimeFormat::Iso8601, Dialect::MySql) => {
            format!("TIMESTAMPDIFF(SECOND, '1970-01-01', {at})")
        }
    }
}

impl Dialect {
    /// How often a divisor fits into a whole number. No source has instants before 1970.
    fn whole(self, number: &str, divisor: i64) -> String {
        match self {
            Self::Postgres | Self::Sqlite => format!("{number} / {divisor}"),
            Self::MySql => format!("{number} DIV {divisor}"),
            Self::ClickHouse => format!("intDiv({number}, {divisor})"),
            Self::BigQuery => format!("DIV({number}, {divisor})"),
            Self::Snowflake => format!("FLOOR({number} / {divisor})"),
        }
    }

    /// Microseconds from 1970 to an instant of whatever type, a time without a zone as UTC; for the two databases that count so.
    fn micros(self, at: &str) -> String {
        match self {
            Self::ClickHouse => format!("toUnixTimestamp64Micro(toDateTime64({at}, 6, 'UTC'))"),
            _ => format!("UNIX_MICROS(CAST({at} AS TIMESTAMP))"),
        }
    }
}

/// What a time zone adds to UTC, in seconds, at an instant that is given in seconds since 1970. No engine's own time zones are used: MySQL
/// often has none, SQLite never, and each its own edition of them.
fn offset(zone: &TimeZone, since: &str, until: Timestamp) -> String {
    let at = |at: Timestamp| zone.to_offset(at).seconds();
    let from = until.checked_sub(SignedDuration::from_hours(YEARS * 366 * 24)).unwrap_or(Timestamp::UNIX_EPOCH);
    let changes: Vec<_> = zone.following(from).take_while(|change| change.timestamp() <= until).collect();
    let mut before = at(from);
    let mut cases = String::new();
    for change in &changes {
        let seconds = change.timestamp().as_second();
        cases.push_str(&format!(" WHEN {since} < {seconds} THEN {before}"));
        before = change.offset().seconds();
    }
    if cases.is_empty() { format!("({before})") } else { format!("CASE{cases} ELSE {before} END") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offsets_of_a_time_zone_are_written_with_their_changes() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let written = offset(&berlin, "s", "2026-11-29T00:00:00Z".parse().unwrap());
        assert!(written.starts_with("CASE WHEN s < ") && written.ends_with(" ELSE 3600 END"), "{written}");
        // The clocks went back on 25 October 2026 at 01:00 UTC.
        assert!(written.contains(" WHEN s < 1792890000 THEN 7200"), "{written}");
        let kolkata = TimeZone::get("Asia/Kolkata").unwrap();
        assert_eq!(offset(&kolkata, "s", Timestamp::UNIX_EPOCH), "(19800)");
    }
}
