//! Everything that a sequence is made of, chosen before it is played: so that it can be played again with fewer steps.

use outcome_tests::lab::OUTCOME;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Value, json};

use super::git::GitTrick;
use super::human::{self, Act};
use super::shop::FLAGS;
use super::store::{self, Row};

/// Edits of `outcome.yaml` that need a signature: what stands there, and what the attacker writes instead.
pub(super) const POWERFUL: [(&str, &str); 11] = [
    ("sqlite:game.db", "sqlite:evil.db"),
    ("path: flags.json", "path: other.json"),
    ("margin: 0.005", "margin: 0.5"),
    ("[\"game/payments/\"]", "[\"game/nothing/\"]"),
    ("mde: 0.02", "mde: 0.04"),
    ("to: 0.35", "to: 0.31"),
    ("[\"game/\"]", "[\"game/\", \"secrets/\"]"),
    ("SELECT 14000", "SELECT 14001"),
    ("${file:push.secret}", "${file:other.secret}"),
    ("max_concurrent: 9", "max_concurrent: 19"),
    ("feature_flags:\n  provider: flagd_file\n  config: { path: flags.json }\n", ""),
];

/// What the attacker's own programs are started with from now on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Environment {
    Clean,
    /// A `git` first on the path that says that nothing changed.
    LyingGit,
    /// Another home, where nothing was seen yet.
    OtherHome,
    /// Another folder for the store.
    RuntimeHome,
    /// Another database.
    OtherDatabase,
    /// The application's variable.
    ApplicationsDatabase,
    /// Git is told where to look, and what to run.
    GitVariables,
    /// A clock of the attacker's own, this many days ahead.
    Clock(i64),
    /// Another workspace.
    Workspace,
}

/// A file that the attacker writes.
#[derive(Debug, Clone, Copy)]
pub(super) enum FileTrick {
    /// An edit of `outcome.yaml` from the list.
    Powerful(usize),
    /// A title, which needs no signature.
    Free,
    /// `outcome.yaml` is gone.
    NoOutcomeFile,
    /// The file as it was committed.
    CommittedOutcomeFile,
    /// The flag file says that this flag is on for everybody.
    FlagOn(usize),
    NoFlagFile,
    PushSecret,
    /// What this account saw of the log is forgotten.
    ForgetSeen,
    /// The pin of the root in `.outcome`.
    Pin,
    /// The notes and files with anchors in the repository.
    NoAnchors,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Human(Act),
    Later(i64),
    Tool {
        tool: &'static str,
        arguments: Value,
    },
    Rest {
        method: &'static str,
        path: String,
        body: Value,
    },
    /// A command without the passphrase, or with one of the attacker's own.
    Command {
        args: Vec<String>,
        guess: bool,
    },
    Environment(Environment),
    File(FileTrick),
    Row(Row),
    /// A copy of the store is kept, and put back.
    KeepStore,
    PutStoreBack,
    /// `rm -rf .outcome; init`, and then decisions.
    MadeAnew,
    Git(GitTrick),
    /// A build of what is being built is reported, with a forbidden path or without.
    Build {
        is_forbidden: bool,
    },
    /// The source says this.
    Source {
        flag: usize,
        successes: i64,
    },
}

/// How much of a sequence goes past the runtime: where much does, one thing that is found hides that another is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Only through doors, files and git.
    Doors,
    /// One row beside that.
    OneRow,
    Everything,
}

pub(super) fn sequence(rng: &mut StdRng) -> Vec<Step> {
    let reach = match rng.random_range(0..5) {
        0 | 1 => Reach::Doors,
        2 | 3 => Reach::OneRow,
        _ => Reach::Everything,
    };
    let n = rng.random_range(6..15);
    let mut steps: Vec<Step> = (0..n).map(|_| any(rng)).collect();
    if reach != Reach::Everything {
        steps.retain(|step| !matches!(step, Step::Row(_) | Step::MadeAnew | Step::KeepStore | Step::PutStoreBack));
    }
    // Most sequences are interrupted by the member.
    for _ in 0..rng.random_range(0..4) {
        let at = rng.random_range(0..=steps.len());
        steps.insert(at, Step::Human(human::any(rng)));
    }
    if reach == Reach::OneRow {
        let at = rng.random_range(0..=steps.len());
        steps.insert(at, Step::Row(store::any(rng)));
    }
    steps
}

fn any(rng: &mut StdRng) -> Step {
    match rng.random_range(0..100) {
        0..=17 => tool(rng),
        18..=29 => rest(rng),
        30..=47 => command(rng),
        48..=53 => Step::Environment(environment(rng)),
        54..=63 => Step::File(file(rng)),
        64..=79 => Step::Row(store::any(rng)),
        80..=82 => Step::KeepStore,
        83..=84 => Step::PutStoreBack,
        85 => Step::MadeAnew,
        86..=91 => Step::Git(super::git::any(rng)),
        92..=94 => Step::Build { is_forbidden: rng.random_bool(0.5) },
        95..=96 => Step::Source { flag: rng.random_range(0..FLAGS.len()), successes: rng.random_range(0..1000) },
        _ => Step::Later(rng.random_range(1..12)),
    }
}

fn environment(rng: &mut StdRng) -> Environment {
    match rng.random_range(0..9) {
        0 => Environment::Clean,
        1 | 2 => Environment::LyingGit,
        3 => Environment::OtherHome,
        4 => Environment::RuntimeHome,
        5 => Environment::OtherDatabase,
        6 => Environment::ApplicationsDatabase,
        7 => Environment::GitVariables,
        _ if rng.random_bool(0.5) => Environment::Workspace,
        _ => Environment::Clock(rng.random_range(1..5)),
    }
}

fn file(rng: &mut StdRng) -> FileTrick {
    match rng.random_range(0..14) {
        0..=4 => FileTrick::Powerful(rng.random_range(0..POWERFUL.len())),
        5 => FileTrick::Free,
        6 => FileTrick::NoOutcomeFile,
        7 => FileTrick::CommittedOutcomeFile,
        8 | 9 => FileTrick::FlagOn(rng.random_range(0..FLAGS.len())),
        10 => FileTrick::NoFlagFile,
        11 => FileTrick::PushSecret,
        12 => FileTrick::ForgetSeen,
        _ if rng.random_bool(0.5) => FileTrick::Pin,
        _ => FileTrick::NoAnchors,
    }
}

/// An experiment, a gate of it or something that is neither.
fn name(rng: &mut StdRng) -> String {
    let experiment = FLAGS.choose(rng).map_or("x", |(experiment, _)| *experiment);
    match rng.random_range(0..12) {
        0..=8 => experiment.to_owned(),
        9 => "nope".to_owned(),
        10 => format!("{experiment}' OR 1=1 --"),
        _ => String::new(),
    }
}

fn gate(rng: &mut StdRng) -> String {
    let kind = ["portfolio", "launch", "analysis", "change", "ship"].choose(rng).copied().unwrap_or("launch");
    format!("{kind}-{}", name(rng))
}

fn tool(rng: &mut StdRng) -> Step {
    let (experiment, gate) = (name(rng), gate(rng));
    let (tool, mut arguments) = match rng.random_range(0..9) {
        0 => ("get_active_outcomes", json!({ "detail": "full" })),
        1 => ("get_work_order", json!({ "outcome_id": OUTCOME })),
        2 => ("submit_hypotheses", json!({ "outcome_id": OUTCOME, "hypotheses": [hypothesis(rng)] })),
        3 => ("get_experiment_brief", json!({ "experiment_id": experiment })),
        4 | 5 => (
            "report_experiment_built",
            json!({ "experiment_id": experiment, "summary": "built", "head": "main", "files_changed": ["game/level.txt"] }),
        ),
        6 => (
            "request_human_gate",
            json!({ "experiment_id": experiment, "question": "May I?", "gate_type": "launch_approval" }),
        ),
        7 => ("get_gate", json!({ "gate_id": gate })),
        _ => ("query_learnings", json!({ "query": experiment })),
    };
    // One of them with something that does not belong there.
    if rng.random_bool(0.4)
        && let Some(map) = arguments.as_object_mut()
    {
        let (key, value) = odd(rng);
        map.insert(key, value);
    }
    Step::Tool { tool, arguments }
}

fn odd(rng: &mut StdRng) -> (String, Value) {
    let words = [
        "verdict",
        "status",
        "passphrase",
        "decision",
        "member",
        "experiment_id",
        "gate_id",
        "head",
        "failed",
        "outcome_id",
    ];
    let values =
        [json!("approve"), json!(null), json!(-1), json!(["approve"]), json!({ "approved": true }), json!("running")];
    let word = words.choose(rng).copied().unwrap_or("verdict");
    (word.to_owned(), values.choose(rng).cloned().unwrap_or_default())
}

fn hypothesis(rng: &mut StdRng) -> Value {
    let flag = FLAGS.choose(rng).map_or("new", |(_, flag)| *flag);
    let flag = if rng.random_bool(0.5) { format!("{flag}{}", rng.random_range(0..90)) } else { flag.to_owned() };
    let mut made = json!(outcome_tests::lab::hypothesis(&format!("Idea {}", rng.random_range(0..1000)), &flag));
    if rng.random_bool(0.3) {
        made["touched_paths"] = json!(["game/payments/"]);
    }
    if rng.random_bool(0.3) {
        let (key, value) = odd(rng);
        made[key] = value;
    }
    made
}

fn rest(rng: &mut StdRng) -> Step {
    let (experiment, gate) = (name(rng).replace([' ', '\'', '='], "-"), gate(rng).replace([' ', '\'', '='], "-"));
    let decision = json!({ "verdict": "approve", "context_hash": "0".repeat(64), "passphrase": super::shop::OWN });
    let (method, path, body) = match rng.random_range(0..11) {
        0 => ("GET", "/api/v1/outcomes".to_owned(), json!({})),
        1 => ("GET", format!("/api/v1/experiments/{experiment}"), json!({})),
        2 | 3 => ("POST", format!("/api/v1/gates/{gate}/respond"), decision),
        4 => ("POST", format!("/gates/{gate}/decide"), decision),
        5 => ("POST", format!("/api/v1/experiments/{experiment}/built"), json!({ "summary": "built", "head": "main" })),
        6 => ("POST", format!("/api/v1/experiments/{experiment}/fail"), json!({ "reason": "it does not compile" })),
        7 => ("POST", format!("/api/v1/experiments/{experiment}/gates"), json!({ "question": "May I?" })),
        8 => ("POST", format!("/api/v1/outcomes/{OUTCOME}/experiments"), json!({ "hypotheses": [hypothesis(rng)] })),
        9 => ("POST", "/api/v1/signals/connectors/game/test".to_owned(), json!({})),
        _ => ("PUT", format!("/api/v1/gates/{gate}"), json!({ "status": "approved" })),
    };
    Step::Rest { method, path, body }
}

fn command(rng: &mut StdRng) -> Step {
    let (experiment, gate) = (name(rng), gate(rng));
    let text = match rng.random_range(0..27) {
        0 | 1 => vec!["apply"],
        2 => vec!["activate", OUTCOME, "--accept-baseline"],
        3 => vec!["abandon", OUTCOME],
        4 => vec!["confirm", OUTCOME],
        5 => vec!["experiment", "pause", &experiment, "--unsigned"],
        6 => vec!["experiment", "kill", &experiment, "--unsigned"],
        7 => vec!["experiment", "resume", &experiment],
        8 => vec!["experiment", "retry", &experiment],
        9 => vec!["experiment", "propose", &experiment],
        10 | 11 => vec!["gate", "decide", &gate, "--verdict", "approve", "--confirm-checklist", "--unsigned"],
        12 => vec!["gate", "decide", &gate, "--verdict", "approve"],
        13 => vec!["gate", "decide", &gate, "--verdict", "kill", "--note", "no", "--unsigned"],
        14 => vec!["report", &experiment, "--summary", "built", "--head", "main"],
        15 => vec!["report", &experiment, "--failed", "it does not compile"],
        16 => vec!["poll", "--all"],
        17 => vec!["poll"],
        18 => vec!["stats", "recompute"],
        19 => vec!["messages", "retry", "--all"],
        20 => vec!["key", "rotate"],
        21 => vec!["key", "recover"],
        22 => vec!["audit", "restore", "--from", "a backup"],
        23 => vec!["audit", "anchor", "--git-note"],
        24 => vec!["audit", "anchor"],
        25 => vec!["init", "--email", "dana@example.com", "--name", "Dana"],
        _ => vec!["migrate"],
    };
    Step::Command { args: text.into_iter().map(ToOwned::to_owned).collect(), guess: rng.random_bool(0.3) }
}
