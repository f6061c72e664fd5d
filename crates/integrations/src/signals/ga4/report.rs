//! A report: what is asked, and what its answer says.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::api::Number;

/// Most doubts of an answer that are kept.
const MAX_WARNINGS: usize = 5;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Question<'q> {
    pub(super) date_ranges: [DateRange; 1],
    pub(super) metrics: [Name<'q>; 1],
    pub(super) metric_aggregations: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dimension_filter: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DateRange {
    pub(super) start_date: Date,
    pub(super) end_date: Date,
}

#[derive(Serialize)]
pub(super) struct Name<'q> {
    pub(super) name: &'q str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// Absent where there is nothing.
    #[serde(default)]
    pub(super) rows: Vec<Row>,
    #[serde(default)]
    pub(super) totals: Vec<Row>,
    pub(super) row_count: Option<Number>,
    #[serde(default)]
    pub(super) metadata: Metadata,
    /// Absent where the answer is of something else.
    pub(super) metric_headers: Vec<Header>,
    pub(super) property_quota: Option<Quota>,
}

#[derive(Deserialize)]
pub(super) struct Header {}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    #[serde(default)]
    pub(super) dimension_values: Vec<Text>,
    pub(super) metric_values: Vec<Cell>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Text {
    #[serde(default)]
    pub(super) value: String,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Cell {
    pub(super) value: Number,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) time_zone: Option<String>,
    #[serde(default)]
    pub(super) data_loss_from_other_row: bool,
    #[serde(default)]
    pub(super) subject_to_thresholding: bool,
    #[serde(default)]
    pub(super) sampling_metadatas: Vec<Value>,
    #[serde(default)]
    pub(super) data_truncation_reasons: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Quota {
    pub(super) tokens_per_day: Option<Left>,
}

#[derive(Deserialize)]
pub(super) struct Left {
    pub(super) remaining: Option<Number>,
}

#[derive(Deserialize)]
pub(super) struct Listed {
    #[serde(default)]
    pub(super) metrics: Vec<ListedMetric>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedMetric {
    pub(super) api_name: String,
    #[serde(default)]
    pub(super) ui_name: String,
}

impl Report {
    /// The total where there is one, else the only row. Users of several rows cannot be added up.
    ///
    /// # Errors
    /// Why there is no such row.
    pub(super) fn row(&self) -> Result<&Row, String> {
        if self.metric_headers.len() != 1 {
            return Err(format!("`metricHeaders` has {} metrics where one is expected", self.metric_headers.len()));
        }
        let n_rows = i64::try_from(self.rows.len()).unwrap_or(i64::MAX);
        let n_rows = self.row_count.and_then(Number::whole).unwrap_or(0).max(n_rows);
        match (self.totals.as_slice(), self.rows.as_slice()) {
            ([total], [_, ..]) => Ok(total),
            ([], [row]) if n_rows == 1 => Ok(row),
            (_, []) => Err("`rows` is missing: nothing was counted, or the name is wrong, and it is not 0".to_owned()),
            _ => Err(format!("`rows` has {n_rows} rows without one total, and users of several cannot be added up")),
        }
    }
}

impl Metadata {
    /// Why the number is not quite what it says.
    pub(super) fn doubts(&self, rows: &[Row]) -> Vec<String> {
        let has_other = rows.iter().flat_map(|row| &row.dimension_values).any(|text| text.value == "(other)");
        let found = [
            (self.data_loss_from_other_row || has_other, "rare values were put together into a row `(other)`"),
            (self.subject_to_thresholding, "small groups are held back to protect people (thresholding)"),
            (!self.sampling_metadatas.is_empty(), "the report was made from a sample"),
            (!self.data_truncation_reasons.is_empty(), "the report was cut"),
        ];
        found.into_iter().filter(|(is_so, _)| *is_so).map(|(_, text)| text.to_owned()).take(MAX_WARNINGS).collect()
    }
}
