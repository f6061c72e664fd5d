//! Wrong passphrases a minute. An attempt counts from its beginning, so that many at once do not slip past.
//!
//! An e-mail is no secret, so what is typed there must not lock its owner out: wrong attempts count for the address that they came
//! from. All addresses together have a limit too, so that many of them guess no faster; it does not hold for an address from which
//! a member has signed in lately.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use outcome_core::{Code, Error, Result};

const WINDOW: Duration = Duration::from_mins(1);
/// Of one address for one member.
const PER_MEMBER: usize = 5;
/// Of one address.
const PER_PEER: usize = 15;
/// Of all addresses.
const TOGETHER: usize = 30;
/// How long an address is known after a right passphrase.
const KNOWN_FOR: Duration = Duration::from_hours(24 * 30);
/// Most addresses that are known.
const MAX_KNOWN: usize = 1000;

/// What a passphrase was asked for. A stranger who guesses at the sign-in does not keep a member from deciding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Signing in.
    SignIn,
    /// Deciding a gate.
    Decide,
}

/// Who tries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Who {
    /// For what.
    pub purpose: Purpose,
    /// Where from.
    pub peer: IpAddr,
    /// The member's e-mail, as it was typed.
    pub member: String,
}

impl Who {
    /// Somebody at `peer` who says to be `member`.
    #[must_use]
    pub fn new(purpose: Purpose, peer: IpAddr, member: &str) -> Self {
        // A whole network of 64 bits belongs to whoever has one address of it.
        let peer = match peer {
            IpAddr::V6(ip) if ip.to_ipv4_mapped().is_none() => IpAddr::V6((u128::from(ip) >> 64 << 64).into()),
            peer => peer.to_canonical(),
        };
        Self { purpose, peer, member: member.trim().to_lowercase().chars().take(200).collect() }
    }
}

/// The attempts of the last minute, and the addresses that members use.
#[derive(Debug, Default)]
pub struct Limiter(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    attempts: HashMap<Who, VecDeque<Instant>>,
    known: HashMap<IpAddr, Instant>,
}

impl Limiter {
    /// Runs `attempt` if `who` was not wrong too often, and remembers it if it was wrong.
    ///
    /// # Errors
    /// [`Code::RateLimited`], or what `attempt` says.
    pub async fn attempt<T>(&self, who: Who, attempt: impl Future<Output = Result<T>>) -> Result<T> {
        let began = self.begin(&who)?;
        let done = attempt.await;
        if !matches!(&done, Err(error) if error.code() == Code::PassphraseWrong) {
            self.forget(&who, began, done.is_ok());
        }
        done
    }

    fn begin(&self, who: &Who) -> Result<Instant> {
        let now = Instant::now();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.attempts.retain(|_, times| {
            times.retain(|at| now.duration_since(*at) < WINDOW);
            !times.is_empty()
        });
        state.known.retain(|_, at| now.duration_since(*at) < KNOWN_FOR);
        let is_near = |one: &Who| one.purpose == who.purpose && one.peer == who.peer;
        let is_stranger = !state.known.contains_key(&who.peer);
        for limit in [PER_MEMBER, PER_PEER, TOGETHER] {
            let counts = |one: &Who| match limit {
                PER_MEMBER => one == who,
                PER_PEER => is_near(one),
                _ => is_stranger && one.purpose == who.purpose,
            };
            let times = state.attempts.iter().filter(|(one, _)| counts(one)).flat_map(|(_, times)| times);
            let (n, oldest) = times.fold((0, now), |(n, oldest), at| (n + 1, oldest.min(*at)));
            if n >= limit {
                let wait_secs = WINDOW.saturating_sub(now.duration_since(oldest)).as_secs() + 1;
                return Err(Error::new(Code::RateLimited, "too many wrong passphrases")
                    .hint(format!("wait {wait_secs} s, then try again"))
                    .with("retry_after_secs", wait_secs));
            }
        }
        state.attempts.entry(who.clone()).or_default().push_back(now);
        Ok(now)
    }

    fn forget(&self, who: &Who, began: Instant, is_right: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = state.attempts.get_mut(who)
            && let Some(place) = times.iter().position(|at| *at == began)
        {
            times.remove(place);
        }
        if is_right && state.known.len() < MAX_KNOWN {
            state.known.insert(who.peer, began);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong() -> impl Future<Output = Result<()>> {
        std::future::ready(Err(Error::new(Code::PassphraseWrong, "no")))
    }

    fn who(peer: &str, member: &str) -> Who {
        Who::new(Purpose::SignIn, peer.parse().unwrap(), member)
    }

    async fn is_limited(limiter: &Limiter, who: Who) -> bool {
        match limiter.attempt(who, async { Ok(()) }).await {
            Ok(()) => false,
            Err(error) => {
                assert_eq!(error.code(), Code::RateLimited);
                true
            }
        }
    }

    #[tokio::test]
    async fn the_sixth_wrong_passphrase_of_a_minute_is_not_tried() {
        let limiter = Limiter::default();
        for _ in 0..5 {
            let done = limiter.attempt(who("10.0.0.1", "Sam@example.com"), wrong()).await;
            assert_eq!(done.unwrap_err().code(), Code::PassphraseWrong);
        }
        assert!(is_limited(&limiter, who("10.0.0.1", "sam@example.com ")).await);
        assert!(is_limited(&limiter, who("::ffff:10.0.0.1", "sam@example.com")).await, "the same address");
        assert!(!is_limited(&limiter, who("10.0.0.1", "kim@example.com")).await);
        let decide = Who { purpose: Purpose::Decide, ..who("10.0.0.1", "sam@example.com") };
        assert!(!is_limited(&limiter, decide).await);
    }

    #[tokio::test]
    async fn who_types_the_mail_of_a_member_elsewhere_does_not_lock_them_out() {
        let limiter = Limiter::default();
        assert!(!is_limited(&limiter, who("10.0.0.7", "sam@example.com")).await, "the member signs in");
        // One address guesses, then many, until all strangers have to wait.
        for i in 0..200 {
            let _ = limiter.attempt(who(&format!("10.1.{}.1", i / 5), "sam@example.com"), wrong()).await;
        }
        assert!(is_limited(&limiter, who("10.9.9.9", "sam@example.com")).await, "guesses are bounded in total");
        assert!(!is_limited(&limiter, who("10.0.0.7", "sam@example.com")).await, "the member's own address is known");
    }

    #[tokio::test]
    async fn one_address_guesses_for_all_members_together_no_faster() {
        let limiter = Limiter::default();
        for i in 0..PER_PEER {
            let _ = limiter.attempt(who("2001:db8::1", &format!("{i}@example.com")), wrong()).await;
        }
        assert!(is_limited(&limiter, who("2001:db8::ffff", "sam@example.com")).await, "a neighbour in its network");
        assert!(!is_limited(&limiter, who("2001:db8:0:1::1", "sam@example.com")).await);
    }

    #[tokio::test]
    async fn right_ones_never_count() {
        let limiter = Limiter::default();
        for _ in 0..50 {
            assert!(!is_limited(&limiter, who("10.0.0.1", "sam")).await);
        }
    }
}
