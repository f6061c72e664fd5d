//! Signing with a key that a person touches.
//!
//! A touch takes as long as the person takes, and meanwhile nothing may be locked: a flag must go off while somebody looks for their key.
//! So a decision is made twice. The first time it is put together in its transaction, which then ends without having done anything, and
//! what is to be signed is kept. The key is touched. The second time everything is put together again; what was signed counts if it is
//! the same decision still, over a line of the log that is still there.

use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::{Decision, SignedDecision};
use crate::error::{Code, Error, Result};
use crate::identity::{SIGNS_DECISION, TouchKey, fingerprint};
use crate::ports::TouchToSign;
use crate::store::Tx;

/// How often a person is asked to touch their key for one decision, while what is decided keeps changing.
const MOST_TOUCHES: u32 = 3;

/// A key that a person touches, with what it is asked to sign.
#[derive(Clone)]
pub struct Touching(Arc<Inner>);

struct Inner {
    key: TouchKey,
    pen: Arc<dyn TouchToSign>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    asked: Option<Decision>,
    signed: Option<SignedDecision>,
    used: Option<SignedDecision>,
    n_touches: u32,
}

impl Touching {
    /// Signs with this one.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] when its public key is none of a key that is touched.
    pub fn new(pen: Arc<dyn TouchToSign>) -> Result<Self> {
        let key = touch_key(pen.public_key())?;
        Ok(Self(Arc::new(Inner { key, pen, state: Mutex::default() })))
    }

    /// The key in the form in which it is enrolled.
    pub(in crate::usecases) fn public_key(&self) -> &str {
        self.0.key.as_str()
    }

    /// The decision as the key signed it, if it was this one; otherwise it is asked for, and the transaction ends with an error.
    pub(super) async fn signed(&self, tx: &mut Tx, decision: Decision) -> Result<SignedDecision> {
        let signed = self.state().signed.take();
        if let Some(signed) = signed.filter(|signed| is_the_same(signed.decision(), &decision)) {
            let (seq, head) = (signed.decision().log_seq, signed.decision().log_head.clone());
            if tx.event_is(seq, &head).await? {
                self.state().used = Some(signed.clone());
                return Ok(signed);
            }
        }
        self.state().asked = Some(decision);
        // Whoever does not ask for the touch gives this answer.
        Err(passphrase_needed())
    }

    /// Lets the person touch the key if a decision waits for it. True when what was tried is to be tried again.
    ///
    /// # Errors
    /// Why there is no signature; [`Code::ContextChanged`] when what is decided is another one each time.
    pub(super) async fn touch_if_asked(&self) -> Result<bool> {
        let asked = {
            let mut state = self.state();
            state.n_touches += u32::from(state.asked.is_some());
            (state.asked.take(), state.n_touches)
        };
        let (Some(decision), n_touches) = asked else { return Ok(false) };
        if n_touches > MOST_TOUCHES {
            return Err(Error::new(
                Code::ContextChanged,
                "what is decided changed each time while the key was touched",
            )
            .hint("look at it again, then decide"));
        }
        let unwritable = |e| Error::new(Code::Internal, "a decision cannot be written").because(e);
        let bytes = SignedDecision::to_sign(&decision).map_err(unwritable)?;
        let signature = self.sign(SIGNS_DECISION, bytes).await?;
        let keyid = fingerprint(self.public_key());
        let signed = SignedDecision::signed_by(decision, keyid, |_| signature.bytes).map_err(unwritable)?;
        self.state().signed = Some(signed);
        Ok(true)
    }

    /// The decision that was used last: it names the end of the log that it was signed on.
    pub(super) fn used(&self) -> Option<SignedDecision> {
        self.state().used.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the key signs for `namespace`, checked. The person touches it now.
    pub(in crate::usecases) async fn sign(&self, namespace: &'static str, bytes: Vec<u8>) -> Result<Signature> {
        let inner = Arc::clone(&self.0);
        let touched = move || {
            let signature = inner.pen.sign(namespace, &bytes)?;
            let touch = inner.key.verify(namespace, &bytes, &signature);
            let touch = touch.map_err(crate::identity::SignatureError::Touch)?;
            Ok(Signature { bytes: signature, is_verified: touch.is_verified })
        };
        let done = tokio::task::spawn_blocking(touched).await;
        done.map_err(|e| Error::new(Code::Internal, "waiting for the touch was interrupted").because(e))?
    }
}

/// A signature that fits.
pub(in crate::usecases) struct Signature {
    pub(in crate::usecases) bytes: Vec<u8>,
    pub(in crate::usecases) is_verified: bool,
}

/// The public key on a line.
pub(in crate::usecases) fn touch_key(line: &str) -> Result<TouchKey> {
    TouchKey::parse(line).map_err(|error| {
        Error::new(Code::InvalidInput, format!("this key cannot be enrolled: {error}")).hint(
            "make one in your security key: `ssh-keygen -t ed25519-sk -O verify-required`, and give its `.pub` file",
        )
    })
}

/// The same in everything but when it was put together, and on which end of the log.
fn is_the_same(signed: &Decision, now: &Decision) -> bool {
    let now = Decision {
        log_seq: signed.log_seq,
        log_head: signed.log_head.clone(),
        decided_at: signed.decided_at,
        ..now.clone()
    };
    *signed == now
}

/// The error for what is signed with the passphrase alone.
pub(super) fn passphrase_needed() -> Error {
    Error::new(Code::PassphraseNeeded, "this is signed with your passphrase: a key that is touched does not sign it")
        .hint("leave `--key` out; gates, acts on experiments and acts on keys are signed with a touch")
}
