//! Decisions as they are signed: verified by a script that has none of our code, and refused by it as soon as anything is another.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outcome_core::audit::{EventKind, LogEntry};
use outcome_core::digest::canonical_json;
use outcome_core::domain::{KeyKind, SignedDecision, Verdict};
use outcome_core::dsse::{Envelope, IN_TOTO, signed_bytes};
use outcome_core::identity::{SIGNS_DECISION, SIGNS_ENROLMENT, SigningKey, fingerprint, key_of_code};
use outcome_core::ports::TouchToSign as _;
use outcome_core::usecases::{DecideRequest, ForgetRequest, KeyAddRequest, Touching, Unlock};
use outcome_tests::forger::{chained_again, writer_of};
use outcome_tests::lab::{Lab, PASSPHRASE, decision, hypothesis, unlock};
use outcome_tests::peers;
use outcome_tests::touch::{SoftKey, VERIFIED};
use secrecy::SecretString;
use serde_json::{Value, json};

/// What the script said of each line, and whether it accepted all of them.
pub struct Said {
    pub lines: Vec<String>,
    pub is_accepted: bool,
}

/// The independent program; `None` (said loudly) where there is no Python.
pub struct Script {
    python: PathBuf,
    root: String,
    folder: tempfile::TempDir,
}

impl Script {
    pub fn new(root: &str) -> Result<Option<Self>> {
        let Some(home) = peers::python("attestation")? else { return Ok(None) };
        let folder = tempfile::tempdir()?;
        Ok(Some(Self { python: home.join("bin/python"), root: root.to_owned(), folder }))
    }

    fn run(&self, decisions: &[Value], root: &str, log: Option<&[LogEntry]>) -> Result<Said> {
        let log = log.map(|log| log.iter().map(|line| json!(line)).collect::<Vec<_>>());
        self.run_with(decisions, root, log.as_deref())
    }

    /// The same with what else may stand in an export.
    pub fn run_with(&self, decisions: &[Value], root: &str, log: Option<&[Value]>) -> Result<Said> {
        let lines = |values: &[Value]| values.iter().map(|value| format!("{value}\n")).collect::<String>();
        let file = self.folder.path().join("decisions.jsonl");
        std::fs::write(&file, lines(decisions))?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/verify_decision.py");
        let mut command = Command::new(&self.python);
        command.arg(script).arg(&file).args(["--root", root]);
        if let Some(log) = log {
            let file = self.folder.path().join("log.jsonl");
            std::fs::write(&file, lines(log))?;
            command.arg("--log").arg(file);
        }
        let done = command.output()?;
        let errors = String::from_utf8_lossy(&done.stderr);
        ensure!(errors.is_empty(), "{errors}");
        let said = String::from_utf8_lossy(&done.stdout).lines().map(ToOwned::to_owned).collect();
        Ok(Said { lines: said, is_accepted: done.status.success() })
    }

    /// Each of these alone must be refused, and the reason must say this.
    fn refuses(&self, decision: &Value, log: Option<&[LogEntry]>, reason: &str) -> Result<()> {
        let said = self.run(std::slice::from_ref(decision), &self.root, log)?;
        ensure!(!said.is_accepted && said.lines.iter().any(|line| line.contains(reason)), "{reason}: {:?}", said.lines);
        Ok(())
    }
}

/// A launch that was decided, with what a stranger gets of it.
struct Launched {
    lab: Lab,
    decisions: Vec<Value>,
    log: Vec<LogEntry>,
    root: String,
}

impl Launched {
    async fn new() -> Result<Self> {
        let lab = Lab::sqlite().await?;
        let experiment = lab.running("Softer level", "soft").await?;
        let decisions = lab.runtime.audit_log().decisions(&experiment).await?;
        let decisions = decisions.iter().map(|signed| json!(signed)).collect();
        let log = lab.runtime.audit_log().page(0, 1000).await?;
        let root = lab.runtime.keys().list().await?.into_iter().find(|key| key.is_root).context("no root")?.fingerprint;
        Ok(Self { lab, decisions, log, root })
    }

    fn launch(&self) -> &Value {
        &self.decisions[1]
    }

    /// The member's key, as nobody but them can have it.
    async fn key(&self) -> Result<SigningKey> {
        let mut tx = self.lab.runtime.db().read(self.lab.runtime.workspace().id).await?;
        let stored = tx.key_list().await?.into_iter().find(|key| key.kind == KeyKind::Passphrase).context("no key")?;
        let sealed = stored.sealed.context("no sealed key")?;
        Ok(sealed.open(stored.id, &SecretString::from(PASSPHRASE))?.key)
    }
}

fn statement(envelope: &Value) -> Result<Value> {
    Ok(serde_json::from_slice(&STANDARD.decode(envelope["payload"].as_str().context("no payload")?)?)?)
}

/// The envelope with another statement and the signature of before.
fn with_statement(envelope: &Value, statement: &Value) -> Result<Value> {
    let mut changed = envelope.clone();
    changed["payload"] = json!(STANDARD.encode(canonical_json(statement)?));
    Ok(changed)
}

/// Another statement, signed.
fn signed(statement: &Value, key: &SigningKey) -> Result<Value> {
    use ed25519_dalek::Signer as _;
    let bytes = canonical_json(statement)?;
    let keyid = fingerprint(&hex::encode(key.verifying_key().to_bytes()));
    let signature = key.sign(&signed_bytes(IN_TOTO, bytes.as_bytes())).to_bytes();
    Ok(json!(Envelope::new(IN_TOTO, bytes.as_bytes(), keyid, &signature)))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_decided_is_named_by_id_and_by_a_name_only_where_it_opens_the_certificate() -> Result<()> {
    let launched = Launched::new().await?;
    let Some(script) = Script::new(&launched.root)? else { return Ok(()) };
    let mut log: Vec<Value> = launched.log.iter().map(|line| json!(line)).collect();
    let id = launched.lab.runtime.keys().list().await?.remove(0).member_id;
    let said = script.run_with(&launched.decisions, &launched.root, Some(&log))?;
    let is_by_id = said.lines.iter().any(|line| line.contains(&format!("by member {id} (A3)")));
    ensure!(said.is_accepted && is_by_id, "{:?}", said.lines);

    let openings = launched.lab.runtime.audit_log().openings().await?;
    log.push(json!({ "opening": openings.first().context("no name")? }));
    let said = script.run_with(&launched.decisions, &launched.root, Some(&log))?;
    let is_named = said.lines.iter().any(|line| line.contains("by Dana <dana@example.com> (A3)"));
    ensure!(said.is_accepted && is_named, "{:?}", said.lines);

    for (field, other) in [("email", "mallory@example.com"), ("name", "Mallory"), ("name_salt", "00")] {
        let mut renamed = log.clone();
        renamed.last_mut().context("no name")?["opening"][field] = json!(other);
        let said = script.run_with(&launched.decisions, &launched.root, Some(&renamed))?;
        let is_refused = said.lines.iter().any(|line| line.contains("is another one"));
        ensure!(!said.is_accepted && is_refused, "{field}: {:?}", said.lines);
    }
    // After the name was removed, the same decisions verify.
    let request = ForgetRequest { forget: id.to_string(), even_the_last: true, member: None, unlock: unlock() };
    launched.lab.runtime.members().forget(request).await?;
    ensure!(launched.lab.runtime.audit_log().openings().await?.is_empty());
    let log = launched.lab.runtime.audit_log().page(0, 1000).await?;
    let said = script.run(&launched.decisions, &launched.root, Some(&log))?;
    ensure!(said.is_accepted, "{:?}", said.lines);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_verifies_a_launch_and_refuses_it_when_anything_is_another() -> Result<()> {
    let launched = Launched::new().await?;
    let Some(script) = Script::new(&launched.root)? else { return Ok(()) };
    for log in [None, Some(launched.log.as_slice())] {
        let said = script.run(&launched.decisions, &launched.root, log)?;
        ensure!(
            said.is_accepted && said.lines.iter().filter(|line| line.starts_with("OK")).count() == 2,
            "{:?}",
            said.lines
        );
    }
    let said = script.run(&launched.decisions, &"0".repeat(64), None)?;
    ensure!(said.lines.iter().filter(|line| line.contains("rests on another root")).count() == 2, "{:?}", said.lines);

    // One field each. What the launch is about is all there.
    let fields = [
        ("/predicate/verdict", json!("reject")),
        ("/predicate/conditions", json!(["only on weekdays"])),
        ("/predicate/note", json!("I thought about it")),
        ("/predicate/context_hash", json!("0".repeat(64))),
        ("/predicate/log_head", json!("0".repeat(64))),
        ("/predicate/decided_at", json!("2026-10-02T08:00:00Z")),
        ("/predicate/base/commit", json!("0".repeat(40))),
        ("/predicate/basis/scope", json!("0".repeat(64))),
        ("/predicate/basis/applied", json!("0".repeat(64))),
        ("/predicate/basis/flag/to_pct", json!(100)),
        ("/predicate/basis/policy/quorum", json!(2)),
        ("/predicate/basis/requester", json!({ "kind": "system", "component": "poll" })),
    ];
    let genuine = statement(launched.launch())?;
    let mut changed = Vec::new();
    for (field, value) in fields {
        let mut other = genuine.clone();
        let place = other.pointer_mut(field).with_context(|| format!("a launch has no {field}"))?;
        ensure!(*place != value, "{field} is that already");
        *place = value;
        changed.push(with_statement(launched.launch(), &other)?);
    }
    let said = script.run(&changed, &launched.root, Some(&launched.log))?;
    let n_refused = said.lines.iter().filter(|line| line.contains("signature does not fit")).count();
    ensure!(!said.is_accepted && n_refused == changed.len() && n_refused == 12, "{:?}", said.lines);

    // Subjects of another statement: without the key, and with it.
    let mut swapped = genuine.clone();
    swapped["subject"] = json!([{ "name": "commit", "digest": { "gitCommit": "0".repeat(40) } }]);
    script.refuses(&with_statement(launched.launch(), &swapped)?, None, "subjects are not those")?;
    let key = launched.key().await?;
    script.refuses(&signed(&swapped, &key)?, None, "subjects are not those")?;
    ensure!(serde_json::from_value::<SignedDecision>(signed(&swapped, &key)?).is_err());
    ensure!(script.run(&[signed(&genuine, &key)?], &launched.root, Some(&launched.log))?.is_accepted);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_and_a_key_that_decides_nothing_are_refused_by_a_stranger() -> Result<()> {
    let launched = Launched::new().await?;
    let Some(script) = Script::new(&launched.root)? else { return Ok(()) };
    let keys = launched.lab.runtime.keys();
    let rotated = keys.rotate(None, &unlock(), SecretString::from("four other unrelated words here")).await?;

    // The decision stands before the revocation: it counts, also in the whole log.
    let log = launched.lab.runtime.audit_log().page(0, 1000).await?;
    ensure!(script.run(&launched.decisions, &launched.root, Some(&log))?.is_accepted);
    // The same log, with the lines about the keys before the launch.
    let is_about_key = |line: &&LogEntry| line.seq > launched.log.len() as i64 && line.kind.starts_with("member.");
    let moved: Vec<LogEntry> = log.iter().filter(is_about_key).cloned().collect();
    ensure!(moved.len() == 2, "{moved:?}");
    let at = usize::try_from(statement(launched.launch())?["predicate"]["log_seq"].as_i64().context("no line")?)?;
    let mut earlier: Vec<LogEntry> = launched.log.clone();
    earlier.splice(at..at, moved);
    script.refuses(
        launched.launch(),
        Some(&chained_again(earlier, Some(&writer_of(launched.lab.runtime.settings())?))?),
        "revoked before",
    )?;
    ensure!(rotated.revoked.to_string() == statement(launched.launch())?["predicate"]["key"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_the_older_format_renames_nobody() -> Result<()> {
    use ed25519_dalek::Signer as _;
    let launched = Launched::new().await?;
    let Some(script) = Script::new(&launched.root)? else { return Ok(()) };
    let (vouching, another) = (launched.key().await?, SigningKey::from_bytes(&[7; 32]));
    let mut other = statement(launched.launch())?;
    let root = other["predicate"]["basis"]["certificates"][0].clone();
    let mut enrolment = root["enrolment"].clone();
    let fields = enrolment.as_object_mut().context("no enrolment")?;
    fields.remove("commitments");
    fields.insert("version".to_owned(), json!(2));
    fields.insert("email".to_owned(), json!("mallory@example.com"));
    let id = uuid::Uuid::from_u128(7).to_string();
    fields.insert("key".to_owned(), json!(id));
    fields.insert("public_key".to_owned(), json!(hex::encode(another.verifying_key().to_bytes())));
    let message = [b"outcome-runtime enrolment v2\n", canonical_json(&enrolment)?.as_bytes()].concat();
    let signature = hex::encode(vouching.sign(&message).to_bytes());
    let certificate = json!({ "enrolment": enrolment, "signature": signature });
    other["predicate"]["key"] = json!(id);
    other["predicate"]["basis"]["certificates"] = json!([certificate, root]);
    let envelope = signed(&other, &another)?;
    // Nothing but the log says that the member is called something else.
    ensure!(script.run(std::slice::from_ref(&envelope), &launched.root, None)?.is_accepted);
    let at = usize::try_from(other["predicate"]["log_seq"].as_i64().context("no line")?)?;
    let mut log = launched.log.clone();
    let mut line = log.iter().find(|line| line.kind == "member.enrolled").context("nobody enrolled")?.clone();
    line.subject.id = id.parse()?;
    line.payload = certificate;
    log.insert(at, line);
    let uses = log.iter_mut().rfind(|line| line.payload.to_string().contains("\"decision\"")).context("no launch")?;
    uses.payload["decision"] = envelope.clone();
    let log = chained_again(log, Some(&writer_of(launched.lab.runtime.settings())?))?;
    script.refuses(&envelope, Some(&log), "calls its member something else")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_no_members_is_refused_whatever_it_signs() -> Result<()> {
    let launched = Launched::new().await?;
    let Some(script) = Script::new(&launched.root)? else { return Ok(()) };
    let workspace = launched.lab.runtime.workspace().id;
    let secret = key_of_code(&SecretString::from(launched.lab.recovery_code.reveal()), workspace).context("no key")?;
    let certificate = launched
        .log
        .iter()
        .find(|line| line.payload["enrolment"]["kind"] == "recovery")
        .context("no key of a recovery code")?
        .payload
        .clone();
    let mut other = statement(launched.launch())?;
    let root = other["predicate"]["basis"]["certificates"][0].clone();
    other["predicate"]["key"] = certificate["enrolment"]["key"].clone();
    other["predicate"]["basis"]["certificates"] = json!([certificate, root]);
    let envelope = signed(&other, &secret)?;
    script.refuses(&envelope, Some(&launched.log), "decides nothing")?;
    // And by the runtime itself, as the line of a log that is right otherwise.
    let signed: SignedDecision = serde_json::from_value(envelope)?;
    ensure!(signed.decision().verdict == Verdict::Approve);
    let kind = EventKind::Experiment(outcome_core::lifecycle::ExperimentEventKind::LaunchApproved).as_str();
    let experiment = launched.log.iter().rfind(|line| line.kind == kind).context("no launch")?;
    let by = experiment.principal.clone();
    let payload = json!({ "event": "decided", "gate": "launch_approval", "decision": signed });
    crate::tamper::append_forged(&launched.lab, kind, experiment.subject, by, payload).await?;
    let found = launched.lab.runtime.audit_log().verify(&[]).await?.problems;
    ensure!(found.iter().any(|problem| problem.contains("claims")), "{found:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_verifies_what_was_signed_with_a_touch() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let touching = |key: &Arc<SoftKey>| Touching::new(Arc::clone(key) as Arc<_>);
    let (first, second) = (SoftKey::ed25519(1), SoftKey::p256(2)?);
    // The second key is vouched for by a touch of the first.
    for (new, unlock) in [(&first, unlock()), (&second, Unlock::Touch(touching(&first)?))] {
        lab.runtime.keys().add(KeyAddRequest { new: touching(new)?, member: None, unlock }).await?;
    }
    let mut decisions = Vec::new();
    for (key, flag) in [(&first, "first"), (&second, "second")] {
        let experiment = lab.submit(hypothesis(&format!("The {flag} one"), flag)).await?;
        let gate = lab.runtime.experiments().show(&experiment).await?.gates.remove(0);
        let unlock = Unlock::Touch(touching(key)?);
        lab.runtime.gates().decide(DecideRequest { unlock, ..decision(&gate, Verdict::Approve) }).await?;
        decisions.extend(lab.runtime.audit_log().decisions(&experiment).await?);
    }
    let log = lab.runtime.audit_log().page(0, 1000).await?;
    let root = lab.runtime.keys().list().await?.into_iter().find(|key| key.is_root).context("no root")?.fingerprint;
    let Some(script) = Script::new(&root)? else { return Ok(()) };
    let lines: Vec<Value> = decisions.iter().map(|signed| json!(signed)).collect();
    let said = script.run(&lines, &root, Some(&log))?;
    ensure!(
        said.is_accepted && said.lines.iter().filter(|line| line.contains("(A4)")).count() == 2,
        "{:?}",
        said.lines
    );

    for (envelope, key) in lines.iter().zip([&first, &second]) {
        let mut other = statement(envelope)?;
        other["predicate"]["note"] = json!("I thought about it");
        script.refuses(&with_statement(envelope, &other)?, None, "signature does not fit")?;
        let resigned = |purpose: &str, flags: u8| -> Result<Value> {
            key.says(flags);
            let bytes = canonical_json(&statement(envelope)?)?;
            let signature = key.sign(purpose, &signed_bytes(IN_TOTO, bytes.as_bytes()))?;
            Ok(json!(Envelope::new(IN_TOTO, bytes.as_bytes(), String::new(), &signature)))
        };
        ensure!(script.run(&[resigned(SIGNS_DECISION, VERIFIED)?], &root, None)?.is_accepted);
        script.refuses(&resigned(SIGNS_DECISION, 0)?, None, "nobody touched the key")?;
        script.refuses(&resigned(SIGNS_ENROLMENT, VERIFIED)?, None, "made for something else")?;
    }
    // A signature of the right form by another key.
    key_of_another(&script, &lines[0])?;
    Ok(())
}

fn key_of_another(script: &Script, envelope: &Value) -> Result<()> {
    let bytes = canonical_json(&statement(envelope)?)?;
    let signature = SoftKey::ed25519(9).sign(SIGNS_DECISION, &signed_bytes(IN_TOTO, bytes.as_bytes()))?;
    let forged = json!(Envelope::new(IN_TOTO, bytes.as_bytes(), String::new(), &signature));
    script.refuses(&forged, None, "another security key")
}
