//! References of the outcome file, and what they stand for in this process.

use crate::config::{self, ProcessEnv};
use crate::error::{Error, Result};
use crate::usecases::Runtime;

/// Turns references of the outcome file into values.
pub(in crate::usecases) fn resolver(
    runtime: &Runtime,
) -> impl Fn(&str) -> Result<secrecy::SecretString> + Send + Sync + use<> {
    let env = ProcessEnv::new(runtime.settings.root.value.clone());
    move |text: &str| config::secrets::resolve(text, &env).map_err(Error::from)
}
