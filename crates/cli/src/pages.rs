//! Where a gate is decided besides here.

use outcome_integrations::daemon::serves;

/// Its page, as the end of a sentence.
pub async fn or_on_its_page(review_url: &str) -> String {
    match serves(review_url).await {
        true => format!("or open {review_url}"),
        false => "or on its page, once the daemon runs (`outcome-runtimed`)".to_owned(),
    }
}
