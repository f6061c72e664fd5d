//! What the flag service is, and what its credentials allow.

use schemars::JsonSchema;
use serde::Serialize;

use super::Flags;
use crate::characters::quotable;
use crate::config::Vendors;
use crate::error::{Code, Error, Result};
use crate::ports::{FlagService, Right};
use crate::usecases::Runtime;
use crate::usecases::kernel::workspace_file::{config, flag_service};

/// What was found about the flag service.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FlagsReport {
    /// Its `provider`.
    pub provider: &'static str,
    /// Its name.
    pub service: String,
    /// Where it leads, without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What the credentials allow. Nothing was changed to find out.
    pub rights: Vec<Right>,
}

impl FlagsReport {
    /// True when something that the runtime does is not allowed.
    #[must_use]
    pub fn lacks_a_right(&self) -> bool {
        self.rights.iter().any(|right| right.act.is_needed() && right.is_allowed == Some(false))
    }
}

impl Flags<'_> {
    /// Asks the applied flag service what its credentials allow.
    ///
    /// # Errors
    /// [`Code::NotFound`] without a flag service, and what the service says when it cannot be asked.
    #[tracing::instrument(level = "debug", name = "flags.test", skip_all)]
    pub async fn test(self) -> Result<FlagsReport> {
        let (provider, service) = applied(self.0).await?;
        let rights = service.rights().await.map_err(Error::from)?;
        Ok(FlagsReport { provider, service: service.name().to_owned(), place: service.place(), rights })
    }

    /// The least rights that the applied service must give, as lines to follow.
    ///
    /// # Errors
    /// [`Code::NotFound`] without a flag service.
    #[tracing::instrument(level = "debug", name = "flags.role", skip_all)]
    pub async fn role(self) -> Result<&'static str> {
        let config = config(self.0).await?;
        flag_role(self.0.settings.vendors, config.flags.as_ref().ok_or_else(none)?.kind)
    }
}

/// The least rights that a flag service must give, as lines to follow.
///
/// # Errors
/// [`Code::NotFound`] for a name that no provider has.
pub fn flag_role(vendors: &Vendors, provider: &str) -> Result<&'static str> {
    vendors.flag(provider).map(|vendor| vendor.role).ok_or_else(|| {
        let known: Vec<_> = vendors.flags.iter().map(|vendor| vendor.kind).collect();
        let shown = quotable(provider, 60);
        Error::new(Code::NotFound, format!("`{shown}` is not a flag service"))
            .hint(format!("the providers are {}", known.join(", ")))
    })
}

/// The applied flag service.
pub(super) async fn applied(runtime: &Runtime) -> Result<(&'static str, Box<dyn FlagService>)> {
    let config = config(runtime).await?;
    let kind = config.flags.as_ref().ok_or_else(none)?.kind;
    let service = flag_service(runtime, &config).await?.ok_or_else(none)?;
    Ok((kind, service))
}

fn none() -> Error {
    Error::new(Code::NotFound, "what is applied names no flag service")
        .hint("add `feature_flags` to the outcome file and run `outcome-runtime apply`")
}
