//! The one error at the door of the crate, and the table of its codes.
//!
//! Every module that fails in its own ways has its own enum; at the door it becomes an [`Error`] with a stable [`Code`].
//! The same code leaves through MCP, REST (status) and the CLI (exit code).

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

macro_rules! codes {
    ($($variant:ident $text:literal $http:literal $exit:literal $meaning:literal;)+) => {
        /// A stable code. The table of all of them stands in `docs/errors.md`, made from this one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $meaning] $variant),+ }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Its stable text.
            #[must_use]
            pub fn as_str(self) -> &'static str { match self { $(Self::$variant => $text),+ } }
            /// The HTTP status of a REST answer.
            #[must_use]
            pub fn http_status(self) -> u16 { match self { $(Self::$variant => $http),+ } }
            /// The exit code of the command line.
            #[must_use]
            pub fn exit_code(self) -> u8 { match self { $(Self::$variant => $exit),+ } }
            /// What it means, one sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str { match self { $(Self::$variant => $meaning),+ } }
            /// The code with this text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> { Self::ALL.iter().copied().find(|code| code.as_str() == text) }
        }
    };
}

codes! {
    InvalidInput "invalid_input" 400 2 "An argument or field has an invalid value.";
    NotFound "not_found" 404 3 "Nothing has this id or slug in this workspace.";
    Conflict "conflict" 409 4 "The step is not allowed in the current state.";
    Forbidden "forbidden" 403 5 "This kind of principal may not do this.";
    Unauthenticated "unauthenticated" 401 5 "No known member or agent is signed in.";
    PassphraseWrong "passphrase_wrong" 401 5 "The passphrase does not unlock the member's key.";
    PassphraseNeeded "passphrase_needed" 401 5 "The step needs a passphrase, and there is no way to ask for it here.";
    PassphraseWeak "passphrase_weak" 400 2 "The passphrase is too short or too simple.";
    SignatureInvalid "signature_invalid" 403 5 "A decision's signature does not verify against an enrolled key.";
    AssuranceTooLow "assurance_too_low" 403 5 "The gate needs a higher assurance.";
    ContextChanged "context_changed" 409 4 "The gate has changed since it was shown.";
    GateNotPending "gate_not_pending" 409 4 "The gate has already been decided or superseded.";
    NotGateHolder "not_gate_holder" 403 5 "Another member holds this gate.";
    StateTampered "state_tampered" 500 6 "The stored state differs from the audit log: another program wrote to the database.";
    RootChanged "root_changed" 409 6 "The member's key belongs to another workspace, or to another root: this one was made anew.";
    AuditBroken "audit_broken" 500 6 "The audit log was changed, truncated or reordered.";
    NotChecked "not_checked" 409 10 "Something that was named could not be compared.";
    PollBusy "poll_busy" 409 9 "Another program polled for so long that this one did nothing.";
    ClockDoubtful "clock_doubtful" 503 9 "The clock of this machine is not believed, so nothing was scheduled, measured or decided; only danger was looked for.";
    ConfigInvalid "config_invalid" 422 2 "The outcome file is not valid.";
    ConfigNotFound "config_not_found" 404 3 "There is no outcome file in this directory or above it.";
    WorkspaceNotFound "workspace_not_found" 404 3 "There is no workspace in this directory or above it.";
    WorkspaceTracked "workspace_tracked" 403 5 "Git tracks the workspace's folder, so it may have come with a clone. It is not used.";
    WorkspaceExists "workspace_exists" 409 4 "The workspace already exists.";
    ClientFileInvalid "client_file_invalid" 422 2 "A client's configuration file cannot be read, so it was not changed.";
    BaselineFar "baseline_far" 409 4 "The measured baseline is far from the baseline in the file.";
    SlotsFull "slots_full" 409 4 "The maximum number of experiments is already open.";
    Infeasible "infeasible" 422 2 "The plan is too short to detect its effect.";
    HypothesisIncomplete "hypothesis_incomplete" 422 2 "A field of a candidate is missing or impossible.";
    ScopeViolation "scope_violation" 422 7 "The change contains paths outside its scope.";
    ScopePatternInvalid "scope_pattern_invalid" 422 2 "A path pattern is invalid.";
    RepoNotFound "repo_not_found" 404 3 "There is no git repository here.";
    RepoEmpty "repo_empty" 409 4 "The git repository has no commits.";
    RevisionNotFound "revision_not_found" 404 3 "The repository has no such commit.";
    DefaultBranchUnknown "default_branch_unknown" 409 4 "Nothing says which branch of the repository is the default one.";
    BaseNotAncestor "base_not_ancestor" 409 4 "The reported commit does not descend from the brief's base commit.";
    GitUnavailable "git_unavailable" 500 8 "The git program cannot be run.";
    RepoNotTrusted "repo_not_trusted" 403 5 "Git does not trust a repository that belongs to another user.";
    GitFailed "git_failed" 500 8 "Git failed.";
    GitTimedOut "git_timed_out" 504 8 "Git took too long.";
    GitOutputTooLarge "git_output_too_large" 500 8 "The diff is too large to be checked.";
    GitOutputInvalid "git_output_invalid" 500 8 "Git gave an unexpected answer.";
    GitObjectForged "git_object_forged" 500 6 "An object of the repository is not what its id stands for.";
    ConnectorUnknown "connector_unknown" 404 3 "No connector has this name.";
    ConnectorConfig "connector_config" 422 2 "The settings of a connector are invalid.";
    SecretMissing "secret_missing" 422 2 "A variable, a file or a stored secret that a reference names is missing.";
    SecretChanged "secret_changed" 500 6 "The sealed row of a secret is not what was sealed: another program wrote to the database.";
    EncryptionKeyMissing "encryption_key_missing" 422 2 "Secrets are sealed, and this program has no key for them.";
    EncryptionKeyInvalid "encryption_key_invalid" 422 2 "The encryption key is not 32 bytes in hexadecimal or base64, or cannot be read.";
    EncryptionKeyWrong "encryption_key_wrong" 409 5 "A secret is sealed with another key than this program has.";
    KeyringUnavailable "keyring_unavailable" 503 8 "The operating system's keyring cannot be used here.";
    SignalFetchFailed "signal_fetch_failed" 502 8 "A source could not be read.";
    SignalShape "signal_shape" 502 8 "A source returned columns or values that cannot be used.";
    SignalUnauthorized "signal_unauthorized" 502 8 "A source rejected the credentials.";
    SourceOverpowered "source_overpowered" 403 5 "The user of a connector can act outside of a read-only transaction.";
    SourceElsewhere "source_elsewhere" 409 5 "A source or the flag service leads to another place here than the one that a member signed.";
    SignalTimeout "signal_timeout" 504 8 "A source took too long to answer.";
    SignalThrottled "signal_throttled" 503 8 "A source has answered as often as its limits allow, or is overloaded.";
    IngestSignature "ingest_signature" 401 5 "The signature of a pushed reading is wrong.";
    IngestStale "ingest_stale" 401 5 "The timestamp of a pushed reading is outside the replay window.";
    FlagFailed "flag_failed" 502 8 "The flag service could not be read or written.";
    FlagDrift "flag_drift" 409 4 "The flag is not where the runtime put it.";
    DatabaseUnavailable "database_unavailable" 503 8 "The database cannot be opened or reached.";
    DatabaseLocked "database_locked" 503 8 "Another program holds the database's write lock.";
    DatabaseReadOnly "database_read_only" 503 8 "The database cannot be written.";
    DatabaseEmpty "database_empty" 503 8 "The database holds no workspace of this program.";
    DatabaseOlder "database_older" 503 8 "The database has the schema of an earlier version of this program.";
    DatabaseNewer "database_newer" 503 8 "The database was created by a newer version of this program.";
    DatabaseCorrupt "database_corrupt" 500 8 "The database is damaged.";
    DatabaseFull "database_full" 507 8 "The disk or the database is full.";
    DatabaseFailed "database_failed" 500 8 "The database refused a statement.";
    RowMissing "row_missing" 500 6 "A row that had to be changed is missing: another program removed it, and nothing was written.";
    PortTaken "port_taken" 500 8 "Another program listens on the daemon's port.";
    ClockMismatch "clock_mismatch" 409 4 "A virtual clock was used with a real workspace, or a real clock with a virtual one.";
    RateLimited "rate_limited" 429 8 "Too many requests.";
    Io "io" 500 8 "A file could not be read or written.";
    Internal "internal" 500 1 "A bug in this program.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, for a person and for a program.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: Code,
    message: String,
    hint: Option<String>,
    context: Map<String, Value>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error that says what happened.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { code, message: message.into(), hint: None, context: Map::new(), source: None }))
    }

    /// `kind` has no `reference`.
    #[must_use]
    pub fn not_found(kind: &str, reference: &str) -> Self {
        let shown: String = reference.chars().filter(|c| !c.is_control()).take(80).collect();
        Self::new(Code::NotFound, format!("there is no {kind} `{shown}` in this workspace")).with(kind, shown)
    }

    /// What the reader can do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// A field for programs.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.context.insert(key.to_owned(), value.into());
        self
    }

    /// What caused it.
    #[must_use]
    pub fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// Its stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }
    /// What happened, without its cause.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
    /// What to do next.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
    /// Fields for programs.
    #[must_use]
    pub fn context(&self) -> &Map<String, Value> {
        &self.0.context
    }

    /// A field for programs, as the type with which it was set; `None` where the error has none of it.
    #[must_use]
    pub fn detail<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        self.0.context.get(key).and_then(|value| T::deserialize(value).ok())
    }

    /// What happened, the code, and what to do next, in one line: for texts that are kept and shown later.
    #[must_use]
    pub fn with_remedy(&self) -> String {
        let what: String = error_chain(self).chars().take(400).collect();
        match self.hint_text() {
            Some(hint) => {
                let hint: String = hint.chars().take(300).collect();
                format!("{what} ({}); to do: {hint}", self.code().as_str())
            }
            None => format!("{what} ({})", self.code().as_str()),
        }
    }

    /// The shape that REST, `--json` and MCP share.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        out.insert("code".to_owned(), self.code().as_str().into());
        out.insert("message".to_owned(), error_chain(self).into());
        if let Some(hint) = self.hint_text() {
            out.insert("hint".to_owned(), hint.into());
        }
        if !self.0.context.is_empty() {
            out.insert("context".to_owned(), Value::Object(self.0.context.clone()));
        }
        Value::Object(out)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

/// The message with the messages of its causes, each said once, cut to 1,000 characters.
#[must_use]
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !out.contains(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
        next = cause.source();
    }
    if out.chars().count() > 1000 {
        out = out.chars().take(1000).chain("...".chars()).collect();
    }
    out
}
