//! Members, what they are called, their keys, agents' tokens, and sessions of the daemon's pages.

use super::codec::Instant;
use super::columns::{columns, sql};
use super::db::{Tx, on_db};
use super::statement::statements;
use super::touched::{FoldedTable, RowKey};
use crate::domain::{KeyKind, MemberOpening, Salt, SignedEnrolment};
use crate::error::{Code, Error, Result};
use crate::identity::SealedKey;
use crate::ids::{AgentTokenId, KeyId, MemberId, WorkspaceId};

statements! {
    MEMBER_INSERT = Member::INSERT;
    MEMBER_LIST = sql!("SELECT ", Member::COLUMNS, " FROM member WHERE workspace_id = $1 ORDER BY created_at, id");
    MEMBER_CLEAR = "UPDATE member SET email = NULL, name = NULL WHERE workspace_id = $1 AND id = $2";
    OPENING_INSERT = OpeningRow::INSERT;
    OPENING_LIST = sql!("SELECT ", OpeningRow::COLUMNS, " FROM member_opening WHERE workspace_id = $1 ORDER BY member_id");
    OPENING_DELETE = "DELETE FROM member_opening WHERE workspace_id = $1 AND member_id = $2";
    KEY_INSERT = KeyRow::INSERT;
    KEY_SEAL = "UPDATE member_key SET sealed = $3 WHERE workspace_id = $1 AND id = $2";
    KEY_REVOKE = "UPDATE member_key SET revoked_at = $3 WHERE workspace_id = $1 AND id = $2 AND revoked_at IS NULL";
    KEY_LIST = sql!("SELECT ", KeyRow::COLUMNS, " FROM member_key WHERE workspace_id = $1 ORDER BY created_at, id");
    TOKEN_INSERT = AgentToken::INSERT;
    TOKEN_FIND = sql!("SELECT ", AgentToken::COLUMNS, " FROM agent_token
        WHERE workspace_id = $1 AND token_hash = $2 AND revoked_at IS NULL");
    SESSION_INSERT = Session::INSERT;
    SESSION_FIND = sql!("SELECT ", Session::COLUMNS, " FROM session
        WHERE workspace_id = $1 AND token_hash = $2 AND expires_at > $3");
    SESSION_DELETE = "DELETE FROM session WHERE workspace_id = $1 AND (token_hash = $2 OR expires_at <= $3)";
}

columns! {
    /// A human who may decide gates.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Member in "member" {
        /// Its id.
        pub id: MemberId => folded,
        /// E-mail, in rows of before; later ones are called what opens the commitments of their certificates.
        pub email: Option<String> => folded,
        /// Name, in rows of before.
        pub name: Option<String> => folded,
        /// When they were enrolled.
        pub created_at: Instant => folded,
    }
    beside { workspace_id: WorkspaceId => folded }
}

columns! {
    /// What opens a member's commitments: the only place where names and e-mails stand. The certificates in the log hold a hash of each.
    pub(super) struct OpeningRow in "member_opening" {
        member_id: MemberId => folded,
        email: String => folded,
        email_salt: String => folded,
        name: String => folded,
        name_salt: String => folded,
    }
    beside { workspace_id: WorkspaceId => folded }
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

columns! {
    /// A token that lets an agent use the REST API.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct AgentToken in "agent_token" {
        /// Its id.
        pub id: AgentTokenId => volatile("tells tokens apart"),
        /// Name of the agent.
        pub name: String => volatile("an agent may call itself anything"),
        /// When it was made.
        pub created_at: Instant => volatile("shown"),
    }
    beside {
        workspace_id: WorkspaceId => folded,
        token_hash: String => volatile("gives an agent's rights, never a human's"),
        revoked_at: Option<Instant> => volatile("gives an agent's rights, never a human's"),
    }
}

columns! {
    /// A signed-in member of the daemon's pages.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Session in "session" {
        /// Who.
        pub member_id: MemberId => volatile("unchecked: who decides without a passphrase where that is enough"),
        /// Token that forms carry.
        pub csrf: String => volatile("guards a browser's forms"),
        /// Until when.
        pub expires_at: Instant => volatile("unchecked: how long a session lasts"),
    }
    beside {
        workspace_id: WorkspaceId => folded,
        token_hash: String => volatile("unchecked: which cookie is this session's"),
        created_at: Instant => volatile("shown"),
    }
}

columns! {
    pub(super) struct KeyRow in "member_key" {
        id: KeyId => folded,
        member_id: MemberId => folded,
        kind: KeyKind => folded,
        certificate: String => folded,
        sealed: Option<String> => volatile("what lies under the passphrase says where the key belongs"),
        revoked_at: Option<Instant> => folded,
    }
    beside {
        workspace_id: WorkspaceId => folded,
        created_at: Instant => volatile("sorted by"),
    }
}

fn json_error(e: serde_json::Error) -> Error {
    Error::new(Code::DatabaseCorrupt, "a stored key cannot be read").because(e)
}

impl Tx {
    /// Stores a member.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn member_insert(&mut self, member: &Member) -> Result<()> {
        self.touch_new(FoldedTable::Member, RowKey::Id(member.id.0));
        on_db!(self, |c| member.insert(sqlx::query(MEMBER_INSERT), &self.workspace).execute(c).await.map(|_| ()))
    }

    /// Every member, the first one first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn member_list(&mut self) -> Result<Vec<Member>> {
        on_db!(self, |c| sqlx::query_as(MEMBER_LIST).bind(self.workspace).fetch_all(c).await)
    }

    /// Empties what a row of before says of a member.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn member_clear(&mut self, member: MemberId) -> Result<()> {
        self.touch(FoldedTable::Member, RowKey::Id(member.0)).await?;
        on_db!(self, |c| sqlx::query(MEMBER_CLEAR).bind(self.workspace).bind(member).execute(c).await.map(|_| ()))
    }

    /// Stores what opens a member's commitments.
    ///
    /// # Errors
    /// [`Code::Conflict`] when the member has one already, or another one has this e-mail.
    pub async fn member_opening_insert(&mut self, opening: &MemberOpening) -> Result<()> {
        let row = OpeningRow {
            member_id: opening.member,
            email: opening.email.clone(),
            email_salt: opening.email_salt.as_str().to_owned(),
            name: opening.name.clone(),
            name_salt: opening.name_salt.as_str().to_owned(),
        };
        on_db!(self, |c| row.insert(sqlx::query(OPENING_INSERT), &self.workspace).execute(c).await.map(|_| ()))
    }

    /// What opens the members' commitments, as it is stored: it counts for a member only where it does open them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn member_opening_list(&mut self) -> Result<Vec<MemberOpening>> {
        let rows: Vec<OpeningRow> =
            on_db!(self, |c| sqlx::query_as(OPENING_LIST).bind(self.workspace).fetch_all(c).await)?;
        let opening = |row: OpeningRow| MemberOpening {
            member: row.member_id,
            email: row.email,
            email_salt: Salt::stored(row.email_salt),
            name: row.name,
            name_salt: Salt::stored(row.name_salt),
        };
        Ok(rows.into_iter().map(opening).collect())
    }

    /// Removes what opens a member's commitments; there may be nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn member_opening_delete(&mut self, member: MemberId) -> Result<()> {
        on_db!(self, |c| sqlx::query(OPENING_DELETE).bind(self.workspace).bind(member).execute(c).await.map(|_| ()))
    }

    /// Stores a key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn key_insert(&mut self, key: &MemberKey, at: jiff::Timestamp) -> Result<()> {
        let row = KeyRow {
            id: key.id,
            member_id: key.member,
            kind: key.kind,
            certificate: serde_json::to_string(&key.certificate).map_err(json_error)?,
            sealed: key.sealed.as_ref().map(serde_json::to_string).transpose().map_err(json_error)?,
            revoked_at: key.revoked_at.map(Instant),
        };
        let at = Instant(at);
        self.touch_new(FoldedTable::MemberKey, RowKey::Id(key.id.0));
        on_db!(self, |c| row.insert(sqlx::query(KEY_INSERT), &self.workspace, &at).execute(c).await.map(|_| ()))
    }

    /// Keeps a key sealed anew.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn key_seal(&mut self, key: KeyId, sealed: &SealedKey) -> Result<()> {
        let sealed = serde_json::to_string(sealed).map_err(json_error)?;
        on_db!(self, |c| sqlx::query(KEY_SEAL)
            .bind(self.workspace)
            .bind(key)
            .bind(&sealed)
            .execute(c)
            .await
            .map(|_| ()))
    }

    /// Notes that a key counts no longer: what counts is the log's line.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn key_revoke(&mut self, key: KeyId, at: jiff::Timestamp) -> Result<()> {
        self.touch(FoldedTable::MemberKey, RowKey::Id(key.0)).await?;
        let at = Instant(at);
        on_db!(self, |c| sqlx::query(KEY_REVOKE).bind(self.workspace).bind(key).bind(at).execute(c).await.map(|_| ()))
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
        let hash = token_hash.to_owned();
        on_db!(self, |c| token
            .insert(sqlx::query(TOKEN_INSERT), &self.workspace, &hash, &None)
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
        let (hash, at) = (token_hash.to_owned(), Instant(at));
        on_db!(self, |c| session
            .insert(sqlx::query(SESSION_INSERT), &self.workspace, &hash, &at)
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

    /// Ends a session, and all that are over anyway. There may be none: a session that is over is gone already.
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
