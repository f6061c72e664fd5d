//! Offering the gate's page to the human through URL-mode elicitation, where the client can show it.
//!
//! **Invariant**: the client's answer is never read. Clients accept, decline and cancel without any human.

use std::time::Duration;

use outcome_core::Code;
use outcome_core::digest::{canonical_json, sha256_hex};
use outcome_core::principal::Principal;
use outcome_core::settings::process_env;
use outcome_core::usecases::Runtime;
use rmcp::RoleServer;
use rmcp::model::{InputRequest, InputRequests, InputRequiredResult, JsonObject, RequestStateCodec, SealOptions};
use rmcp::service::{ElicitationMode, RequestContext};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::answer::Failure;
use crate::tools::REQUEST_HUMAN_GATE;

/// How long a legacy client may take to show the page; its own limit for a call is about 60 s.
const SHOW_LIMIT: Duration = Duration::from_secs(20);
/// How long a sealed state can be handed back.
const STATE_LIFE: Duration = Duration::from_mins(10);
/// The kind under which used states are kept.
const NONCE_KIND: &str = "mcp_state";
const MESSAGE: &str = "A human must decide this gate. Open its page to read the question and decide.";

/// Seals states with a key that lives as long as this process.
#[derive(Default)]
pub(crate) struct Courtesy {
    codec: OnceCell<RequestStateCodec>,
}

impl Courtesy {
    /// Switched off by `OUTCOME_RUNTIME_ELICIT=off`.
    pub(crate) fn is_on() -> bool {
        process_env("OUTCOME_RUNTIME_ELICIT")
            .is_none_or(|value| !matches!(value.to_ascii_lowercase().as_str(), "off" | "0" | "false" | "no"))
    }

    async fn codec(&self, runtime: &Runtime) -> Result<&RequestStateCodec, Failure> {
        self.codec
            .get_or_try_init(|| async {
                let key: [u8; 32] = runtime.ids().bytes();
                RequestStateCodec::try_new(key)
            })
            .await
            .map_err(|error| Failure::new(Code::Internal, format!("no key for states: {error}")))
    }

    /// Checks the state of a retried call: ours, of this call, not too old, and never used before.
    ///
    /// # Errors
    /// With the way to begin anew.
    pub(crate) async fn check(&self, runtime: &Runtime, state: &str, bound: &str) -> Result<(), Failure> {
        let foreign = |message: &str| {
            Failure::invalid(message)
                .hint(format!("call {REQUEST_HUMAN_GATE} again with the same arguments and no requestState"))
        };
        let opened: Value = self
            .codec(runtime)
            .await?
            .open_json_with(state, bound.as_bytes())
            .map_err(|_| foreign("the requestState does not belong to this call, or has expired"))?;
        let nonce = opened.get("nonce").and_then(Value::as_str).unwrap_or_default();
        if !runtime
            .sessions()
            .use_once(NONCE_KIND, nonce, jiff::SignedDuration::try_from(STATE_LIFE).unwrap_or_default())
            .await?
        {
            return Err(foreign("the requestState has been used before"));
        }
        Ok(())
    }

    /// The request to show the page, for a modern client that declared URL elicitation.
    pub(crate) async fn ask_modern(
        &self,
        runtime: &Runtime,
        gate: &str,
        bound: &str,
    ) -> Result<Option<InputRequiredResult>, Failure> {
        let request = json!({
            "method": "elicitation/create",
            "params": { "mode": "url", "message": MESSAGE, "url": runtime.gates().url(gate).await? },
        });
        let Ok(request) = serde_json::from_value::<InputRequest>(request) else { return Ok(None) };
        let nonce: [u8; 16] = runtime.ids().bytes();
        let nonce: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
        let options = SealOptions::new().ttl(STATE_LIFE).associated_data(bound.as_bytes());
        let sealed = self
            .codec(runtime)
            .await?
            .seal_json_with(&json!({ "nonce": nonce }), &options)
            .map_err(|error| Failure::new(Code::Internal, format!("the state cannot be sealed: {error}")))?;
        let requests = InputRequests::from_iter([("gate".to_owned(), request)]);
        Ok(Some(InputRequiredResult::new(Some(requests), Some(sealed))))
    }
}

/// What a state is bound to: the tool, its arguments, and who asked.
pub(crate) fn bound(arguments: Option<&JsonObject>, by: &Principal) -> String {
    let text = canonical_json(&arguments).unwrap_or_default();
    format!("{REQUEST_HUMAN_GATE}|{}|{by}", sha256_hex(text))
}

/// True when the request came from a client of the modern era that can show a page.
pub(crate) fn modern_client_shows_pages(context: &RequestContext<RoleServer>) -> bool {
    let elicitation = context.client_capabilities().and_then(|capabilities| capabilities.elicitation);
    is_modern(context) && elicitation.is_some_and(|modes| modes.url.is_some())
}

/// True when the request has no handshake.
pub(crate) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| !version.has_initialize())
}

/// Shows the page through a legacy client that declared that it can; waits a little, and ignores the answer.
pub(crate) async fn show_legacy(context: &RequestContext<RoleServer>, gate: &str, url: &str) {
    if !context.peer.supported_elicitation_modes().contains(&ElicitationMode::Url) {
        return;
    }
    let Ok(page) = url::Url::parse(url) else { return };
    let shown = context.peer.elicit_url_with_timeout(MESSAGE, page, gate, Some(SHOW_LIMIT)).await;
    tracing::debug!(gate, "The client was asked to show the gate's page: {shown:?}");
}
