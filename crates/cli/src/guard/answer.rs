//! How each client wants to hear it.

use serde_json::{Value, json};

use super::doubt::Doubt;
use crate::args::GuardClient;

/// What the guard has to say about a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: the client goes on as if there were no guard.
    Silent,
    /// The call goes on, and the person hears that nobody checked it.
    Unchecked(String),
    /// The call is refused, and the model hears why.
    Refused(String),
}

/// What is printed, and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// For stdout, as one line.
    pub stdout: Option<Value>,
    /// For stderr.
    pub stderr: Option<String>,
    /// 0, or 2 where only that refuses.
    pub exit: u8,
}

impl Answer {
    /// The edit passes, and the person hears why nobody checked it.
    pub(super) fn unchecked(doubt: &Doubt) -> Self {
        Self::Unchecked(format!(
            "unchecked: Outcome Runtime could not check this edit, so it was allowed: {}. The build report will check what is committed.",
            doubt.to_string().trim_end_matches('.')
        ))
    }

    /// The edit passes, since the check took longer than a person waits.
    #[must_use]
    pub fn too_late() -> Self {
        Self::unchecked(&Doubt::TooLate)
    }

    /// The edit passes, since the request is larger than what is read.
    #[must_use]
    pub fn too_large() -> Self {
        Self::unchecked(&Doubt::TooLarge)
    }

    /// In the form that `client` understands.
    #[must_use]
    pub fn reply(self, client: GuardClient) -> Reply {
        let quiet = Reply { stdout: None, stderr: None, exit: 0 };
        match (client, self) {
            (GuardClient::ClaudeCode | GuardClient::Codex, answer) => Reply {
                stdout: match answer {
                    Self::Silent => None,
                    Self::Unchecked(text) => Some(json!({ "systemMessage": text })),
                    Self::Refused(reason) => Some(json!({
                        "hookSpecificOutput": {
                            "hookEventName": "PreToolUse",
                            "permissionDecision": "deny",
                            "permissionDecisionReason": reason,
                        }
                    })),
                },
                ..quiet
            },
            // Cursor wants an answer each time.
            (GuardClient::Cursor, answer) => Reply {
                stdout: Some(match answer {
                    Self::Silent => json!({ "permission": "allow" }),
                    Self::Unchecked(text) => json!({ "permission": "allow", "user_message": text }),
                    Self::Refused(reason) => {
                        json!({ "permission": "deny", "user_message": reason, "agent_message": reason })
                    }
                }),
                ..quiet
            },
            (GuardClient::Windsurf, Self::Silent) => quiet,
            (GuardClient::Windsurf, Self::Unchecked(text)) => Reply { stderr: Some(text), ..quiet },
            (GuardClient::Windsurf, Self::Refused(reason)) => Reply { stderr: Some(reason), exit: 2, ..quiet },
        }
    }
}
