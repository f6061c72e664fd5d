//! Wrong passphrases a minute. An attempt counts from its beginning, so that many at once do not slip past.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use outcome_core::{Code, Error, Result};

const WINDOW: Duration = Duration::from_mins(1);
const PER_MEMBER: usize = 5;
const TOGETHER: usize = 15;

/// What a passphrase was asked for. A stranger who guesses at the sign-in does not keep a member from deciding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Signing in.
    SignIn,
    /// Deciding a gate.
    Decide,
}

/// The attempts of the last minute.
#[derive(Debug, Default)]
pub struct Limiter(Mutex<HashMap<(Purpose, String), VecDeque<Instant>>>);

impl Limiter {
    /// Runs `attempt` if neither `who` nor everybody together was wrong too often, and remembers it if it was wrong.
    ///
    /// # Errors
    /// [`Code::RateLimited`], or what `attempt` says.
    pub async fn attempt<T>(&self, purpose: Purpose, who: &str, attempt: impl Future<Output = Result<T>>) -> Result<T> {
        let who = who.trim().to_lowercase().chars().take(200).collect::<String>();
        let began = self.begin(purpose, &who)?;
        let done = attempt.await;
        if !matches!(&done, Err(error) if error.code() == Code::PassphraseWrong) {
            self.forget(purpose, &who, began);
        }
        done
    }

    fn begin(&self, purpose: Purpose, who: &str) -> Result<Instant> {
        let now = Instant::now();
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.retain(|_, times| {
            times.retain(|at| now.duration_since(*at) < WINDOW);
            !times.is_empty()
        });
        let together =
            attempts.iter().filter(|((known, _), _)| *known == purpose).map(|(_, times)| times.len()).sum::<usize>();
        let mine = attempts.entry((purpose, who.to_owned())).or_default();
        if mine.len() >= PER_MEMBER || together >= TOGETHER {
            let oldest = mine.front().map_or(WINDOW, |at| WINDOW.saturating_sub(now.duration_since(*at)));
            let wait_secs = oldest.as_secs() + 1;
            return Err(Error::new(Code::RateLimited, "too many wrong passphrases")
                .hint(format!("wait {wait_secs} s, then try again"))
                .with("retry_after_secs", wait_secs));
        }
        mine.push_back(now);
        Ok(now)
    }

    fn forget(&self, purpose: Purpose, who: &str, began: Instant) {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = attempts.get_mut(&(purpose, who.to_owned()))
            && let Some(place) = times.iter().position(|at| *at == began)
        {
            times.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong() -> impl Future<Output = Result<()>> {
        std::future::ready(Err(Error::new(Code::PassphraseWrong, "no")))
    }

    #[tokio::test]
    async fn the_sixth_wrong_passphrase_of_a_minute_is_not_tried() {
        let limiter = Limiter::default();
        for _ in 0..5 {
            let done = limiter.attempt(Purpose::SignIn, "Sam@example.com", wrong()).await;
            assert_eq!(done.unwrap_err().code(), Code::PassphraseWrong);
        }
        let sixth = limiter.attempt(Purpose::SignIn, "sam@example.com ", async { Ok(()) }).await;
        assert_eq!(sixth.unwrap_err().code(), Code::RateLimited);
        limiter.attempt(Purpose::Decide, "sam@example.com", async { Ok(()) }).await.unwrap();
        limiter.attempt(Purpose::SignIn, "kim@example.com", async { Ok(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn right_ones_never_count_and_all_together_have_a_limit() {
        let limiter = Limiter::default();
        for _ in 0..50 {
            limiter.attempt(Purpose::Decide, "sam", async { Ok(()) }).await.unwrap();
        }
        for i in 0..TOGETHER {
            let _ = limiter.attempt(Purpose::Decide, &format!("{i}"), wrong()).await;
        }
        assert_eq!(limiter.attempt(Purpose::Decide, "sam", wrong()).await.unwrap_err().code(), Code::RateLimited);
    }
}
