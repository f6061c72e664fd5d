//! Whether our daemon answers at an address: a page that nobody serves helps nobody.

use std::time::Duration;

use serde::Deserialize;

use crate::http::impatient;

/// How long it has for its answer: whoever runs a command waits for it.
const PATIENCE: Duration = Duration::from_millis(400);

/// What `/livez` of the daemon says.
#[derive(Deserialize)]
struct Liveness {
    status: String,
}

/// Whether a daemon of ours serves this page.
pub async fn serves(page: &str) -> bool {
    let Some(alive) = url::Url::parse(page).ok().and_then(|page| page.join("/livez").ok()) else { return false };
    let Ok(client) = impatient(PATIENCE) else { return false };
    let Ok(answer) = client.get(alive).send().await else { return false };
    answer.json::<Liveness>().await.is_ok_and(|answer| answer.status == "alive")
}
