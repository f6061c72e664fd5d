//! Pushed messages that come at the same time: each counts once and is answered for itself.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use outcome_core::Code;
use outcome_core::error::Error;
use outcome_tests::lab::{self, Lab};
use tokio::task::JoinSet;

use crate::journey::each_lab_declaring;

const N_SIGNALS: usize = 20;
const N_EACH: usize = 10;

async fn n_stored(lab: &Lab, signal: &str) -> Result<usize> {
    let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
    let outcome = tx.outcome_by_slug(lab::OUTCOME).await?.context("no outcome")?;
    Ok(tx.measurement_levels(outcome.id, signal, 10_000).await?.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_come_at_once_are_all_stored_once_and_refused_alone() -> Result<()> {
    each_lab_declaring(&lab::file_with_pushed(N_SIGNALS), async |lab| {
        let lab = Arc::new(lab);
        let mut sent = JoinSet::new();
        for n in 0..N_SIGNALS * N_EACH {
            // Each one twice, as a sender does that had no answer; and between them some about a signal that nobody declared.
            for _ in 0..2 {
                let lab = Arc::clone(&lab);
                sent.spawn(async move {
                    let signal = if n % 7 == 3 { "unheard_of".to_owned() } else { format!("pushed_{}", n % N_SIGNALS) };
                    let body = lab::pushed_level(lab.runtime.now(), &signal, 1000, 300);
                    (n, lab.push(&format!("msg_{n}"), &body).await)
                });
            }
        }
        let mut n_refused = 0;
        while let Some(done) = sent.join_next().await {
            let (n, answer) = done?;
            match answer {
                Ok(()) => ensure!(n % 7 != 3, "message {n} is about a signal that nobody declared"),
                Err(error) => {
                    let code = error.downcast_ref::<Error>().map(Error::code);
                    ensure!(n % 7 == 3 && code == Some(Code::SignalShape), "message {n}: {error:#}");
                    n_refused += 1;
                }
            }
        }
        let refused = (0..N_SIGNALS * N_EACH).filter(|n| n % 7 == 3);
        ensure!(n_refused == 2 * refused.count(), "{n_refused} were refused");
        for signal in 0..N_SIGNALS {
            let wanted = (0..N_SIGNALS * N_EACH).filter(|n| n % 7 != 3 && n % N_SIGNALS == signal).count();
            let found = n_stored(&lab, &format!("pushed_{signal}")).await?;
            ensure!(found == wanted, "signal {signal}: {found} readings of {wanted}");
        }
        ensure!(lab.runtime.audit_log().verify(&[]).await?.problems.is_empty());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_stored_once_as_a_whole_or_refused_as_a_whole() -> Result<()> {
    each_lab_declaring(&lab::file_with_pushed(N_SIGNALS), async |lab| {
        let list = |n: usize| {
            let of = |signal: usize| lab::pushed_level(lab.runtime.now(), &format!("pushed_{signal}"), 1000, 300);
            serde_json::Value::Array((0..n).map(of).collect())
        };
        for _ in 0..2 {
            lab.push("list", &list(N_SIGNALS)).await?;
        }
        for signal in 0..N_SIGNALS {
            let found = n_stored(&lab, &format!("pushed_{signal}")).await?;
            ensure!(found == 1, "signal {signal}: {found} readings");
        }
        // One that nobody declared, at its end.
        let error = lab.push("longer", &list(N_SIGNALS + 1)).await.err().context("it was taken")?;
        ensure!(error.downcast_ref::<Error>().map(Error::code) == Some(Code::SignalShape), "{error:#}");
        ensure!(n_stored(&lab, "pushed_0").await? == 1, "a part of a refused list was stored");
        ensure!(lab.runtime.audit_log().verify(&[]).await?.problems.is_empty());
        Ok(())
    })
    .await
}
