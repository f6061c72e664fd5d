//! Members, their keys, agents' tokens, and sessions of the daemon's pages.

use sqlx::FromRow;

use super::{Instant, Tx, on_db, statements};
use crate::error::{Code, Error, Result};
use crate::ids::{AgentTokenId, KeyId, MemberId};
use crate::signing::{KeyKind, SealedKey, SignedEnrolment};

statements! {
    MEMBER_INSERT = "INSERT INTO member (workspace_id, id, email, name, created_at) VALUES ($1, $2, $3, $4, $5)";
    MEMBER_LIST = "SELECT id, email, name, created_at FROM member WHERE workspace_id = $1 ORDER BY created_at, id";
    KEY_INSERT = "
        INSERT INTO member_key (workspace_id, id, member_id, kind, certificate, sealed, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    KEY_LIST = "
        SELECT id, member_id, kind, certificate, sealed, created_at, revoked_at
        FROM member_key WHERE workspace_id = $1 ORDER BY created_at, id";
    TOKEN_INSERT = "INSERT INTO agent_token (workspace_id, id, name, token_hash, created_at) VALUES ($1, $2, $3, $4, $5)";
    TOKEN_FIND = "
        SELECT id, name, created_at FROM agent_token
        WHERE workspace_id = $1 AND token_hash = $2 AND revoked_at IS NULL";
    SESSION_INSERT = "
        INSERT INTO session (workspace_id, token_hash, member_id, csrf, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6)";
    SESSION_FIND = "
        SELECT member_id, csrf, expires_at FROM session WHERE workspace_id = $1 AND token_hash = $2 AND expires_at > $3";
    SESSION_DELETE = "DELETE FROM session WHERE workspace_id = $1 AND (token_hash = $2 OR expires_at <= $3)";
}

/// A human who may decide gates.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// E-mail, unique in the workspace.
    pub email: String,
    /// Name for people.
    pub name: String,
    /// When they were enrolled.
    pub created_at: Instant,
}

/// A stored key; it counts only if its certificate chains to the root.
#[derive(Debug, Clone)]
pub struct MemberKey {
    /// Its id.
    pub id: KeyId,
    /// Whose it is.
    pub member: MemberId,
    /// How it is kept.
    pub kind: KeyKind,
    /// Its certificate.
    pub certificate: SignedEnrolment,
    /// The sealed secret, for keys kept by a passphrase.
    pub sealed: Option<SealedKey>,
    /// When it was withdrawn.
    pub revoked_at: Option<jiff::Timestamp>,
}

/// A token that lets an agent use the REST API.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct AgentToken {
    /// Its id.
    pub id: AgentTokenId,
    /// Name of the agent.
    pub name: String,
    /// When it was made.
    pub created_at: Instant,
}

/// A signed-in member of the daemon's pages.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Session {
    /// Who.
    pub member_id: MemberId,
    /// Token that forms carry.
    pub csrf: String,
    /// Until when.
    pub expires_at: Instant,
}

#[derive(FromRow)]
struct KeyRow {
    id: KeyId,
    member_id: MemberId,
    kind: KeyKind,
    certificate: String,
    sealed: Option<String>,
    revoked_at: Option<Instant>,
}

fn json_error(e: serde_json::Error) -> Error {
    Error::new(Code::DatabaseCorrupt, "a stored key cannot be read").because(e)
}

impl Tx {
    /// Stores a member.
    ///
    /// # Errors
    /// [`Code::Conflict`] when the e-mail is taken.
    pub async fn member_insert(&mut self, member: &Member) -> Result<()> {
        on_db!(self, |c| sqlx::query(MEMBER_INSERT)
            .bind(self.workspace)
            .bind(member.id)
            .bind(&member.email)
            .bind(&member.name)
            .bind(member.created_at)
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// Every member, the first one first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn member_list(&mut self) -> Result<Vec<Member>> {
        on_db!(self, |c| sqlx::query_as(MEMBER_LIST).bind(self.workspace).fetch_all(c).await)
    }

    /// Stores a key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn key_insert(&mut self, key: &MemberKey, at: jiff::Timestamp) -> Result<()> {
        let certificate = serde_json::to_string(&key.certificate).map_err(json_error)?;
        let sealed = key.sealed.as_ref().map(serde_json::to_string).transpose().map_err(json_error)?;
        on_db!(self, |c| sqlx::query(KEY_INSERT)
            .bind(self.workspace)
            .bind(key.id)
            .bind(key.member)
            .bind(key.kind)
            .bind(&certificate)
            .bind(&sealed)
            .bind(Instant(at))
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// Every stored key. Rows that cannot be read are left out: they are no keys, and `audit verify` names them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn key_list(&mut self) -> Result<Vec<MemberKey>> {
        let rows: Vec<KeyRow> = on_db!(self, |c| sqlx::query_as(KEY_LIST).bind(self.workspace).fetch_all(c).await)?;
        Ok(rows
            .into_iter()
            .filter_map(|row| {
                Some(MemberKey {
                    id: row.id,
                    member: row.member_id,
                    kind: row.kind,
                    certificate: serde_json::from_str(&row.certificate).ok()?,
                    sealed: row.sealed.as_deref().map(serde_json::from_str).transpose().ok()?,
                    revoked_at: row.revoked_at.map(|at| at.0),
                })
            })
            .collect())
    }

    /// Stores an agent's token by its hash.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agent_token_insert(&mut self, token: &AgentToken, token_hash: &str) -> Result<()> {
        on_db!(self, |c| sqlx::query(TOKEN_INSERT)
            .bind(self.workspace)
            .bind(token.id)
            .bind(&token.name)
            .bind(token_hash)
            .bind(token.created_at)
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// The agent whose token has this hash.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agent_token_find(&mut self, token_hash: &str) -> Result<Option<AgentToken>> {
        on_db!(self, |c| sqlx::query_as(TOKEN_FIND).bind(self.workspace).bind(token_hash).fetch_optional(c).await)
    }

    /// Stores a session by the hash of its token.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn session_insert(&mut self, token_hash: &str, session: &Session, at: jiff::Timestamp) -> Result<()> {
        on_db!(self, |c| sqlx::query(SESSION_INSERT)
            .bind(self.workspace)
            .bind(token_hash)
            .bind(session.member_id)
            .bind(&session.csrf)
            .bind(Instant(at))
            .bind(session.expires_at)
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// The session whose token has this hash, unless it is over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn session_find(&mut self, token_hash: &str, now: jiff::Timestamp) -> Result<Option<Session>> {
        on_db!(self, |c| sqlx::query_as(SESSION_FIND)
            .bind(self.workspace)
            .bind(token_hash)
            .bind(Instant(now))
            .fetch_optional(c)
            .await)
    }

    /// Ends a session, and all that are over anyway.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn session_delete(&mut self, token_hash: &str, now: jiff::Timestamp) -> Result<()> {
        on_db!(self, |c| sqlx::query(SESSION_DELETE)
            .bind(self.workspace)
            .bind(token_hash)
            .bind(Instant(now))
            .execute(c)
            .await
            .map(|_| ()))
    }
}
