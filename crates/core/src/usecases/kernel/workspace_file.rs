//! What the workspace's own file and repository say: configuration, connectors, flag service, secrets, git.

use std::sync::Arc;

use crate::config::vendor::Asked;
use crate::config::{self, Config, ProcessEnv};
use crate::domain::SignalSpec;
use crate::error::{Code, Error, Result};
use crate::ports::{FlagService, Opening, SignalSource};
use crate::scope::GitRepo;
use crate::usecases::Runtime;

/// The outcome file as it is now. Whoever needs several things of it asks once and hands the answer on.
pub(in crate::usecases) async fn config(runtime: &Runtime) -> Result<Arc<Config>> {
    let cached = runtime.configs.load(&runtime.settings.file.value, runtime.settings.vendors).await?;
    cached.map_err(|first| {
        Error::new(Code::ConfigInvalid, first).hint("run `outcome-runtime validate` for all problems of the file")
    })
}

/// The connector `name`, opened once.
pub(in crate::usecases) fn source(runtime: &Runtime, config: &Config, name: &str) -> Result<Arc<dyn SignalSource>> {
    let spec = config.connector(name).ok_or_else(|| {
        let known: Vec<_> = config.connectors.iter().map(|spec| spec.name.as_str()).collect();
        Error::new(Code::ConnectorUnknown, format!("there is no connector named `{name}`")).hint(format!(
            "{} declares: {}",
            runtime.settings.file.value.display(),
            known.join(", ")
        ))
    })?;
    runtime.sources.get(spec, &runtime.settings.root.value, &resolver(runtime)).map_err(Error::from)
}

/// The flag service of the outcome file; `None` when it names none.
pub(in crate::usecases) fn flag_service(runtime: &Runtime, config: &Config) -> Result<Option<Box<dyn FlagService>>> {
    let Some(spec) = &config.flags else { return Ok(None) };
    let opening = Opening { root: &runtime.settings.root.value, resolve: &resolver(runtime) };
    spec.settings.open(&opening).map(Some).map_err(Error::from)
}

/// Turns references of the outcome file into values.
pub(in crate::usecases) fn resolver(
    runtime: &Runtime,
) -> impl Fn(&str) -> Result<secrecy::SecretString> + Send + Sync + use<> {
    let env = ProcessEnv::new(runtime.settings.root.value.clone());
    move |text: &str| config::secrets::resolve(text, &env).map_err(Error::from)
}

/// The git repository of the workspace.
pub(in crate::usecases) async fn repo(runtime: &Runtime) -> Result<GitRepo> {
    GitRepo::open(&runtime.settings.root.value).await.map_err(Error::from)
}

/// True when the connector `source` pushes its readings and cannot be asked.
pub(in crate::usecases) fn is_pushed(config: &Config, source: &str) -> bool {
    config.connector(source).is_some_and(|spec| spec.asked == Asked::ItPushes)
}

/// True when the signal has readings by variant: its query, its source, or what is pushed says who was exposed to what.
pub(in crate::usecases) fn reads_by_variant(config: &Config, signal: &SignalSpec) -> bool {
    match config.connector(&signal.source).map(|spec| spec.asked) {
        Some(Asked::WithSql) | None => signal.query.by_variant.is_some(),
        Some(Asked::ByName(answers)) => answers.by_variant,
        Some(Asked::ItPushes) => true,
    }
}
