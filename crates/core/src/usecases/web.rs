//! Who is at the door of the daemon: members with a session, agents with a token.

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};

use super::decide::Unlock;
use super::init::new_event;
use super::runtime::Runtime;
use crate::error::{Code, Error, Result};
use crate::ids::AgentTokenId;
use crate::principal::Principal;
use crate::signing::sha256_hex;
use crate::store::{AgentToken, Instant, Member, Session};

/// A new session; the token goes into a cookie and is kept only as a hash.
pub struct SignIn {
    /// The session's token.
    pub token: SecretString,
    /// Until when.
    pub expires_at: Timestamp,
}

/// A signed-in member.
#[derive(Debug, Clone)]
pub struct PageSession {
    /// Who.
    pub member: Member,
    /// Token that forms carry.
    pub csrf: String,
}

const SESSION_HOURS: i64 = 12;

impl Runtime {
    /// Signs a member in with their passphrase.
    ///
    /// # Errors
    /// [`Code::PassphraseWrong`], also for an unknown member, so that nobody learns who is one.
    pub async fn sign_in(&self, email: Option<&str>, passphrase: SecretString) -> Result<SignIn> {
        let unlocked = self.member_key(email, &Unlock::Passphrase(passphrase)).await;
        if let Err(error) = &unlocked {
            let by = Principal::system("sign-in");
            let detail = serde_json::json!({ "tried": "sign in", "code": error.code().as_str() });
            self.record_refusal(self.workspace.id.into(), "member.refused", &by, &detail).await?;
        }
        let (member, _) = unlocked.map_err(|error| match error.code() {
            Code::NotFound => Error::new(Code::PassphraseWrong, "the e-mail or the passphrase is wrong"),
            _ => error,
        })?;
        let now = self.now();
        let token = hex::encode(self.ids.bytes::<32>());
        let expires_at = now.checked_add(SignedDuration::from_hours(SESSION_HOURS)).unwrap_or(now);
        let session = Session {
            member_id: member.id,
            csrf: hex::encode(self.ids.bytes::<32>()),
            expires_at: Instant(expires_at),
        };
        let mut tx = self.write().await?;
        tx.session_insert(&sha256_hex(&token), &session, now).await?;
        let by = Principal::Human { member: member.id, name: member.email.clone() };
        let event = new_event("session.opened", self.workspace.id.into(), &by, &serde_json::json!({}))?;
        tx.event_append(event, now).await?;
        tx.commit().await?;
        Ok(SignIn { token: SecretString::from(token), expires_at })
    }

    /// The member of a session; `None` when it is unknown or over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn session(&self, token: &SecretString) -> Result<Option<PageSession>> {
        let mut tx = self.read().await?;
        let Some(session) = tx.session_find(&sha256_hex(token.expose_secret()), self.now()).await? else {
            return Ok(None);
        };
        let members = tx.member_list().await?;
        Ok(members
            .into_iter()
            .find(|member| member.id == session.member_id)
            .map(|member| PageSession { member, csrf: session.csrf }))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sign_out(&self, token: &SecretString) -> Result<()> {
        let mut tx = self.write().await?;
        tx.session_delete(&sha256_hex(token.expose_secret()), self.now()).await?;
        tx.commit().await
    }

    /// Makes a token with which an agent may use the REST API. It is shown once and kept only as a hash.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] for a bad name.
    pub async fn agent_token_create(&self, name: &str, by: &Principal) -> Result<SecretString> {
        let name = super::gate::bounded("name", name, 80)?;
        let now = self.now();
        let token = format!("oragent_{}", hex::encode(self.ids.bytes::<32>()));
        let row = AgentToken { id: self.ids.next::<AgentTokenId>(), name: name.clone(), created_at: Instant(now) };
        let mut tx = self.write().await?;
        tx.agent_token_insert(&row, &sha256_hex(&token)).await?;
        let event = new_event("agent.token_made", self.workspace.id.into(), by, &serde_json::json!({ "name": name }))?;
        tx.event_append(event, now).await?;
        tx.commit().await?;
        Ok(SecretString::from(token))
    }

    /// The agent whose token this is; `None` when it is unknown.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agent_of_token(&self, token: &SecretString) -> Result<Option<Principal>> {
        let mut tx = self.read().await?;
        let found = tx.agent_token_find(&sha256_hex(token.expose_secret())).await?;
        Ok(found.map(|token| Principal::agent(&token.name)))
    }

    /// Records that an agent tried what only humans may do.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refuse_agent(&self, by: &Principal, what: &str) -> Result<Error> {
        let detail = serde_json::json!({ "tried": what.chars().take(200).collect::<String>() });
        self.record_refusal(self.workspace.id.into(), "agent.refused", by, &detail).await?;
        Ok(Error::new(Code::Forbidden, "agents propose and build; only a human decides")
            .hint("the human opens the gate's page or runs `outcome-runtime gate decide`"))
    }

    /// Uses a value up for `ttl`: true the first time, false when it was used before.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] for an empty or very long value; when the database fails.
    pub async fn use_once(&self, kind: &str, value: &str, ttl: SignedDuration) -> Result<bool> {
        let value = super::gate::bounded("value", value, 200)?;
        let now = self.now();
        let expires_at = now.checked_add(ttl).unwrap_or(now);
        let mut tx = self.write().await?;
        let is_first = tx.nonce_use(kind, &value, expires_at, now).await?;
        tx.commit().await?;
        Ok(is_first)
    }

    /// Number of the audit log's last line: it grows with every change of state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn log_position(&self) -> Result<i64> {
        let mut tx = self.read().await?;
        Ok(tx.log_head().await?.0)
    }

    /// The first member, as the human at the terminal: what they may do without a signature decides nothing.
    ///
    /// # Errors
    /// [`Code::NotFound`] in a workspace without members.
    pub async fn terminal_human(&self) -> Result<Principal> {
        let mut tx = self.read().await?;
        let members = tx.member_list().await?;
        let first = members.into_iter().next().ok_or_else(|| Error::not_found("member", "(none)"))?;
        Ok(Principal::Human { member: first.id, name: first.email })
    }
}
