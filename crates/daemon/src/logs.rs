//! Log lines go to standard error; `RUST_LOG` filters them.

use std::io::{IsTerminal as _, Write as _};

use outcome_core::Error;
use outcome_core::error::error_chain;
use tracing_subscriber::EnvFilter;

use crate::LogFormat;

/// Starts the log, without what `never_logged` (a directive of `RUST_LOG`) names. A second call does nothing.
pub fn init(format: LogFormat, never_logged: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn,rmcp=off"));
    let filter = match never_logged.parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match format {
        LogFormat::Text => builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// Says why the daemon ends. Standard error may be gone; then nobody reads this anyway.
pub fn fatal(error: &Error) {
    let mut out = format!("error[{}]: {}\n", error.code(), error_chain(error));
    if let Some(hint) = error.hint_text() {
        out.push_str(&format!("  hint: {hint}\n"));
    }
    let _ = std::io::stderr().write_all(out.as_bytes());
}
