//! Members with a session.

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};

use super::Sessions;
use crate::audit::EventKind;
use crate::digest::sha256_hex;
use crate::error::{Code, Error, Result};
use crate::principal::Principal;
use crate::store::{Instant, Session};
use crate::usecases::kernel::event::{new_event, record_refusal};
use crate::usecases::kernel::keyring::keyring_or_none;
use crate::usecases::kernel::people::{People, Person};
use crate::usecases::kernel::unlock::{Unlock, member_key};

const SESSION_HOURS: i64 = 12;

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
    pub member: Person,
    /// Token that forms carry.
    pub csrf: String,
}

impl Sessions<'_> {
    /// Signs a member in with their passphrase.
    ///
    /// # Errors
    /// [`Code::PassphraseWrong`], also for an unknown member, so that nobody learns who is one.
    #[tracing::instrument(level = "debug", name = "sessions.sign_in", skip_all)]
    pub async fn sign_in(self, email: Option<&str>, passphrase: SecretString) -> Result<SignIn> {
        let unlocked = member_key(self.0, email, &Unlock::Passphrase(passphrase)).await;
        if let Err(error) = &unlocked {
            let by = Principal::system("sign-in");
            let detail = serde_json::json!({ "tried": "sign in", "code": error.code().as_str() });
            record_refusal(self.0, self.0.workspace.id.into(), EventKind::MemberRefused, &by, &detail).await?;
        }
        let (member, _) = unlocked.map_err(|error| match error.code() {
            Code::NotFound => Error::new(Code::PassphraseWrong, "the e-mail or the passphrase is wrong"),
            _ => error,
        })?;
        let now = self.0.now();
        let token = hex::encode(self.0.ids.bytes::<32>());
        let expires_at = now.checked_add(SignedDuration::from_hours(SESSION_HOURS)).unwrap_or(now);
        let session = Session {
            member_id: member.id,
            csrf: hex::encode(self.0.ids.bytes::<32>()),
            expires_at: Instant(expires_at),
        };
        let mut tx = self.0.write().await?;
        tx.session_insert(&sha256_hex(&token), &session, now).await?;
        let by = Principal::session_of(member.id);
        let event = new_event(EventKind::SessionOpened, self.0.workspace.id.into(), &by, &serde_json::json!({}))?;
        tx.event_append(event, now).await?;
        tx.commit().await?;
        Ok(SignIn { token: SecretString::from(token), expires_at })
    }

    /// The member of a session; `None` when it is unknown or over.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "sessions.session", skip_all)]
    pub async fn session(self, token: &SecretString) -> Result<Option<PageSession>> {
        let mut tx = self.0.read().await?;
        let Some(session) = tx.session_find(&sha256_hex(token.expose_secret()), self.0.now()).await? else {
            return Ok(None);
        };
        let ring = keyring_or_none(self.0, &mut tx).await;
        let people = People::of(&mut tx, &ring).await?;
        let member = people.get(session.member_id).cloned();
        Ok(member.map(|member| PageSession { member, csrf: session.csrf }))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "sessions.sign_out", skip_all)]
    pub async fn sign_out(self, token: &SecretString) -> Result<()> {
        let mut tx = self.0.write().await?;
        tx.session_delete(&sha256_hex(token.expose_secret()), self.0.now()).await?;
        tx.commit().await
    }
}
