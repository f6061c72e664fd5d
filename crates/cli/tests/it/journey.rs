//! Four weeks on a virtual clock: from a hypothesis to a verdict and a shipped change, with nothing but the program.

use std::fmt::Write as _;

use crate::home::{Home, Ran, clean};

struct Weeks {
    home: Home,
}

impl Weeks {
    fn at(&self, instant: &str) -> &Self {
        self.home.write("clock", instant);
        self
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut shell = clean(std::process::Command::new("sh"), &self.home.path(""));
        shell.env("OUTCOME_RUNTIME_CLOCK_FILE", self.home.path("clock"));
        shell.args(["-c", "exec \"$0\" \"$@\" 3<passphrase", crate::home::BIN, "--no-input"]).args(args);
        let done = shell.output().unwrap();
        Ran {
            code: done.status.code().unwrap(),
            stdout: String::from_utf8(done.stdout).unwrap(),
            stderr: String::from_utf8(done.stderr).unwrap(),
        }
    }

    fn sign(&self, args: &[&str]) -> Ran {
        self.run(&[args, &["--passphrase-fd", "3"]].concat())
    }
}

impl Weeks {
    /// The proof pack holds for a program that shares no code with us, and for the log.
    fn check_proof(&self, slug: &str) {
        let said = self.run(&["stats", "proof", slug, "-o", "proof.json"]).exits(0).stdout;
        assert!(said.contains("Written") && said.contains("28"), "{said}");
        let printed = self.run(&["stats", "proof", slug]).exits(0).json();
        assert_eq!(printed["verdict"]["decision"], "ship");
        self.home.write("log.jsonl", &self.run(&["audit", "export"]).exits(0).stdout);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/verify_proof.py");
        let mut python = clean(std::process::Command::new("python3"), &self.home.path(""));
        let Ok(done) = python.args([script, "proof.json", "--log", "log.jsonl"]).output() else {
            eprintln!("SKIPPED: there is no python3 on this machine");
            return;
        };
        assert!(done.status.success(), "{done:?}");
    }
}

/// Visitors of the week before, and 28 days of exposures: 10 % of control and 16 % of treatment sign up.
fn traffic() -> Vec<String> {
    let mut visitors =
        String::from("DELETE FROM visitors; INSERT INTO visitors (id, first_seen_at, signed_up_at) VALUES ");
    let mut exposures = String::from("INSERT INTO exposures VALUES ");
    for n in 0..2800 {
        let (day, hour) = (1 + n / 400, n % 24);
        let signed_up = if n % 10 == 0 { format!("'2026-03-{day:02} {hour:02}:30:00'") } else { "NULL".to_owned() };
        let _ = write!(visitors, "({n}, '2026-03-{day:02} {hour:02}:15:00', {signed_up}),");
    }
    for n in 0..5600 {
        let id = 10_000 + n;
        let (day, hour) = (9 + n / 200, n % 24);
        let date = if day <= 31 { format!("2026-03-{day:02}") } else { format!("2026-04-{:02}", day - 31) };
        let (variant, share) = if n % 2 == 0 { ("control", 10) } else { ("treatment", 16) };
        let signed_up =
            if n / 2 % 100 * 37 % 100 < share { format!("'{date} {hour:02}:30:00'") } else { "NULL".to_owned() };
        let _ = write!(visitors, "({id}, '{date} {hour:02}:15:00', {signed_up}),");
        let _ = write!(exposures, "({id}, 'short-signup-form', '{variant}', '{date} {hour:02}:15:00'),");
    }
    vec![visitors.trim_end_matches(',').to_owned(), exposures.trim_end_matches(',').to_owned()]
}

#[test]
fn four_weeks_end_with_a_shipped_change() {
    let weeks = Weeks { home: Home::new() };
    weeks.home.shop(&traffic());
    weeks.at("2026-03-08T23:00:00Z").sign(&["init", "--template"]).exits(0);
    weeks.sign(&["apply"]).exits(0);
    weeks.sign(&["activate", "signup-rate"]).exits(0);
    let template = weeks.run(&["experiment", "propose", "--template"]).exits(0).stdout;
    weeks.home.write("h.yaml", &template.replace("effect: 0.02", "effect: 0.05"));
    let done =
        weeks.run(&["experiment", "propose", "--outcome", "signup-rate", "--file", "h.yaml", "--json"]).exits(0).json();
    let slug = done["proposed"][0].as_str().unwrap().to_owned();
    weeks.sign(&["gate", "decide", done["gates"][0].as_str().unwrap(), "--verdict", "approve"]).exits(0);
    weeks.home.git(&["checkout", "-q", "-b", "change"]);
    weeks.home.write("src/signup/form.txt", "two fields if short-signup-form\n");
    weeks.home.git(&["add", "src"]);
    weeks.home.git(&["commit", "-q", "-m", "change"]);
    let done = weeks.run(&["report", &slug, "--summary", "two fields", "--json"]).exits(0).json();
    let launch = done["gate"].as_str().unwrap().to_owned();
    weeks.at("2026-03-09T00:00:00Z").sign(&["gate", "decide", &launch, "--verdict", "approve"]).exits(0);

    for day in 10..=31 {
        weeks.at(&format!("2026-03-{day:02}T00:00:00Z")).run(&["poll", "--all"]).exits(0);
    }
    for day in 1..=6 {
        weeks.at(&format!("2026-04-{day:02}T00:00:00Z")).run(&["poll", "--all"]).exits(0);
    }
    let status = weeks.run(&["status"]).exits(0).stdout;
    let says = "It works: `signup_rate` is ";
    assert!(status.contains(says) && status.contains("analysis review"), "{status}");
    let numbers = weeks.run(&["status", "--full"]).exits(0).stdout;
    assert!(numbers.contains("Ship") && numbers.contains("p (success / harm)"), "{numbers}");
    let short = weeks.run(&["experiment", "show", &slug]).exits(0).stdout;
    for part in [says, "of every 1,000 users", "however often one", "Control (o) and treatment (*)", "--full`"] {
        assert!(short.contains(part), "{part} is missing in\n{short}");
    }
    let shown = weeks.run(&["experiment", "show", &slug, "--full"]).exits(0).stdout;
    for part in ["Control (o) and treatment (*)", "└──", "│", "p (always valid)", "recommends", "effect"] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
    let gate =
        |weeks: &Weeks| weeks.run(&["gate", "list", "--json"]).exits(0).json()[0]["gate"].as_str().unwrap().to_owned();
    let analysis = gate(&weeks);
    let page = weeks.run(&["gate", "show", &analysis]).exits(0).stdout;
    assert!(page.contains("recommended    ship") && page.contains(says), "{page}");
    weeks.sign(&["gate", "decide", &analysis, "--verdict", "ship"]).exits(0);
    let done = weeks.sign(&["gate", "decide", &gate(&weeks), "--verdict", "approve", "--json"]).exits(0);
    assert_eq!(done.json()["experiment_status"], "shipped");
    let learnt = weeks.run(&["learnings", "--json"]).exits(0).json();
    assert_eq!(learnt[0]["finding_type"], "confirmed_hypothesis");
    assert!(learnt[0]["finding"].as_str().unwrap().starts_with(says), "{learnt}");
    assert_eq!(weeks.run(&["audit", "verify", "--json"]).exits(0).json()["is_intact"], true);
    weeks.check_proof(&slug);
    assert_eq!(weeks.home.run(&["status", "--json"]).exits(4).error_code(), "clock_mismatch");
}

/// The file that `init` writes, as somebody has it who wrote it before: without the root of a workspace.
fn outcome_file() -> String {
    let other = Weeks { home: Home::new() };
    other.home.shop(&[]);
    other.at("2026-03-08T23:00:00Z").sign(&["init", "--template"]).exits(0);
    let text = std::fs::read_to_string(other.home.path("outcome.yaml")).unwrap();
    assert!(text.contains("\nroot: "), "{text}");
    text.lines().filter(|line| !line.starts_with("root: ")).fold(String::new(), |text, line| text + line + "\n")
}

/// Everything else here runs without a passphrase, and would be refused where one is needed.
#[test]
fn from_nothing_to_a_number_with_one_passphrase_and_to_a_launch_with_two_more() {
    let weeks = Weeks { home: Home::new() };
    weeks.home.shop(&traffic());
    weeks.home.write("outcome.yaml", &outcome_file());
    let begun = std::time::Instant::now();
    weeks.at("2026-03-08T23:00:00Z").sign(&["init"]).exits(0);
    let status = weeks.run(&["status", "--json"]).exits(0).json();
    let outcome = &status["outcomes"][0];
    assert_eq!(outcome["status"], "active", "{status:#}");
    let baseline = outcome["baseline"].as_f64().unwrap();
    assert!((0.09..0.11).contains(&baseline), "one of ten signs up: {status:#}");
    let to_number = begun.elapsed();
    let template = weeks.run(&["experiment", "propose", "--template"]).exits(0).stdout;
    weeks.home.write("h.yaml", &template.replace("effect: 0.02", "effect: 0.05"));
    let propose = ["experiment", "propose", "--outcome", "signup-rate", "--file", "h.yaml", "--json"];
    let done = weeks.run(&propose).exits(0).json();
    let (slug, gate) =
        (done["proposed"][0].as_str().unwrap().to_owned(), done["gates"][0].as_str().unwrap().to_owned());
    weeks.sign(&["gate", "decide", &gate, "--verdict", "approve"]).exits(0);
    weeks.home.git(&["checkout", "-q", "-b", "change"]);
    weeks.home.write("src/signup/form.txt", "two fields if short-signup-form\n");
    weeks.home.git(&["add", "src"]);
    weeks.home.git(&["commit", "-q", "-m", "change"]);
    let launch = weeks.run(&["report", &slug, "--summary", "two fields", "--json"]).exits(0).json();
    let launch = launch["gate"].as_str().unwrap().to_owned();
    let done = weeks.sign(&["gate", "decide", &launch, "--verdict", "approve", "--json"]).exits(0).json();
    assert_eq!(done["experiment_status"], "running");
    println!("to the first number: {to_number:.2?}; to the launch: {:.2?}", begun.elapsed());
}
