//! The first version of the API: the points of a query, with the seconds between them.
//! <https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-points>

use jiff::Timestamp;
use outcome_core::domain::Window;
use outcome_core::ports::ReadError;
use serde::Deserialize;

use super::super::api::{Number, Told};
use super::points::Line;
use super::{DatadogSource, Lines};

#[derive(Deserialize)]
struct Answer {
    /// Absent where the answer is of something else.
    series: Vec<Series>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Series {
    /// Seconds between points.
    interval: Number,
    /// Milliseconds, and the value.
    pointlist: Vec<(Number, Number)>,
    scope: Option<String>,
}

impl DatadogSource {
    /// The lines of a query, and when it was answered.
    pub(super) async fn points_v1(
        &self,
        of: &str,
        query: &str,
        window: Window,
    ) -> Result<(Lines, Option<Timestamp>), ReadError> {
        let mut url = self.api.address(&["api", "v1", "query"]);
        url.query_pairs_mut()
            .append_pair("from", &window.from.as_second().to_string())
            .append_pair("to", &window.to.as_second().to_string())
            .append_pair("query", query);
        let Told { value, at } = self.api.ask::<Answer>(of, |client| client.get(url.clone())).await?;
        // With `status: ok` too.
        if let Some(said) = value.error.filter(|said| !said.trim().is_empty()) {
            return Err(self.said(of, &said));
        }
        let line = |one: Series| (one.scope, Line { interval: one.interval, points: one.pointlist });
        Ok((value.series.into_iter().map(line).collect(), at))
    }
}
