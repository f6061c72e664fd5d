//! Whether a coding agent started this shell, as its environment says.
//!
//! Whoever started a shell can read what is typed in it, and press keys in it. An agent that takes the variable away is not kept out by
//! this: it is for agents that do as they are told, and for people who did not notice where they are.

/// What coding agents set for the commands that they run. An editor's own terminal is a person's, so what editors set for it is not
/// here (such as `CURSOR_TRACE_ID` or `VSCODE_PID`), nor what people set to configure an agent.
pub const VARIABLES: [&str; 18] = [
    "AI_AGENT",
    "AMP_CURRENT_THREAD_ID",
    "ANTIGRAVITY_AGENT",
    "AUGMENT_AGENT",
    "CLAUDECODE",
    "CLINE_ACTIVE",
    "CODEX_CI",
    "CODEX_SANDBOX",
    "CODEX_SANDBOX_NETWORK_DISABLED",
    "CODEX_THREAD_ID",
    "COPILOT_CLI",
    "CRUSH",
    "CURSOR_AGENT",
    "GEMINI_CLI",
    "GOOSE_TERMINAL",
    "OPENCODE",
    "PI_CODING_AGENT",
    "QWEN_CODE",
];

/// The variable that says so.
#[must_use]
pub fn started_by(get: impl Fn(&str) -> Option<String>) -> Option<&'static str> {
    let is_set = |name: &&str| get(name).is_some_and(|value| !matches!(value.trim(), "" | "0" | "false"));
    VARIABLES.into_iter().find(|name| is_set(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_shell_is_known_and_an_editors_terminal_is_a_persons() {
        let shell =
            |name: &'static str, value: &'static str| started_by(|asked| (asked == name).then(|| value.to_owned()));
        assert_eq!(shell("CLAUDECODE", "1"), Some("CLAUDECODE"));
        assert_eq!(shell("CODEX_SANDBOX", "seatbelt"), Some("CODEX_SANDBOX"));
        for (name, value) in [("CLAUDECODE", ""), ("CLAUDECODE", "0"), ("VSCODE_PID", "12"), ("CURSOR_TRACE_ID", "x")] {
            assert_eq!(shell(name, value), None, "{name}={value}");
        }
    }
}
