//! The command line, with and without a terminal.

use anyhow::{Result, ensure};
use outcome_core::Code;
use outcome_tests::lab::PASSPHRASE;

use super::place::{each_place, is_refused, on_sqlite};

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_decides_nothing_without_the_passphrase() -> Result<()> {
    each_place(async |place| {
        let waiting = place.waiting().await?;
        let decide = ["gate", "decide", waiting.gate.as_str(), "--verdict", "approve"];
        let with = |more: &[&'static str]| [decide.to_vec(), more.to_vec()].concat();
        is_refused(&place.cli.refused(&decide)?, Code::PassphraseNeeded)?;
        is_refused(&place.cli.refused_with(&decide, "")?, Code::PassphraseNeeded)?;
        is_refused(&place.cli.refused_with(&decide, "wrong horse battery staple")?, Code::PassphraseWrong)?;
        is_refused(&place.cli.refused_with(&decide, &"a".repeat(100_000))?, Code::PassphraseWrong)?;
        is_refused(&place.cli.refused(&with(&["--passphrase-fd", "99"]))?, Code::PassphraseNeeded)?;
        // Neither variables nor piped stdin nor an argument are looked at.
        let piped = r#"printf '%s\n%s\n' "$OUTCOME_RUNTIME_PASSPHRASE" "$OUTCOME_RUNTIME_PASSPHRASE" | exec setsid --wait "$0" "$@""#;
        let names = ["OUTCOME_RUNTIME_PASSPHRASE", "OUTCOME_PASSPHRASE", "PASSPHRASE", "OR_PASSPHRASE"];
        let envs = names.map(|name| (name, PASSPHRASE));
        is_refused(&place.cli.refusal(piped, &decide, &envs)?, Code::PassphraseNeeded)?;
        is_refused(&place.cli.refused(&with(&["--passphrase", PASSPHRASE]))?, Code::InvalidInput)?;
        let recorded = place.logged("gate.refused")?;
        let codes: Vec<_> = recorded.iter().map(|line| line["payload"]["code"].as_str().unwrap_or_default()).collect();
        let (needed, wrong) = ("passphrase_needed", "passphrase_wrong");
        ensure!(codes == [needed, needed, wrong, wrong, needed, needed], "{codes:?}");

        // Another member, another hash, another verdict: refused with the right passphrase too.
        let other = with(&["--member", "mallory@example.com"]);
        is_refused(&place.cli.refused_with(&other, PASSPHRASE)?, Code::NotFound)?;
        is_refused(&place.cli.refused_with(&with(&["--context-hash", "0000000000000000"]), PASSPHRASE)?, Code::ContextChanged)?;
        let ship = ["gate", "decide", &waiting.gate, "--verdict", "ship"];
        is_refused(&place.cli.refused_with(&ship, PASSPHRASE)?, Code::InvalidInput)?;
        is_refused(&place.cli.refused(&["experiment", "kill", &waiting.experiment])?, Code::PassphraseNeeded)?;
        for verdict in ["approve", "reject"] {
            let asked = place.cli.json(&["gate", "decide", &waiting.gate, "--verdict", verdict, "--unsigned"])?;
            ensure!(asked["is_done"] == false, "{asked}");
        }
        let asked = place.cli.json(&["experiment", "kill", &waiting.experiment, "--unsigned"])?;
        ensure!(asked["is_done"] == false, "{asked}");
        place.is_untouched(&waiting)?;

        // A file that asks for less, or for another, is a proposal until a member signs it, for a known outcome and for its sources.
        let path = place.lab.root().join("outcome.yaml");
        let file = std::fs::read_to_string(&path)?;
        for (from, to) in [
            ("    horizon: 8w\n", "    horizon: 9w\n"),
            ("forbidden_paths: [\"game/payments/\"]", "forbidden_paths: []"),
            ("sqlite:game.db", "sqlite:other.db"),
            ("flags.json", "elsewhere.json"),
        ] {
            let changed = file.replace(from, to);
            ensure!(changed != file, "{from}");
            std::fs::write(&path, changed)?;
            let waits = place.cli.json(&["apply"])?;
            ensure!(waits["is_applied"] == false && waits["gate"].is_string(), "{waits}");
            is_refused(&place.cli.refused_with(&["apply"], "wrong horse battery staple")?, Code::PassphraseWrong)?;
            let plan = place.cli.json(&["plan"])?;
            ensure!(plan["needs_signature"] == true, "{plan}");
        }
        std::fs::write(&path, file)?;
        place.is_untouched(&waiting)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_a_launch_needs_the_right_passphrase() -> Result<()> {
    let place = on_sqlite().await?;
    let waiting = place.launching().await?;
    let args = ["gate", "decide", &waiting.gate, "--verdict", "approve", "--confirm-checklist"];
    let Some((exit, seen)) = place.cli.on_terminal(&args, &[("Passphrase to", "wrong horse")])? else { return Ok(()) };
    ensure!(exit == Some(5) && seen.contains("passphrase_wrong"), "{exit:?} {seen}");
    place.is_untouched(&waiting)?;
    for verdict in ["approve", "reject", "rework"] {
        place.cli.json(&["gate", "decide", &waiting.gate, "--verdict", verdict, "--unsigned"])?;
        place.is_untouched(&waiting)?;
    }
    place.is_intact()
}
