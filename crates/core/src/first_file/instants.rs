//! How a column writes instants, for engines that have no type for them.

use crate::ports::{ColumnInfo, ColumnKind, SqlEngine, TableInfo};

use super::samples::Samples;
use super::words::{NOT_EVENTS, TIMES, parts, snake};

/// How instants are written, as `time_format` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeFormat {
    /// In the engine's own way.
    Native,
    /// `2026-11-20T10:00:00Z`.
    Iso8601,
    /// Seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMillis,
}

impl TimeFormat {
    /// As the outcome file has it; `None` for the default.
    pub(super) fn in_file(self) -> Option<&'static str> {
        match self {
            Self::Native => None,
            Self::Iso8601 => Some("iso8601"),
            Self::UnixSeconds => Some("unix_seconds"),
            Self::UnixMillis => Some("unix_millis"),
        }
    }
}

/// Whether a column may hold instants, as it was declared.
pub(super) fn may_be_instant(column: &ColumnInfo, engine: SqlEngine) -> bool {
    match column.kind {
        ColumnKind::Instant => true,
        ColumnKind::Text | ColumnKind::Whole | ColumnKind::Other => engine == SqlEngine::Sqlite,
        ColumnKind::Day | ColumnKind::Number | ColumnKind::Uuid | ColumnKind::Boolean => false,
    }
}

/// The column that says when the row's event happened.
pub(super) fn column_of_event(table: &TableInfo, engine: SqlEngine) -> Option<&ColumnInfo> {
    let by_name = |wanted: &&str| {
        table.columns.iter().find(|column| may_be_instant(column, engine) && snake(&column.name) == **wanted)
    };
    TIMES.iter().find_map(by_name).or_else(|| {
        // Another name, where the type leaves no doubt.
        let is_one = |column: &&ColumnInfo| {
            column.kind == ColumnKind::Instant
                && !parts(&column.name).iter().any(|part| NOT_EVENTS.contains(&part.as_str()))
        };
        table.columns.iter().find(is_one)
    })
}

/// How the column writes instants; `None` where it does so in several ways, or in one that no source reads. Native where nothing was seen.
pub(super) fn format_of(
    (table, column): (&TableInfo, &ColumnInfo),
    samples: &Samples,
    engine: SqlEngine,
) -> Option<TimeFormat> {
    if engine != SqlEngine::Sqlite {
        return Some(TimeFormat::Native);
    }
    let mut found = None;
    for value in samples.values(table, column) {
        let format = format_of_text(&value.text)?;
        if found.is_some_and(|found| found != format) {
            return None;
        }
        found = Some(format);
    }
    Some(found.unwrap_or(TimeFormat::Native))
}

fn format_of_text(text: &str) -> Option<TimeFormat> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.len() {
            9..=10 => Some(TimeFormat::UnixSeconds),
            12..=13 => Some(TimeFormat::UnixMillis),
            _ => None,
        };
    }
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let is_date = date.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let has_offset = rest.get(1..).is_some_and(|rest| rest.contains(['+', '-']));
    let has_seconds = rest.len() >= 9;
    match rest.chars().next() {
        Some(' ') if is_date && has_seconds && !has_offset && !rest.ends_with('Z') => Some(TimeFormat::Native),
        Some('T') if is_date && has_seconds && !has_offset => Some(TimeFormat::Iso8601),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_they_are_written() {
        for (text, format) in [
            ("2026-11-20 10:00:00", Some(TimeFormat::Native)),
            ("2026-11-20 10:00:00.123456", Some(TimeFormat::Native)),
            ("2026-11-20T10:00:00Z", Some(TimeFormat::Iso8601)),
            ("2026-11-20T10:00:00.5", Some(TimeFormat::Iso8601)),
            ("1763632800", Some(TimeFormat::UnixSeconds)),
            ("1763632800000", Some(TimeFormat::UnixMillis)),
            ("2026-11-20 10:00:00+00:00", None),
            ("2026-11-20", None),
            ("20 Nov", None),
            ("17", None),
        ] {
            assert_eq!(format_of_text(text), format, "{text}");
        }
    }
}
