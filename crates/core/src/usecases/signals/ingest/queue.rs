//! Messages that come at the same time are written together: what takes long is the commit, which waits for the disk.
//!
//! **Invariant**: nobody is answered before what they sent is on the disk; a message that cannot be written fails alone.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::message::{Ingested, Message, Written};
use crate::error::{Code, Error, Result};

/// Payloads of one transaction from which no more are added.
const MAX_BATCH: usize = 256;
/// Messages that wait, at most; each is at most 256 KiB.
const MAX_WAITING: usize = 4096;

/// A message, and who waits for its answer.
struct Waiting {
    message: Message,
    answer: oneshot::Sender<Result<Ingested>>,
}

/// What waits to be written. All clones are one queue.
#[derive(Clone, Default)]
pub(in crate::usecases) struct IngestQueue {
    waiting: Arc<Mutex<VecDeque<Waiting>>>,
    /// Whose turn it is to write.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl IngestQueue {
    /// Writes a message, with those that wait beside it.
    pub(super) async fn take<W, F>(&self, message: Message, write: W) -> Result<Ingested>
    where
        W: FnOnce(Vec<Message>) -> F + Send + 'static,
        F: Future<Output = Written> + Send,
    {
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() >= MAX_WAITING {
                return Err(Error::new(Code::Conflict, format!("{MAX_WAITING} pushed messages wait to be written"))
                    .hint("nothing was stored; send it again, later and more slowly"));
            }
            waiting.push_back(Waiting { message, answer });
        }
        // Not of this task: whoever sent a message may hang up while others wait for theirs. Each message has a turn of its own, in which
        // it or one that came before it is written: none is left.
        let queue = self.clone();
        tokio::spawn(async move {
            let _turn = queue.turn.lock().await;
            let (messages, answers): (Vec<Message>, Vec<_>) =
                queue.next_batch().into_iter().map(|waiting| (waiting.message, waiting.answer)).unzip();
            if messages.is_empty() {
                return;
            }
            for (answer, written) in answers.into_iter().zip(write(messages).await) {
                // Who hung up has what they sent stored all the same, and is told so when they send it again.
                drop(answer.send(written));
            }
        });
        answered.await.map_err(|e| Error::new(Code::Internal, "a pushed message was not written").because(e))?
    }

    /// The oldest messages, one about each arm: two readings of one place at one instant would have no order.
    fn next_batch(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut batch, mut later, mut places) = (Vec::new(), VecDeque::new(), HashSet::new());
        let (mut n_parts, mut nonces) = (0, HashSet::new());
        while let Some(next) = waiting.pop_front() {
            let is_new = nonces.insert(next.message.nonce.clone());
            let has_room = is_new && n_parts < MAX_BATCH && next.message.places().all(|place| !places.contains(&place));
            // What waits for an earlier one keeps its place before those that come after it.
            places.extend(next.message.places());
            if has_room {
                n_parts += next.message.parts.len();
                batch.push(next);
            } else {
                later.push_back(next);
            }
        }
        *waiting = later;
        batch
    }
}
