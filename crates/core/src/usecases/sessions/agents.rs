//! Agents with a token, and what they may not do.

use secrecy::{ExposeSecret, SecretString};

use super::Sessions;
use crate::audit::EventKind;
use crate::digest::sha256_hex;
use crate::error::{Code, Error, Result};
use crate::ids::AgentTokenId;
use crate::principal::Principal;
use crate::store::{AgentToken, Instant};
use crate::usecases::kernel::event::{new_event, record_refusal};
use crate::usecases::kernel::text::bounded;

impl Sessions<'_> {
    /// Makes a token with which an agent may use the REST API. It is shown once and kept only as a hash.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] for a bad name.
    #[tracing::instrument(level = "debug", name = "sessions.agent_token_create", skip_all)]
    pub async fn agent_token_create(self, name: &str, by: &Principal) -> Result<SecretString> {
        let name = bounded("name", name, 80)?;
        let now = self.0.now();
        let token = format!("oragent_{}", hex::encode(self.0.ids.bytes::<32>()));
        let row = AgentToken { id: self.0.ids.next::<AgentTokenId>(), name: name.clone(), created_at: Instant(now) };
        let mut tx = self.0.write().await?;
        tx.agent_token_insert(&row, &sha256_hex(&token)).await?;
        let event =
            new_event(EventKind::AgentTokenMade, self.0.workspace.id.into(), by, &serde_json::json!({ "name": name }))?;
        tx.event_append(event, now).await?;
        tx.commit().await?;
        Ok(SecretString::from(token))
    }

    /// The agent whose token this is; `None` when it is unknown.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "sessions.agent_of_token", skip_all)]
    pub async fn agent_of_token(self, token: &SecretString) -> Result<Option<Principal>> {
        let mut tx = self.0.read().await?;
        let found = tx.agent_token_find(&sha256_hex(token.expose_secret())).await?;
        Ok(found.map(|token| Principal::agent(&token.name)))
    }

    /// Records that an agent tried what only humans may do.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "sessions.refuse_agent", skip_all)]
    pub async fn refuse_agent(self, by: &Principal, what: &str) -> Result<Error> {
        let detail = serde_json::json!({ "tried": what.chars().take(200).collect::<String>() });
        record_refusal(self.0, self.0.workspace.id.into(), EventKind::AgentRefused, by, &detail).await?;
        Ok(Error::new(Code::Forbidden, "agents propose and build; only a human decides")
            .hint("a human must open the gate's page or run `outcome-runtime gate decide`"))
    }
}
