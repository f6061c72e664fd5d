//! Keys that are touched: who may enrol them and take them away, what they sign, and what they are needed for.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use futures::future::BoxFuture;
use outcome_core::Code;
use outcome_core::audit::SignedAnchor;
use outcome_core::audit::replay::Replay;
use outcome_core::domain::{Assurance, ExperimentStatus, GateType, KeyKind, Verdict};
use outcome_core::identity::{SIGNS_DECISION, SIGNS_ENROLMENT, TouchError, TouchKey, TouchKeyError};
use outcome_core::ports::TouchToSign;
use outcome_core::usecases::{
    Added, DecideRequest, Decided, KeyActRequest, KeyAddRequest, KeyLine, KeyState, Touching, Unlock,
};
use outcome_tests::forger::{chained_again, writer_of};
use outcome_tests::lab::{Lab, decision, hypothesis, unlock, with_reason};
use outcome_tests::touch::{PRESENT, SoftKey, VERIFIED};
use secrecy::SecretString;
use ssh_key::HashAlg;
use ssh_key::encoding::Encode as _;
use tokio::runtime::Handle;

use crate::journey::each_lab;

fn touch(key: &Arc<SoftKey>) -> Unlock {
    Unlock::Touch(Touching::new(Arc::clone(key) as Arc<_>).expect("a key that is touched"))
}

async fn add(lab: &Lab, new: &Arc<SoftKey>, unlock: Unlock) -> outcome_core::Result<Added> {
    let new = Touching::new(Arc::clone(new) as Arc<_>)?;
    lab.runtime.keys().add(KeyAddRequest { new, member: None, unlock }).await
}

async fn decide(lab: &Lab, gate: &str, verdict: Verdict, unlock: Unlock) -> outcome_core::Result<Decided> {
    let request = with_reason(DecideRequest { unlock, ..decision(gate, verdict) });
    lab.runtime.gates().decide(request).await
}

async fn act(lab: &Lab, key: &str, compromised_since: Option<i64>, unlock: Unlock) -> outcome_core::Result<i64> {
    let (key, reason) = (key.to_owned(), "it is lost".to_owned());
    let request = KeyActRequest { key, compromised_since, reason, member: None, unlock };
    lab.runtime.keys().act(request).await.map(|done| done.line)
}

async fn keys(lab: &Lab, kind: KeyKind) -> Result<Vec<KeyLine>> {
    let all = lab.runtime.keys().list().await?;
    Ok(all.into_iter().filter(|key| key.kind == kind && key.state == KeyState::Counts).collect())
}

async fn is_intact(lab: &Lab) -> Result<()> {
    let found = lab.runtime.audit_log().verify(&[]).await?;
    ensure!(found.is_intact, "{:?}", found.problems);
    Ok(())
}

/// A key that does something else while it is touched.
struct Meanwhile {
    key: Arc<SoftKey>,
    lab: Arc<Lab>,
    then: fn(Arc<Lab>) -> BoxFuture<'static, Result<()>>,
}

impl TouchToSign for Meanwhile {
    fn public_key(&self) -> &str {
        self.key.public_key()
    }

    fn sign(&self, namespace: &str, bytes: &[u8]) -> outcome_core::Result<Vec<u8>> {
        let done = Handle::current().block_on((self.then)(Arc::clone(&self.lab)));
        done.map_err(|e| outcome_core::Error::new(Code::Internal, format!("{e:#}")))?;
        self.key.sign(namespace, bytes)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_locked_while_the_key_is_touched_and_what_changed_is_not_signed() -> Result<()> {
    each_lab(async |lab| {
        let (lab, key) = (Arc::new(lab), SoftKey::ed25519(1));
        add(&lab, &key, unlock()).await?;
        let touched = |then| {
            let pen = Meanwhile { key: Arc::clone(&key), lab: Arc::clone(&lab), then };
            Touching::new(Arc::new(pen)).map(Unlock::Touch)
        };
        let first = lab.submit(hypothesis("The first one", "first")).await?;
        let gate_of_first = gate(&lab, &first).await?;
        // Somebody else writes, and reads the source: the log goes on, and the decision is the same still.
        let busy =
            touched(|lab| Box::pin(async move { lab.submit(hypothesis("The second one", "second")).await.map(drop) }))?;
        let n_before = key.n_signed();
        decide(&lab, &gate_of_first, Verdict::Approve, busy).await?;
        ensure!(key.n_signed() == n_before + 1);
        // Somebody else decides it.
        let second =
            lab.runtime.experiments().list(None, 10).await?.into_iter().find(|e| e.hypothesis.flag_key == "second");
        let second = second.context("no second one")?.slug.to_string();
        let gate_of_second = gate(&lab, &second).await?;
        let late = touched(|lab| {
            Box::pin(async move {
                let second = lab.runtime.experiments().list(None, 10).await?;
                let second = second.into_iter().find(|e| e.hypothesis.flag_key == "second").context("no second one")?;
                lab.decide(&second.slug.to_string(), Verdict::Reject).await.map(drop)
            })
        })?;
        let refused = decide(&lab, &gate_of_second, Verdict::Approve, late).await.unwrap_err();
        ensure!(refused.code() == Code::GateNotPending, "{refused}");
        is_intact(&lab).await
    })
    .await
}

/// The gate of an experiment that waits, where there is one.
async fn gate(lab: &Lab, experiment: &str) -> Result<String> {
    let open = lab.runtime.experiments().show(experiment).await?.gates;
    open.first().cloned().with_context(|| format!("no gate of `{experiment}` waits"))
}

/// An experiment that waits for its ship gate, and the gate.
async fn waits_to_ship(lab: &Lab) -> Result<(String, String)> {
    let experiment = lab.running("Softer level", "soft").await?;
    lab.arms("soft", (9000, 2700, 36), (9000, 3240, 36)).await?;
    for hours in [6, 24, 24 * 7] {
        lab.poll_after(hours).await?;
    }
    lab.decide(&experiment, Verdict::Ship).await?;
    let gate = gate(lab, &experiment).await?;
    ensure!(lab.runtime.gates().show(&gate).await?.gate_type == GateType::ShipApproval);
    Ok((experiment, gate))
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_key_that_is_touched_counts_nobody_ships_without_one() -> Result<()> {
    each_lab(async |lab| {
        let (experiment, gate) = waits_to_ship(&lab).await?;
        let key = SoftKey::ed25519(1);
        ensure!(lab.runtime.gates().show(&gate).await?.assurance == Assurance::A3);
        let added = add(&lab, &key, unlock()).await?;
        ensure!(added.is_first && keys(&lab, KeyKind::Touch).await?.len() == 1, "{added:?}");
        ensure!(lab.runtime.gates().show(&gate).await?.assurance == Assurance::A4);

        let refused = decide(&lab, &gate, Verdict::Approve, unlock()).await.unwrap_err();
        ensure!(refused.code() == Code::AssuranceTooLow && refused.to_string().contains("A4"), "{refused}");
        key.says(PRESENT);
        let unknown = decide(&lab, &gate, Verdict::Approve, touch(&key)).await.unwrap_err();
        ensure!(unknown.code() == Code::AssuranceTooLow && unknown.to_string().contains("PIN"), "{unknown}");
        key.says(0);
        let untouched = decide(&lab, &gate, Verdict::Approve, touch(&key)).await.unwrap_err();
        ensure!(
            untouched.code() == Code::SignatureInvalid && untouched.to_string().contains("nobody touched"),
            "{untouched}"
        );
        key.says(VERIFIED);
        let n_before = key.n_signed();
        let decided = decide(&lab, &gate, Verdict::Approve, touch(&key)).await?;
        ensure!(key.n_signed() == n_before + 1, "one touch for one decision");
        ensure!(decided.assurance == Assurance::A4, "{decided:?}");
        ensure!(decided.experiment_status == Some(ExperimentStatus::Shipped), "{decided:?}");
        let shown = lab.runtime.experiments().show(&experiment).await?;
        ensure!(shown.experiment.state.status == ExperimentStatus::Shipped);
        is_intact(&lab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_is_decided_with_either_and_refusing_needs_no_touch() -> Result<()> {
    each_lab(async |lab| {
        let key = SoftKey::p256(2)?;
        add(&lab, &key, unlock()).await?;
        let first = lab.submit(hypothesis("The first one", "first")).await?;
        let gate_of_first = gate(&lab, &first).await?;
        // A touch without a PIN is A4, too.
        key.says(PRESENT);
        let decided = decide(&lab, &gate_of_first, Verdict::Approve, touch(&key)).await?;
        ensure!(decided.assurance == Assurance::A4);
        let second = lab.submit(hypothesis("The second one", "second")).await?;
        let gate_of_second = gate(&lab, &second).await?;
        ensure!(decide(&lab, &gate_of_second, Verdict::Reject, unlock()).await?.assurance == Assurance::A3);
        // What no touch signs says so.
        let both = lab.runtime.audit_log().restore("Monday", None, &touch(&key)).await.unwrap_err();
        ensure!(both.code() == Code::PassphraseNeeded, "{both}");
        is_intact(&lab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_learnt_the_passphrase_cannot_get_rid_of_a_key_that_is_touched() -> Result<()> {
    each_lab(async |lab| {
        let (_, gate) = waits_to_ship(&lab).await?;
        let before = lab.runtime.audit_log().page(0, 1000).await?.len() as i64;
        let (key, thiefs) = (SoftKey::ed25519(1), SoftKey::ed25519(9));
        add(&lab, &key, unlock()).await?;
        let own = keys(&lab, KeyKind::Touch).await?.remove(0).fingerprint;
        let root = keys(&lab, KeyKind::Passphrase).await?.remove(0).fingerprint;
        let code = keys(&lab, KeyKind::Recovery).await?.remove(0).fingerprint;
        // Revoke it, say that the key which vouched for it was stolen before, add one of their own; or first make the code useless, which
        // is the way on without the key.
        for tried in [
            act(&lab, &own, None, unlock()).await.map(drop),
            act(&lab, &root, Some(before), unlock()).await.map(drop),
            add(&lab, &thiefs, unlock()).await.map(drop),
            act(&lab, &code, None, unlock()).await.map(drop),
            act(&lab, &code, Some(2), unlock()).await.map(drop),
        ] {
            let refused = tried.unwrap_err();
            ensure!(refused.code() == Code::AssuranceTooLow && refused.to_string().contains("touch"), "{refused}");
        }
        // A new passphrase is no way around it.
        let next = SecretString::from("four other unrelated words here");
        lab.runtime.keys().rotate(None, &unlock(), next.clone()).await?;
        let rotated = act(&lab, &own, None, Unlock::Passphrase(next.clone())).await.unwrap_err();
        ensure!(rotated.code() == Code::AssuranceTooLow, "{rotated}");
        let ship = decide(&lab, &gate, Verdict::Approve, Unlock::Passphrase(next)).await.unwrap_err();
        ensure!(ship.code() == Code::AssuranceTooLow, "{ship}");
        ensure!(keys(&lab, KeyKind::Touch).await?.len() == 1);
        is_intact(&lab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_touch_lets_the_next_key_count_and_takes_one_away() -> Result<()> {
    each_lab(async |lab| {
        let (_, gate) = waits_to_ship(&lab).await?;
        let (first, second) = (SoftKey::ed25519(1), SoftKey::p256(2)?);
        add(&lab, &first, unlock()).await?;
        let again = add(&lab, &first, touch(&first)).await.unwrap_err();
        ensure!(again.code() == Code::Conflict, "{again}");
        let added = add(&lab, &second, touch(&first)).await?;
        ensure!(!added.is_first && keys(&lab, KeyKind::Touch).await?.len() == 2);
        let own: Vec<KeyLine> = keys(&lab, KeyKind::Touch).await?;
        let of_first = own.iter().find(|key| key.key != added.key).context("the first")?;
        act(&lab, &of_first.fingerprint, None, touch(&second)).await?;
        let gone = decide(&lab, &gate, Verdict::Approve, touch(&first)).await.unwrap_err();
        ensure!(gone.code() == Code::Unauthenticated, "{gone}");
        // Without any, the passphrase ships again.
        act(&lab, &added.fingerprint, None, touch(&second)).await?;
        ensure!(lab.runtime.gates().show(&gate).await?.assurance == Assurance::A3);
        decide(&lab, &gate, Verdict::Approve, unlock()).await?;
        is_intact(&lab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recovery_code_goes_on_without_a_lost_key() -> Result<()> {
    each_lab(async |lab| {
        let key = SoftKey::ed25519(1);
        add(&lab, &key, unlock()).await?;
        let code = SecretString::from(lab.recovery_code.reveal());
        let next = SecretString::from("four other unrelated words here");
        lab.runtime.keys().recover(&code, next.clone()).await?;
        ensure!(keys(&lab, KeyKind::Touch).await?.is_empty(), "every other key counts no longer");
        let added = add(&lab, &SoftKey::ed25519(2), Unlock::Passphrase(next.clone())).await?;
        ensure!(added.is_first);
        // The passphrase that came with the code takes away nothing that was enrolled after it.
        let refused = act(&lab, &added.fingerprint, None, Unlock::Passphrase(next)).await.unwrap_err();
        ensure!(refused.code() == Code::AssuranceTooLow, "{refused}");
        is_intact(&lab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_nobody_touches_or_that_knows_nobody_is_not_enrolled() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let key = SoftKey::ed25519(1);
    for (flags, code) in [(0, Code::SignatureInvalid), (PRESENT, Code::AssuranceTooLow)] {
        key.says(flags);
        let refused = add(&lab, &key, unlock()).await.unwrap_err();
        ensure!(refused.code() == code, "{refused}");
    }
    ensure!(keys(&lab, KeyKind::Touch).await?.is_empty());
    Ok(())
}

const PLAIN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti x@y";

#[test]
fn a_line_that_is_no_key_of_a_person_is_refused_with_the_reason() -> Result<()> {
    let key = SoftKey::ed25519(1);
    let line = key.public_key();
    ensure!(TouchKey::parse(line)?.as_str().starts_with("sk-ssh-ed25519@openssh.com AAAA"));
    ensure!(
        TouchKey::parse(SoftKey::p256(1)?.public_key())?.as_str().starts_with("sk-ecdsa-sha2-nistp256@openssh.com ")
    );
    ensure!(matches!(TouchKey::parse(PLAIN), Err(TouchKeyError::NoTouch(kind)) if kind == "ssh-ed25519"));
    let untouched = format!("no-touch-required {line}");
    ensure!(matches!(TouchKey::parse(&untouched), Err(TouchKeyError::Options(_))));
    let site = SoftKey::for_application(1, "https://example.com");
    ensure!(matches!(TouchKey::parse(site.public_key()), Err(TouchKeyError::Application(_))));
    for other in ["", "ssh-ed25519", "sk-ssh-ed25519@openssh.com AAAA", &format!("{line}\n{line}")] {
        ensure!(matches!(TouchKey::parse(other), Err(TouchKeyError::Unreadable(_))), "{other}");
    }
    Ok(())
}

#[test]
fn a_signature_counts_only_as_the_touched_key_made_it_for_this() -> Result<()> {
    for key in [SoftKey::ed25519(1), SoftKey::p256(1)?] {
        let public = TouchKey::parse(key.public_key())?;
        let check = |signature: &[u8]| public.verify(SIGNS_DECISION, b"this", signature);
        let good = key.sign(SIGNS_DECISION, b"this")?;
        let said = check(&good)?;
        ensure!(said.is_verified && said.counter == 1, "{said:?}");
        key.says(PRESENT);
        ensure!(!check(&key.sign(SIGNS_DECISION, b"this")?)?.is_verified);
        key.says(0x04);
        ensure!(check(&key.sign(SIGNS_DECISION, b"this")?) == Err(TouchError::NotTouched));
        key.says(VERIFIED);
        ensure!(check(&key.sign(SIGNS_DECISION, b"that")?) == Err(TouchError::Mismatch));
        ensure!(matches!(check(&key.sign(SIGNS_ENROLMENT, b"this")?), Err(TouchError::Namespace(_))));
        let weaker = key.signed(SIGNS_DECISION, HashAlg::Sha256, b"this")?.encode_vec()?;
        ensure!(check(&weaker) == Err(TouchError::Hash));
        let more = [good.as_slice(), b"x"].concat();
        ensure!(check(&more) == Err(TouchError::Malformed) && check(&good[1..]) == Err(TouchError::Malformed));
        // What the hardware says is signed, too: nobody adds a touch, or a PIN.
        let mut other = good.clone();
        let flags = other.len() - 5;
        other[flags] = PRESENT;
        ensure!(check(&other) == Err(TouchError::Mismatch), "the flags");
    }
    Ok(())
}

#[test]
fn a_signature_of_another_key_application_or_kind_is_refused() -> Result<()> {
    let key = SoftKey::ed25519(1);
    let public = TouchKey::parse(key.public_key())?;
    let check = |signature: &[u8]| public.verify(SIGNS_DECISION, b"this", signature);
    ensure!(check(&SoftKey::ed25519(2).sign(SIGNS_DECISION, b"this")?) == Err(TouchError::OtherKey));
    // The same secret under another application string, as it is and with the right public key put over it.
    let swapped = SoftKey::for_application(1, "ssh:other");
    let signed = swapped.signed(SIGNS_DECISION, HashAlg::Sha512, b"this")?;
    ensure!(check(&signed.encode_vec()?) == Err(TouchError::OtherKey));
    let own = key.signed(SIGNS_DECISION, HashAlg::Sha512, b"this")?;
    let with_own = |signature: ssh_key::Signature| -> Result<Vec<u8>> {
        let signed = ssh_key::SshSig::new(own.public_key().clone(), SIGNS_DECISION, HashAlg::Sha512, signature)?;
        Ok(signed.encode_vec()?)
    };
    ensure!(check(&with_own(signed.signature().clone())?) == Err(TouchError::Mismatch));
    // The secret without the hardware signs as a plain key does.
    let data = ssh_key::SshSig::signed_data(SIGNS_DECISION, HashAlg::Sha512, b"this")?;
    let secret = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    let bytes = ed25519_dalek::Signer::sign(&secret, &data).to_bytes();
    let plain = ssh_key::Signature::new(ssh_key::Algorithm::Ed25519, bytes.to_vec())?;
    ensure!(check(&with_own(plain)?) == Err(TouchError::OtherKey));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_by_touch_anchors_the_line_that_it_was_signed_on() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let key = SoftKey::ed25519(1);
    add(&lab, &key, unlock()).await?;
    let experiment = lab.submit(hypothesis("The first one", "first")).await?;
    let before = lab.runtime.audit_log().verify(&[]).await?;
    let gate = gate(&lab, &experiment).await?;
    decide(&lab, &gate, Verdict::Approve, touch(&key)).await?;
    let signed = lab.runtime.audit_log().decisions(&experiment).await?.remove(0);
    let seq = signed.decision().log_seq;
    let after = lab.runtime.audit_log().verify(&[]).await?;
    ensure!(after.is_intact && after.n_anchors > before.n_anchors, "{after:?}");
    ensure!(before.reach.here < Some(seq) && after.reach.here == Some(seq), "{seq}: {:?}", after.reach);
    // A copy that says of itself that it is about another line is no anchor.
    let mut other = serde_json::to_value(&signed)?;
    other["signatures"][0]["sig"] = serde_json::json!("U1NIU0lH");
    ensure!(SignedAnchor::parse(&serde_json::to_string(&signed)?).is_ok_and(|anchor| anchor.anchor.seq == seq));
    ensure!(SignedAnchor::parse(&other.to_string()).is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_which_a_passphrase_ships_past_a_key_that_is_touched_is_found() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let (_, gate) = waits_to_ship(&lab).await?;
    decide(&lab, &gate, Verdict::Approve, unlock()).await?;
    add(&lab, &SoftKey::ed25519(1), unlock()).await?;
    is_intact(&lab).await?;
    // The same lines, the key before the decision.
    let mut log = lab.runtime.audit_log().page(0, 1000).await?;
    let enrolled = log.iter().rposition(|line| line.kind == "member.enrolled").context("no key")?;
    let enrolled = log.remove(enrolled);
    let shipped = log.iter().rposition(|line| line.kind == "gate.decided").context("no decision")?;
    log.insert(shipped, enrolled);
    let mut replay = Replay::new(lab.runtime.workspace().id);
    let writer = writer_of(lab.runtime.settings())?;
    let broken = chained_again(log, Some(&writer))?.iter().find_map(|line| replay.apply(line).err());
    let broken = broken.context("it is replayed as if nothing were wrong")?;
    ensure!(broken.seq == shipped as i64 + 2 && broken.reason.contains("needs assurance A4"), "{broken}");
    Ok(())
}
