//! What Statsig tells of a gate's changes and of the key: found out by reading.

use jiff::Timestamp;
use outcome_core::ports::{FlagAct, FlagError, Right};
use serde::Deserialize;

use super::Statsig;
use super::wire::Answer;
use crate::flags::api::Of;

/// A key that nobody has.
const NOBODY: &str = "outcome-runtime-asks";

/// An entry of the audit log.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: String,
    #[serde(default)]
    change_log: String,
    #[serde(default)]
    date: String,
    #[serde(default)]
    time: String,
    updated_by: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Reviews {
    is_config_review_required: bool,
}

impl Statsig {
    /// The newest entry about the gate, or who changed it last; `None` where neither is told.
    pub(super) async fn last_entry(&self, key: &str) -> Result<Option<String>, FlagError> {
        let mut url = self.api.address(&["console", "v1", "audit_logs"]);
        url.query_pairs_mut().append_pair("id", key).append_pair("limit", "10");
        let of = Of::read(key);
        let answer = self.api.answer(of, |client| client.get(url.clone())).await?;
        // A key that may not look there still sees the gate.
        let entries = self.api.json::<Answer<Vec<Entry>>>(of, &answer).map(|answer| answer.data).unwrap_or_default();
        if let Some(entry) = entries.iter().find(|entry| entry.name == key) {
            let who = entry.updated_by.as_deref().filter(|who| !who.is_empty()).unwrap_or("Statsig");
            let sentence = format!("{who}: {} ({} {})", entry.change_log, entry.date, entry.time);
            return Ok(Some(self.api.clean(&sentence)));
        }
        let Some(gate) = self.gate(key).await? else { return Ok(None) };
        let Some(who) = gate.last_modifier_name.filter(|who| !who.is_empty()) else { return Ok(None) };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "milliseconds of an instant are far below 2^53; an odd one saturates"
        )]
        let at = gate.last_modified_time.and_then(|at| Timestamp::from_millisecond(at as i64).ok());
        let at = at.map(|at| format!(" at {at}")).unwrap_or_default();
        Ok(Some(self.api.clean(&format!("{who} changed the gate{at}"))))
    }

    pub(super) async fn found_rights(&self) -> Result<Vec<Right>, FlagError> {
        self.see_gates(NOBODY).await?;
        let url = self.api.address(&["console", "v1", "settings", "reviews"]);
        let of = Of::read(NOBODY);
        let answer = self.api.answer(of, |client| client.get(url.clone())).await?;
        let reviews =
            self.api.json::<Answer<Reviews>>(of, &answer).ok().map(|answer| answer.data.is_config_review_required);
        let reviews = match reviews {
            Some(true) => "the project requires reviews",
            Some(false) => "the project requires no reviews of all gates; a gate or a team may",
            None => "whether the project requires reviews was not to be seen",
        };
        let unknown = |act| Right {
            act,
            is_allowed: None,
            detail: Some(
                "a console key tells its scopes only to one that may read keys, and nothing was changed to find out"
                    .to_owned(),
            ),
        };
        Ok(vec![
            Right { act: FlagAct::Read, is_allowed: Some(true), detail: None },
            unknown(FlagAct::Create),
            unknown(FlagAct::Rollout),
            unknown(FlagAct::Off),
            Right {
                act: FlagAct::SkipReviews,
                is_allowed: Some(true),
                detail: Some(format!(
                    "{reviews}. Statsig's API reviews a change only if `x-respect-review-settings` is sent, as the runtime always does; no role \
                     closes that, so keep the key with the runtime alone and look at the audit log for changes by `CONSOLE API`"
                )),
            },
        ])
    }
}
