//! `outcome-runtime-mcp`: the agent's way in, an MCP server on standard input and output.
//!
//! Whoever talks to it is an *agent*: it proposes, builds and asks; it cannot decide.
//! **Invariant**: standard output carries the protocol and nothing else; logs go to standard error.

mod variables;

use tracing_subscriber::EnvFilter;

/// What `--help` says before the variables.
const HELP: &str = "\
outcome-runtime-mcp: MCP server (stdio) of Outcome Runtime

Usage: outcome-runtime-mcp [--version | --help]

An MCP client starts this program and talks to it over standard input and output.
It needs no argument and no variable: it finds the workspace from the working directory.
`outcome-runtime init --client NAME` writes the client's configuration, and
`outcome-runtime doctor --client NAME` starts the server as that client would.

Variables, all optional (a value that still contains `${` counts as not set):
";

fn main() -> anyhow::Result<()> {
    outcome_core::usecases::keep_memory_private();
    if let Some(argument) = std::env::args().nth(1) {
        return answer_argument(&argument);
    }
    log_to_stderr();
    // Two, so that a call that computes for long delays neither the end of the input nor a signal.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let code = runtime.block_on(outcome_mcp::serve_stdio(&outcome_integrations::VENDORS))?;
    // A standard input that is still being read by a blocked thread must not hold the process.
    std::process::exit(code)
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "no protocol is spoken when an argument is given")]
fn answer_argument(argument: &str) -> anyhow::Result<()> {
    match argument {
        "--version" | "-V" => println!("outcome-runtime-mcp {}", env!("CARGO_PKG_VERSION")),
        "--help" | "-h" => print!("{HELP}{}", variables::help()),
        // For `cargo xtask manifest`: what the protocol cannot say.
        "--describe" => println!("{}", variables::describe()),
        _ => {
            eprintln!("outcome-runtime-mcp accepts only --version and --help\n\n{HELP}{}", variables::help());
            std::process::exit(2);
        }
    }
    Ok(())
}

fn log_to_stderr() {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty() && !value.contains("${"));
    let filter = variable("OUTCOME_RUNTIME_LOG")
        .or_else(|| variable("RUST_LOG"))
        .unwrap_or_else(|| "warn,rmcp=error".to_owned());
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("warn"));
    let filter = match outcome_integrations::NEVER_LOGGED.parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}
