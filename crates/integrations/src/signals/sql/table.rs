//! From the rows of any engine to sums: columns by name, numbers of any type, everything checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use outcome_core::digest::{canonical_json, sha256_hex};
use outcome_core::domain::{ArmSums, CountedUnits, Variant, VariantReading};
use outcome_core::ports::reading_check as check;

use super::arms::PHASE;

/// The sets of columns that hold sums; the first set that is there in full counts.
const SHAPES: [&[&str]; 4] = [
    &["n", "num_sum", "num_sum_squares", "den_sum", "den_sum_squares", "num_den_sum"],
    &["n", "sum", "sum_squares"],
    &["n", "successes"],
    &["value"],
];

/// A column that is read; all others are ignored.
pub(super) fn is_read(column: &str) -> bool {
    let beside = [
        PHASE,
        "variant",
        "is_claimed",
        "n_both",
        "n_capped",
        "cov_sum",
        "cov_sum_squares",
        "cross_sum",
        "uncapped_sum",
        "uncapped_den",
        "n_units",
    ];
    beside.iter().any(|name| column.eq_ignore_ascii_case(name))
        || SHAPES.iter().flat_map(|set| *set).any(|name| column.eq_ignore_ascii_case(name))
}

/// One value of a row, as any engine gives it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Float(f64),
    Bool(bool),
    /// Text, or a decimal number written out.
    Text(String),
    /// Of a type that holds no number and no text; its name.
    Other(String),
    /// In a column that is not read.
    Ignored,
}

impl Cell {
    fn as_json(&self) -> Value {
        match self {
            Self::Null | Self::Ignored => Value::Null,
            Self::Int(number) => Value::from(*number),
            Self::Float(number) => {
                serde_json::Number::from_f64(*number).map_or_else(|| number.to_string().into(), Value::Number)
            }
            Self::Bool(yes) => Value::from(*yes),
            Self::Text(text) | Self::Other(text) => Value::from(text.as_str()),
        }
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Null | Self::Ignored => "NULL".to_owned(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Bool(yes) => yes.to_string(),
            Self::Text(text) => format!("`{}`", text.chars().filter(|c| !c.is_control()).take(60).collect::<String>()),
            Self::Other(kind) => format!("of type {kind}"),
        }
    }

    /// For an error, which agents read and which is stored: a text that is not what the column should hold may be any of
    /// the source's, so of such a text only a short name is shown, and only as the name of an arm.
    fn shown_in_error(&self, is_arm: bool) -> String {
        match self {
            Self::Text(text) if is_arm && is_short_name(text) => self.shown(),
            Self::Text(text) if text.trim().parse::<f64>().is_ok() => self.shown(),
            Self::Text(text) => format!("a text of {} characters", text.chars().count()),
            Self::Null | Self::Int(_) | Self::Float(_) | Self::Bool(_) | Self::Other(_) | Self::Ignored => self.shown(),
        }
    }

    pub(super) fn as_number(&self) -> Result<f64, String> {
        #[expect(clippy::cast_precision_loss, reason = "sums are approximate; counts do not pass here")]
        let number = match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Null | Self::Ignored | Self::Bool(_) | Self::Other(_) => None,
        };
        number.ok_or_else(|| format!("is {}, not a number", self.shown_in_error(false)))
    }

    /// A whole number: an integer, or a float or decimal without a fraction.
    pub(super) fn as_count(&self) -> Result<i64, String> {
        let whole = match self {
            Self::Int(number) => Some(*number),
            #[expect(clippy::cast_possible_truncation, reason = "the guard keeps it within the integers that f64 has")]
            Self::Float(number) if number.fract() == 0.0 && number.abs() <= 9e15 => Some(*number as i64),
            Self::Text(text) => {
                let text = text.trim();
                let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
                whole.parse().ok().filter(|_| fraction.bytes().all(|digit| digit == b'0'))
            }
            Self::Null | Self::Ignored | Self::Float(_) | Self::Bool(_) | Self::Other(_) => None,
        };
        whole.ok_or_else(|| format!("is {}, not a whole number within the limits", self.shown_in_error(false)))
    }
}

/// A name as flag services write those of variants.
fn is_short_name(text: &str) -> bool {
    (1..=24).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_$ ".contains(&byte))
}

/// The answer to a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// Which columns are decoded.
pub(super) type Keep = fn(&str) -> bool;

/// Why a table cannot be used, and what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) problem: String,
    pub(super) hint: String,
}

impl Misfit {
    /// An answer without any reading.
    pub(super) fn of_nothing() -> Self {
        Self { problem: "it has no answer".to_owned(), hint: String::new() }
    }
}

const LEVEL_HINT: &str = "return one row with the columns n, successes (as in `SELECT count(*) AS n, count(paid_at) AS \
    successes FROM ...`), or n, sum, sum_squares, or n, num_sum, num_sum_squares, den_sum, den_sum_squares, \
    num_den_sum, or value";
const VARIANT_HINT: &str = "return one row per variant with the columns variant, n, successes (as in `SELECT variant, \
    count(*) AS n, count(paid_at) AS successes FROM ... GROUP BY variant`), or sum, sum_squares, or num_sum, \
    num_sum_squares, den_sum, den_sum_squares, num_den_sum in place of successes, or variant, value";

const UNITS_HINT: &str = "`n_units` is the number of different units of the arm, as in `count(DISTINCT e.user_id) AS n_units`, and \
    `n_both` the number of units that saw both arms";

fn misfit(problem: String, hint: &str) -> Misfit {
    Misfit { problem, hint: hint.to_owned() }
}

impl Table {
    /// The columns that are read, as canonical JSON, and its SHA-256.
    pub(super) fn raw(&self) -> (String, Arc<str>) {
        let rows: Vec<BTreeMap<String, Value>> = self
            .rows
            .iter()
            .map(|row| {
                let named = self.columns.iter().zip(row).filter(|(column, _)| is_read(column));
                named.map(|(column, cell)| (column.to_ascii_lowercase(), cell.as_json())).collect()
            })
            .collect();
        let text = canonical_json(&rows).unwrap_or_default();
        (sha256_hex(&text), Arc::from(text))
    }

    /// For people: a row a line; of an answer with several columns those with a value, with their names.
    pub(super) fn lines(&self) -> Vec<String> {
        self.rows
            .iter()
            .map(|row| match row.as_slice() {
                // SQLite: id, parent, notused, detail. PostgreSQL: one column.
                [.., Cell::Text(line)] if row.len() == 1 || self.index("notused").is_some() => line.clone(),
                _ => {
                    let named = self.columns.iter().zip(row).filter(|(_, cell)| **cell != Cell::Null);
                    named.map(|(column, cell)| format!("{column}={}", cell.shown())).collect::<Vec<_>>().join(" ")
                }
            })
            .collect()
    }

    /// The one row of a level.
    pub(super) fn level(&self) -> Result<ArmSums, Misfit> {
        let shape = self.shape(false)?;
        let row = match self.rows.as_slice() {
            [row] => row,
            [] => return Err(misfit("it has no rows".to_owned(), LEVEL_HINT)),
            rows => {
                let problem = format!("it has {} rows where one is expected", rows.len());
                return Err(misfit(problem, "remove the GROUP BY: a level is one row over the whole population"));
            }
        };
        let sums =
            self.sums(shape, row).map_err(|problem| misfit(format!("row 1: {problem}"), &null_hint(&problem)))?;
        check::sums(&sums).map_err(|problem| misfit(format!("row 1: {problem}"), ""))?;
        Ok(sums)
    }

    /// One row a variant, control first.
    pub(super) fn by_variant(&self) -> Result<Vec<VariantReading>, Misfit> {
        let shape = self.shape(true)?;
        let mut readings = Vec::new();
        for (number, row) in (1..).zip(&self.rows) {
            let variant = self.variant(row).map_err(|problem| {
                let names: Vec<_> = check::VARIANT_NAMES.iter().map(|(name, _)| *name).collect();
                let problem = format!("row {number}: {problem}; known are {}", names.join(", "));
                misfit(problem, "name the arms in the query, as in `CASE WHEN ... THEN 'treatment' ELSE 'control' END`")
            })?;
            let sums = self
                .sums(shape, row)
                .map_err(|problem| misfit(format!("row {number} (`{variant}`): {problem}"), &null_hint(&problem)))?;
            let units = self
                .units(row)
                .map_err(|problem| misfit(format!("row {number} (`{variant}`): {problem}"), UNITS_HINT))?;
            readings.push(VariantReading { units, ..VariantReading::new(variant, sums) });
        }
        check::by_variant(&readings).map_err(|problem| misfit(problem, ""))?;
        readings.sort_by_key(|reading| reading.variant);
        Ok(readings)
    }

    /// What the query says about the units of an arm; `None` where it has neither column.
    fn units(&self, row: &[Cell]) -> Result<Option<CountedUnits>, String> {
        let count = |name: &str| {
            let Some(_) = self.index(name) else { return Ok(None) };
            let n = self.cell(name, row).as_count().map_err(|problem| format!("`{name}` {problem}"))?;
            check::count(name, n).map(|()| Some(n))
        };
        let units = CountedUnits { n_units: count("n_units")?, n_both: count("n_both")?, same_as: None };
        Ok(Some(units).filter(|units| *units != CountedUnits::default()))
    }

    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.eq_ignore_ascii_case(name))
    }

    pub(super) fn cell<'r>(&self, name: &str, row: &'r [Cell]) -> &'r Cell {
        self.index(name).and_then(|i| row.get(i)).unwrap_or(&Cell::Null)
    }

    pub(super) fn shape(&self, by_variant: bool) -> Result<&'static [&'static str], Misfit> {
        let hint = if by_variant { VARIANT_HINT } else { LEVEL_HINT };
        for (i, column) in self.columns.iter().enumerate() {
            if is_read(column) && self.index(column) != Some(i) {
                return Err(misfit(format!("the column `{column}` occurs twice"), hint));
            }
        }
        if by_variant && self.index("variant").is_none() {
            return Err(misfit(format!("there is no column `variant` among {}", self.found()), hint));
        }
        let mut there = SHAPES.iter().filter(|set| set.iter().all(|name| self.index(name).is_some()));
        match (there.next(), there.find(|set| **set != ["value"])) {
            (Some(shape), None) => Ok(shape),
            (Some(one), Some(other)) => {
                let problem =
                    format!("its columns match two kinds of sums, {} and {}", one.join(", "), other.join(", "));
                Err(misfit(problem, "return the columns of one kind"))
            }
            (None, _) => Err(misfit(format!("its columns {} are not those of a reading", self.found()), hint)),
        }
    }

    fn found(&self) -> String {
        let found: Vec<_> = self
            .columns
            .iter()
            .take(20)
            .map(|column| format!("`{}`", column.chars().filter(|c| !c.is_control()).take(60).collect::<String>()))
            .collect();
        if found.is_empty() { "(none)".to_owned() } else { found.join(", ") }
    }

    fn variant(&self, row: &[Cell]) -> Result<Variant, String> {
        let cell = self.index("variant").and_then(|i| row.get(i)).unwrap_or(&Cell::Null);
        let variant = match cell {
            Cell::Text(text) => check::variant(text),
            Cell::Int(number) => check::variant(&number.to_string()),
            Cell::Bool(yes) => check::variant(&yes.to_string()),
            Cell::Null | Cell::Ignored | Cell::Float(_) | Cell::Other(_) => None,
        };
        variant.ok_or_else(|| format!("the variant is {}, which is unknown", cell.shown_in_error(true)))
    }

    pub(super) fn sums(&self, shape: &[&str], row: &[Cell]) -> Result<ArmSums, String> {
        let cell = |name: &str| self.cell(name, row);
        let count = |name: &str| cell(name).as_count().map_err(|problem| format!("`{name}` {problem}"));
        if shape == ["value"] {
            let value = cell("value").as_number().map_err(|problem| format!("`value` {problem}"))?;
            return Ok(ArmSums::Value { value });
        }
        let n = count("n")?;
        // SQL's sum over no rows is NULL, not 0.
        let is_nothing = |name: &str| n == 0 && *cell(name) == Cell::Null;
        let sum = |name: &str| {
            if is_nothing(name) {
                Ok(0.0)
            } else {
                cell(name).as_number().map_err(|problem| format!("`{name}` {problem}"))
            }
        };
        Ok(if shape.contains(&"successes") {
            ArmSums::Proportion { n, successes: if is_nothing("successes") { 0 } else { count("successes")? } }
        } else if shape.contains(&"sum") {
            ArmSums::Mean { n, sum: sum("sum")?, sum_squares: sum("sum_squares")? }
        } else {
            ArmSums::Ratio {
                n,
                num: sum("num_sum")?,
                num_squares: sum("num_sum_squares")?,
                den: sum("den_sum")?,
                den_squares: sum("den_sum_squares")?,
                num_den: sum("num_den_sum")?,
            }
        })
    }
}

fn null_hint(problem: &str) -> String {
    let hint =
        "NULL means that the window contains no such values: wrap the sum in COALESCE(..., 0) if nothing counts as 0";
    if problem.contains("NULL") { hint.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str], rows: Vec<Vec<Cell>>) -> Table {
        Table { columns: columns.iter().map(|&c| c.to_owned()).collect(), rows }
    }
    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn reads_numbers_of_any_type_from_columns_in_any_order_and_case() {
        let got = table(
            &["Extra", "SUCCESSES", "Variant", "N"],
            vec![
                vec![Cell::Ignored, text("12.000"), text("ON"), Cell::Float(100.0)],
                vec![Cell::Ignored, Cell::Int(9), Cell::Bool(false), text(" 101 ")],
            ],
        );
        assert_eq!(
            got.by_variant(),
            Ok(vec![
                VariantReading::new(Variant::Control, ArmSums::Proportion { n: 101, successes: 9 }),
                VariantReading::new(Variant::Treatment, ArmSums::Proportion { n: 100, successes: 12 }),
            ])
        );
        let level = |columns: &[&str], row: Vec<Cell>| table(columns, vec![row]).level();
        assert_eq!(
            level(&["n", "sum", "sum_squares"], vec![Cell::Int(2), text("3.5"), Cell::Float(7.25)]),
            Ok(ArmSums::Mean { n: 2, sum: 3.5, sum_squares: 7.25 })
        );
        assert_eq!(
            level(
                &["num_den_sum", "den_sum_squares", "den_sum", "num_sum_squares", "num_sum", "n"],
                [7, 10, 4, 5, 3, 2].map(Cell::Int).to_vec()
            ),
            Ok(ArmSums::Ratio { n: 2, num: 3.0, num_squares: 5.0, den: 4.0, den_squares: 10.0, num_den: 7.0 })
        );
        assert_eq!(level(&["value"], vec![text("1e-3")]), Ok(ArmSums::Value { value: 0.001 }));
        assert_eq!(
            level(&["n", "sum", "sum_squares"], vec![Cell::Int(0), Cell::Null, Cell::Null]),
            Ok(ArmSums::Mean { n: 0, sum: 0.0, sum_squares: 0.0 })
        );
        assert_eq!(
            level(&["n", "successes", "value"], vec![Cell::Int(4), Cell::Int(1), Cell::Float(0.25)]),
            Ok(ArmSums::Proportion { n: 4, successes: 1 }),
            "a value beside counts is for people"
        );
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let row = |cells: Vec<Cell>| vec![cells];
        for (table, expected) in [
            (table(&["a", "b"], vec![]), "its columns `a`, `b` are not those of a reading"),
            (table(&["value", "VALUE"], vec![]), "the column `VALUE` occurs twice"),
            (table(&["value"], vec![]), "it has no rows"),
            (table(&["value"], vec![vec![Cell::Int(1)], vec![Cell::Int(1)]]), "it has 2 rows where one is expected"),
            (table(&["n", "sum", "sum_squares", "successes"], vec![]), "its columns match two kinds"),
            (table(&["value"], row(vec![Cell::Null])), "row 1: `value` is NULL, not a number"),
            (table(&["value"], row(vec![Cell::Float(f64::NAN)])), "row 1: `value` is NaN, not a finite number"),
            (table(&["value"], row(vec![text("many")])), "row 1: `value` is a text of 4 characters, not a number"),
            (
                table(&["value"], row(vec![Cell::Other("BYTEA".to_owned())])),
                "row 1: `value` is of type BYTEA, not a number",
            ),
            (table(&["n", "successes"], row(vec![Cell::Int(-1), Cell::Int(0)])), "row 1: `n` is -1"),
            (
                table(&["n", "successes"], row(vec![Cell::Int(1), Cell::Float(0.5)])),
                "row 1: `successes` is 0.5, not a whole",
            ),
            (table(&["n", "successes"], row(vec![text("9223372036854775808"), Cell::Int(0)])), "row 1: `n` is"),
            (table(&["n", "successes"], row(vec![text("1.5"), Cell::Int(0)])), "row 1: `n` is"),
            (
                table(&["n", "sum", "sum_squares"], row(vec![Cell::Int(1), Cell::Null, Cell::Int(1)])),
                "row 1: `sum` is NULL",
            ),
        ] {
            let problem = table.level().expect_err(expected).problem;
            assert!(problem.starts_with(expected), "{problem}");
        }
        let of = |rows| table(&["variant", "n", "successes"], rows).by_variant().expect_err("unusable").problem;
        let arm = |name: Cell| vec![name, Cell::Int(1), Cell::Int(1)];
        let known = "which is unknown; known are control, treatment, off, on, false, true, 0, 1";
        assert_eq!(of(vec![arm(text("control")), arm(text("$b"))]), format!("row 2: the variant is `$b`, {known}"));
        for row in ["ceo@corp.example", "b\u{7}", "a name of more than twenty-four characters"] {
            let shown = of(vec![arm(text(row))]);
            assert!(shown.starts_with("row 1: the variant is a text of ") && !shown.contains(row), "{shown}");
        }
        assert_eq!(of(vec![arm(Cell::Null)]), format!("row 1: the variant is NULL, {known}"));
        assert!(of(vec![arm(text("on")), arm(text("treatment"))]).starts_with("row 2: a second row for `treatment`"));
        let problem = table(&["n", "successes"], vec![]).by_variant().unwrap_err().problem;
        assert_eq!(problem, "there is no column `variant` among `n`, `successes`");
    }

    #[test]
    fn the_hash_knows_columns_by_name_and_ignores_the_others() {
        let one = table(&["n", "successes", "x"], vec![vec![Cell::Int(1), Cell::Int(0), Cell::Ignored]]);
        let other = table(&["SUCCESSES", "n"], vec![vec![Cell::Int(0), Cell::Int(1)]]);
        assert_eq!(one.raw(), other.raw());
        assert_ne!(one.raw(), table(&["n", "successes"], vec![vec![Cell::Int(1), Cell::Int(1)]]).raw());
    }
}
