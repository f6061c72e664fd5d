//! References of the outcome file, and what they stand for in this process.

use serde_json::Value as Json;

use super::stored_secrets::stored_secrets;
use crate::config::{self, ProcessEnv};
use crate::error::{Error, Result};
use crate::usecases::Runtime;

/// Turns references of the outcome file into values. What is stored is looked up now, as far as `settings` refer to it: whoever
/// keeps what this returns keeps what was stored then.
///
/// # Errors
/// When the database fails.
pub(in crate::usecases) async fn resolver(
    runtime: &Runtime,
    settings: &Json,
) -> Result<impl Fn(&str) -> Result<secrecy::SecretString> + Send + Sync + use<>> {
    let stored = stored_secrets(runtime, &settings.to_string()).await?;
    let env = ProcessEnv::new(runtime.settings.root.value.clone()).with_stored(stored);
    Ok(move |text: &str| config::secrets::resolve(text, &env).map_err(Error::from))
}
