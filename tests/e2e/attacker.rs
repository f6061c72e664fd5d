//! An attacker with a shell in the member's account, who does not know the passphrase: tools, routes, commands, files, rows,
//! environment and git, in random order, between acts of the member. Whatever they cause without the member's key is refused, or
//! found from another machine with an anchor of the member's, or by the member's next unsealing.

mod catalogue;
mod git;
mod human;
mod oracle;
mod play;
mod shop;
mod step;
mod store;
mod unseen;

use anyhow::{Result, bail};
use outcome_tests::{postgres, sample};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use human::Ledger;
use oracle::Facts;
use shop::Prepared;
use step::Step;

/// Sequences on each engine, of the 40 and the 1,000 in all.
fn n_sequences(of: (u64, u64)) -> u64 {
    let chosen = std::env::var("OUTCOME_TEST_SEQUENCES").ok().and_then(|text| text.parse().ok());
    chosen.unwrap_or_else(|| sample::count(of.0, of.1))
}

async fn sequences(prepared: Prepared, n: u64) -> Result<()> {
    let ledger = Ledger::prepared(&Facts::of(&prepared.shop().await?).await?);
    let seed = sample::seed(20_261_128);
    let (mut n_found, mut n_honest, mut n_refused, mut failed) = (0, 0, 0, Vec::new());
    for number in 0..n {
        let steps = step::sequence(&mut StdRng::seed_from_u64(seed.wrapping_mul(10_007).wrapping_add(number)));
        let played = play::played(&prepared, &ledger, &steps).await?;
        if std::env::var_os("OUTCOME_TEST_TRACE").is_some() {
            println!("{number}: {steps:?}\n   {played:?}");
        }
        n_found += u64::from(played.found.is_any());
        n_refused += u64::from(!played.refused.is_empty());
        n_honest += u64::from(played.is_honest);
        if !played.unseen().is_empty() {
            let (steps, unseen) = shrunk(&prepared, &ledger, steps, played.unseen()).await?;
            failed.push(format!("sequence {number} of seed {seed}: {unseen:#?} after {steps:#?}"));
        }
    }
    println!(
        "{n} sequences: something was found in {n_found}, {n_honest} wrote nothing past the runtime, the member was refused in {n_refused}, \
         {} failed",
        failed.len()
    );
    if !failed.is_empty() {
        bail!("{}", failed.join("\n\n"));
    }
    Ok(())
}

/// The sequence without the steps that it does not need.
async fn shrunk(
    prepared: &Prepared,
    ledger: &Ledger,
    mut steps: Vec<Step>,
    mut unseen: Vec<String>,
) -> Result<(Vec<Step>, Vec<String>)> {
    let mut at = steps.len();
    while at > 0 {
        at -= 1;
        let mut fewer = steps.clone();
        fewer.remove(at);
        let played = play::played(prepared, ledger, &fewer).await?;
        if !played.unseen().is_empty() {
            (steps, unseen) = (fewer, played.unseen());
        }
    }
    Ok((steps, unseen))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_an_attacker_causes_on_sqlite_is_unseen() -> Result<()> {
    sequences(Prepared::on(None).await?, n_sequences((26, 650))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_an_attacker_causes_on_postgresql_is_unseen() -> Result<()> {
    match postgres::server() {
        Ok(server) => sequences(Prepared::on(Some(server.database().await)).await?, n_sequences((14, 350))).await,
        Err(skip) => {
            eprintln!("SKIPPED on PostgreSQL: {skip}");
            Ok(())
        }
    }
}
