//! The map: which layer may use which. A new arrow here is an ADR (docs/adr), and docs/ARCHITECTURE.md draws it.
//!
//! A layer is a folder of `crates` and the modules below it that have no row of their own; the longest row counts.
//! `core::lib` and `cli::main` are the roots' own files.

/// A layer, and the layers that it may use besides itself, what is below itself, and [`BASE`].
pub struct Layer {
    /// Where it begins.
    pub name: &'static str,
    /// What it may use. A name includes everything below it.
    pub uses: &'static [&'static [&'static str]],
}

/// What every other layer may use, except those without any arrow.
pub const BASE: &[&str] =
    &["core::error", "core::ids", "core::principal", "core::digest", "core::dsse", "core::text_enum"];

/// What a front end may see of the core: its doors and what they speak of, never its storage.
const DOORS: &[&str] = &[
    "core::usecases",
    "core::domain",
    "core::present",
    "core::config",
    "core::settings",
    "core::address",
    // A guard asks where the work tree of an edited file belongs before any workspace is open.
    "core::checkout",
    "core::scope",
    "core::identity",
    "core::audit",
    "core::clock",
    // What a simulation on the command line shows is what a gate shows.
    "core::dry_run",
    // A candidate is read and checked in one place, whichever program takes it.
    "core::hypotheses",
];

/// The rows.
pub const MAP: &[Layer] = &[
    Layer { name: "stats", uses: &[] },
    // The core, from its floor to its doors.
    Layer { name: "core::error", uses: &[] },
    Layer { name: "core::clock", uses: &[] },
    // What is hashed and signed, and enums that are words: no rule of the product.
    Layer { name: "core::digest", uses: &[] },
    Layer { name: "core::dsse", uses: &[] },
    Layer { name: "core::text_enum", uses: &[] },
    Layer { name: "core::ids", uses: &[&["core::clock"]] },
    Layer { name: "core::principal", uses: &[&["core::ids", "core::text_enum"]] },
    Layer { name: "core::domain", uses: &[&["stats"]] },
    // A transition takes a decision only as the proof that its signature was verified.
    Layer { name: "core::lifecycle", uses: &[&["core::domain", "core::identity", "stats"]] },
    Layer { name: "core::present", uses: &[&["core::domain", "stats"]] },
    Layer { name: "core::ports", uses: &[&["core::domain", "core::file_trouble"]] },
    // Secrets at rest and the keys for them: pure, but for a key's file (ADR 25).
    Layer { name: "core::sealing", uses: &[] },
    // An error of a reference says why what is sealed does not open.
    Layer { name: "core::config", uses: &[&["core::domain", "core::ports", "core::characters", "core::sealing"]] },
    Layer { name: "core::registry", uses: &[&["core::domain", "core::ports", "core::config"]] },
    // Where the runtime's own database is: read from a setting, opened by the store.
    Layer { name: "core::address", uses: &[] },
    // What an account remembers of logs, in a folder of its own.
    Layer { name: "core::seen", uses: &[&["core::stores"]] },
    // Where an account keeps the data of its workspaces.
    Layer { name: "core::stores", uses: &[] },
    // What is wrong with a file, asked of the disk: of the runtime's own database, and of a source.
    Layer { name: "core::file_trouble", uses: &[] },
    // What cannot be seen or told from another, in a path, a rule and a file.
    Layer { name: "core::characters", uses: &[] },
    // Which program of a name is run, such as git: one in a place that an agent cannot write to.
    Layer { name: "core::programs", uses: &[] },
    // Whether a coding agent started this shell.
    Layer { name: "core::agent_shell", uses: &[] },
    // Where a work tree of git belongs, read from files.
    Layer { name: "core::checkout", uses: &[] },
    Layer {
        name: "core::settings",
        uses: &[&["core::config", "core::address", "core::checkout", "core::seen", "core::stores", "core::sealing"]],
    },
    // Git gets no key of sealed secrets.
    Layer {
        name: "core::scope",
        uses: &[&["core::domain", "core::characters", "core::checkout", "core::programs", "core::sealing"]],
    },
    // The rules about paths are texts and pure; only what reads a repository does I/O.
    Layer { name: "core::scope::path", uses: &[] },
    Layer { name: "core::scope::error", uses: &[&["core::scope::path"]] },
    Layer { name: "core::scope::territory", uses: &[&["core::scope::path"]] },
    Layer {
        name: "core::scope::rules",
        uses: &[&["core::characters", "core::scope::path", "core::scope::error", "core::scope::territory"]],
    },
    Layer { name: "core::identity", uses: &[&["core::domain"]] },
    Layer { name: "core::audit", uses: &[&["core::domain", "core::lifecycle", "core::identity"]] },
    // A hypothesis declares paths, and two may not declare the same.
    Layer { name: "core::hypotheses", uses: &[&["core::domain", "core::present", "core::scope::rules", "stats"]] },
    // Between readings, plan and statistics; both are pure and belong to no noun.
    Layer { name: "core::evaluation", uses: &[&["core::domain", "core::hypotheses", "stats"]] },
    // What it plays is what the lifecycle does with a poll, and not a copy of it.
    Layer { name: "core::dry_run", uses: &[&["core::domain", "core::lifecycle", "stats"]] },
    // Sealed keys and verified decisions are stored as they are.
    Layer {
        name: "core::store",
        uses: &[&[
            "core::domain",
            "core::audit",
            "core::lifecycle",
            "core::identity",
            "core::address",
            "core::seen",
            "core::file_trouble",
        ]],
    },
    // From the tables of a database to a text: pure. What asks the database is a use case.
    Layer { name: "core::first_file", uses: &[&["core::domain", "core::ports", "core::present", "core::characters"]] },
    Layer { name: "core::usecases", uses: &[&["core", "stats"]] },
    // Names the modules and re-exports the statistics.
    Layer { name: "core::lib", uses: &[&["core", "stats"]] },
    // Vendors. Assertions of service accounts hold the time, and a program is run only from a trusted place (ADR 23).
    Layer {
        name: "integrations",
        uses: &[&[
            "core::domain",
            "core::ports",
            "core::config",
            "core::file_trouble",
            "core::clock",
            "core::programs",
        ]],
    },
    // Front ends. Only a program's root plugs the vendors in.
    Layer { name: "mcp", uses: &[DOORS] },
    Layer { name: "mcp::main", uses: &[DOORS, &["mcp", "integrations"]] },
    // The daemon takes pushed readings, and hosts the agent's handler.
    Layer { name: "daemon", uses: &[DOORS, &["core::ports", "mcp"]] },
    Layer { name: "daemon::main", uses: &[DOORS, &["daemon", "mcp", "integrations"]] },
    // The CLI has the statistics' door.
    Layer { name: "cli", uses: &[DOORS, &["stats", "core::checkout", "core::agent_shell"]] },
    // A key is touched at a terminal, so the terminal's program is the one that implements that port.
    Layer { name: "cli::ssh_keygen", uses: &[DOORS, &["core::ports", "core::programs"]] },
    // Whether the daemon answers is asked of the network, which only the integrations do.
    Layer { name: "cli::pages", uses: &[&["integrations"]] },
    Layer { name: "cli::main", uses: &[DOORS, &["cli", "integrations"]] },
    Layer { name: "xtask", uses: &[&["core", "stats", "integrations"]] },
];

/// Crates of others that do I/O, belong to one door, or bring chance, and the layers that may name them. Others are free.
pub const RESERVED: &[(&str, &[&str])] = &[
    // Ids and words of the domain derive how they are stored; the demonstration plays a shop with a database of its own.
    ("sqlx", &["core::store", "core::domain", "core::ids", "integrations", "cli::commands::demo"]),
    ("reqwest", &["integrations"]),
    ("tokio", &["core::store", "core::scope", "core::usecases", "integrations", "mcp", "daemon", "cli"]),
    ("rand", &["stats", "core::ids", "core::dry_run", "core::usecases", "cli::commands::demo"]),
    ("rmcp", &["mcp", "daemon::mcp", "cli::clients", "cli::commands::demo"]),
    ("axum", &["daemon"]),
    ("askama", &["mcp", "daemon"]),
    ("clap", &["mcp::main", "daemon", "cli"]),
    // The demonstration is a story told once, and no door.
    ("anyhow", &["mcp::main", "daemon::main", "cli::main", "cli::commands::demo", "xtask"]),
];
