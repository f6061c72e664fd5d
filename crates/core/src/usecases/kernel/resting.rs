//! The sources that fail again and again and are left alone for a while, in words.

use jiff::{SignedDuration, Timestamp};

use crate::error::Result;
use crate::present::instant;
use crate::store::{SourceState, Tx};

/// How long after it should have been asked again a source is still shown: where nobody asks it, nobody knows.
const SHOWN: SignedDuration = SignedDuration::from_mins(15);

/// The sources that are left alone, as sentences.
pub(in crate::usecases) async fn resting(tx: &mut Tx, now: Timestamp) -> Result<Vec<String>> {
    let known = tx.source_state_list().await?;
    let since = now.checked_sub(SHOWN).unwrap_or(now);
    Ok(known.iter().filter(|state| state.rests_until.0 >= since).map(sentence).collect())
}

fn sentence(state: &SourceState) -> String {
    format!(
        "`{source}` did not answer {} since {}, and is asked again at {}: {}. `outcome-runtime connectors test {source}` tries it now",
        if state.failures == 1 { "once".to_owned() } else { format!("{} times in a row", state.failures) },
        instant(state.failing_since.0),
        instant(state.rests_until.0),
        state.last_error.trim_end_matches('.'),
        source = state.source,
    )
}
