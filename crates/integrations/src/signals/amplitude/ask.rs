//! The two questions, users of an event and users through a funnel, and what is read of their answers.

use outcome_core::ports::ReadError;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::AmplitudeSource;
use super::event::{Event, Found};
use crate::signals::api::{Count, Days};

#[derive(Deserialize)]
struct Funnels {
    data: Vec<Funnel>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Funnel {
    /// Users who reached each step, the first one first.
    cumulative_raw: Vec<Count>,
}

#[derive(Deserialize)]
struct Segmentation {
    data: SegmentationData,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SegmentationData {
    /// Of each group, by day.
    series: Vec<Vec<Count>>,
    /// Of each group, over all days: users are counted once.
    series_collapsed: Vec<Vec<Collapsed>>,
}

#[derive(Deserialize)]
struct Collapsed {
    value: Count,
}

#[derive(Deserialize)]
struct Names {
    data: Vec<Name>,
}

#[derive(Deserialize)]
struct Name {
    value: String,
    #[serde(default)]
    deleted: bool,
}

impl AmplitudeSource {
    fn asked(&self, path: &[&str], events: &[Event], days: &Days, segment: Option<&String>) -> Url {
        let mut url = self.api.address(path);
        {
            let mut query = url.query_pairs_mut();
            for event in events {
                query.append_pair("e", &json!(event).to_string());
            }
            query.append_pair("start", &days.first.strftime("%Y%m%d").to_string());
            query.append_pair("end", &days.last.strftime("%Y%m%d").to_string());
            if let Some(segment) = segment {
                query.append_pair("s", segment);
            }
        }
        url
    }

    /// Users who began and who ended a funnel, in this order.
    pub(super) async fn funnel(
        &self,
        of: &str,
        steps: &[Event],
        days: &Days,
        segment: &Option<String>,
    ) -> Result<Found, ReadError> {
        let mut url = self.asked(&["api", "2", "funnels"], steps, days, segment.as_ref());
        url.query_pairs_mut()
            .append_pair("mode", "ordered")
            .append_pair("n", "active")
            .append_pair("cs", &self.conversion_window.as_secs().to_string());
        let mut found = self.api.ask::<Funnels>(of, |client| client.get(url.clone())).await?.value.data;
        let (Some(Funnel { cumulative_raw: raw }), 0) = (found.pop(), found.len()) else {
            return Err(self.api.shape(of, "`data` has not exactly one funnel"));
        };
        if raw.len() != steps.len() {
            let problem =
                format!("`data[0].cumulativeRaw` has {} steps, and {} were asked for", raw.len(), steps.len());
            return Err(self.api.shape(of, problem));
        }
        let count = |count: Option<&Count>| {
            count
                .and_then(|count| count.0)
                .ok_or_else(|| self.api.shape(of, "`data[0].cumulativeRaw` has something that is no number"))
        };
        Ok(Found { begun: count(raw.first())?, done: count(raw.last())?, raw })
    }

    /// Different users of an event over all days.
    pub(super) async fn users(
        &self,
        of: &str,
        event: &Event,
        days: &Days,
        segment: &Option<String>,
    ) -> Result<i64, ReadError> {
        let events = std::slice::from_ref(event);
        let mut url = self.asked(&["api", "2", "events", "segmentation"], events, days, segment.as_ref());
        url.query_pairs_mut().append_pair("m", "uniques").append_pair("i", "1");
        let found = self.api.ask::<Segmentation>(of, |client| client.get(url.clone())).await?.value.data;
        if found.series.is_empty() {
            return Err(self.api.shape(of, "`data.series` is empty: the event's name may be wrong, and it is not 0"));
        }
        let [group] = found.series_collapsed.as_slice() else {
            let problem =
                format!("`data.seriesCollapsed` has {} groups where one is expected", found.series_collapsed.len());
            return Err(self.api.shape(of, problem));
        };
        let value = group.first().and_then(|collapsed| collapsed.value.0);
        value.ok_or_else(|| self.api.shape(of, "`data.seriesCollapsed[0]` has no number"))
    }

    /// Names of events.
    pub(super) async fn names(&self, of: &str) -> Result<Vec<String>, ReadError> {
        let url = self.api.address(&["api", "2", "events", "list"]);
        let found = self.api.ask::<Names>(of, |client| client.get(url.clone())).await?.value.data;
        Ok(found.into_iter().filter(|name| !name.deleted).map(|name| name.value).collect())
    }
}
