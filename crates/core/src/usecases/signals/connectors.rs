//! The connectors of the outcome file, looked at by hand.

use super::Signals;
use crate::error::Error;
use crate::usecases::kernel::workspace_file::{config, source};

impl Signals<'_> {
    /// Tries a connector.
    ///
    /// # Errors
    /// [`crate::Code::ConnectorUnknown`] or why it does not work.
    #[tracing::instrument(level = "debug", name = "signals.connector_test", skip_all, fields(name))]
    pub async fn connector_test(self, name: &str) -> crate::Result<crate::ports::SourceReport> {
        let config = config(self.0).await?;
        let source = source(self.0, &config, name)?;
        source.test().await.map_err(Error::from)
    }

    /// Names and types of the connectors that the outcome file declares.
    ///
    /// # Errors
    /// [`crate::Code::ConfigInvalid`].
    #[tracing::instrument(level = "debug", name = "signals.connector_names", skip_all)]
    pub async fn connector_names(self) -> crate::Result<Vec<String>> {
        Ok(config(self.0).await?.connectors.iter().map(|connector| connector.name.clone()).collect())
    }
}
