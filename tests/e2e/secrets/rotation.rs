//! Another key: while sources are read, twice, and with a row that does not open.

use anyhow::{Result, ensure};
use outcome_core::Code;
use outcome_core::usecases::{PollRequest, SecretState};
use outcome_tests::lab::local;

use super::keyed::{KEY_FILE, each_keyed, new_key, with_keys};
use super::{applied, is_intact, set};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_while_sources_are_read_and_the_old_one_opens_nothing_any_more() -> Result<()> {
    each_keyed(async |lab| {
        let (old, new) = (lab.root().join(KEY_FILE), lab.root().join(".outcome/new-key"));
        set(&lab.runtime, "GAME", "sqlite:game.db").await?;
        for n in 0..20 {
            set(&lab.runtime, &format!("OTHER_{n}"), &format!("another secret: {n}")).await?;
        }
        applied(&lab, "sqlite:game.db", "${secret:GAME}").await?;
        lab.running("Softer level", "soft").await?;
        lab.arms("soft", (1000, 300, 10), (1000, 300, 10)).await?;
        ensure!(lab.poll_after(1).await?.failures.is_empty());
        let n_lines = lab.log().await?.len();

        // Without a new key there is nothing to rotate to, and what is said names the variable.
        let none = lab.runtime.secrets().rotate_key(&local()).await.unwrap_err();
        let names_it = none.message().contains("OUTCOME_RUNTIME_NEW_ENCRYPTION_KEY");
        ensure!(none.code() == Code::EncryptionKeyMissing && names_it, "{none}");

        // A program that has both reads without a pause.
        let id = new_key(&new)?;
        let reader = with_keys(&lab, Some(old.clone()), Some(new.clone())).await?;
        let clock = lab.clock.clone();
        let reading = tokio::spawn(async move {
            let mut failures = Vec::new();
            for _ in 0..8 {
                clock.advance(jiff::SignedDuration::from_hours(1));
                let round = PollRequest { is_forced: true, ..PollRequest::default() };
                failures.extend(reader.signals().poll(&round).await?.failures);
            }
            Ok::<_, outcome_core::Error>(failures)
        });
        let both = with_keys(&lab, Some(old.clone()), Some(new.clone())).await?;
        let done = both.secrets().rotate_key(&local()).await?;
        ensure!((done.key_id == id) && done.resealed.len() == 21 && done.n_already == 0, "{done:?}");
        let failures = reading.await??;
        ensure!(failures.is_empty(), "{failures:?}");

        // Again, it does no harm and says nothing to the log.
        let again = both.secrets().rotate_key(&local()).await?;
        ensure!(again.resealed.is_empty() && again.n_already == 21, "{again:?}");
        let of_secrets = |kind: &str| kind.starts_with("secret.");
        let log = lab.log().await?;
        let said = log[n_lines..].iter().filter(|line| of_secrets(line.kind.as_str())).count();
        ensure!(said == 1, "{said} lines");

        // The old key is useless; the new one is all that is needed, also in the place of the old one.
        let refused = lab.runtime.signals().connector_test_applied("game").await?.problem;
        ensure!(refused.as_ref().is_some_and(|problem| problem.code == "encryption_key_wrong"), "{refused:?}");
        ensure!(refused.is_some_and(|problem| problem.message.contains(&id)));
        ensure!(lab.runtime.secrets().list().await?.secrets.iter().all(|line| line.state == SecretState::OtherKey));
        std::fs::rename(&new, &old)?;
        ensure!(
            lab.runtime.signals().connector_test_applied("game").await?.problem.is_none(),
            "the file is read again"
        );
        let tested = both.signals().connector_test_applied("game").await?.problem;
        ensure!(tested.is_none(), "one of the two places is enough: {tested:?}");
        ensure!(lab.poll_after(1).await?.failures.is_empty());
        is_intact(&lab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sealed_again_where_one_secret_does_not_open() -> Result<()> {
    each_keyed(async |lab| {
        let (old, new) = (lab.root().join(KEY_FILE), lab.root().join(".outcome/new-key"));
        for name in ["A", "B", "C"] {
            set(&lab.runtime, name, "a secret of some length").await?;
        }
        let key_ids = async || -> Result<Vec<Option<String>>> {
            Ok(lab.runtime.secrets().list().await?.secrets.into_iter().map(|line| line.key_id).collect())
        };
        let before = key_ids().await?;
        new_key(&new)?;
        let both = with_keys(&lab, Some(old.clone()), Some(new.clone())).await?;
        lab.raw("UPDATE secret SET nonce = 'AAAAAAAAAAAAAAAA' WHERE name = 'B'").await?;
        let refused = both.secrets().rotate_key(&local()).await.unwrap_err();
        ensure!(refused.code() == Code::SecretChanged && refused.message().contains("`B`"), "{refused}");
        ensure!(key_ids().await? == before);

        // What is sealed with a key that was lost is removed and set again; until then no other key is mixed in.
        let lost = with_keys(&lab, Some(new.clone()), None).await?;
        let refused = set(&lost, "D", "a secret of some length").await.unwrap_err();
        ensure!(refused.code() == Code::EncryptionKeyWrong, "{refused}");
        ensure!(
            refused.hint_text().is_some_and(|hint| hint.contains("secrets remove A --even-if-used")),
            "{refused:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_trouble_with_a_key_is_told_by_its_own_code() -> Result<()> {
    each_keyed(async |lab| {
        set(&lab.runtime, "GAME", "sqlite:game.db").await?;
        applied(&lab, "sqlite:game.db", "${secret:GAME}").await?;
        let bad = lab.root().join(".outcome/bad-key");
        for (text, code) in [
            (None, "encryption_key_missing"),
            (Some("c2hvcnQ="), "encryption_key_invalid"),
            (Some("not a key at all"), "encryption_key_invalid"),
            (Some("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"), "encryption_key_wrong"),
        ] {
            let runtime = match text {
                Some(text) => {
                    std::fs::write(&bad, text)?;
                    with_keys(&lab, Some(bad.clone()), None).await?
                }
                None => with_keys(&lab, None, None).await?,
            };
            let problem = runtime.signals().connector_test_applied("game").await?.problem;
            let problem = problem.ok_or_else(|| anyhow::anyhow!("{text:?} was taken"))?;
            ensure!(problem.code == code, "{text:?}: {problem:?}");
            ensure!(problem.hint.is_some() && text.is_none_or(|text| !problem.message.contains(text)), "{problem:?}");
        }
        Ok(())
    })
    .await
}
