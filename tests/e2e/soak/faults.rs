//! What goes wrong at a source, and when.

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng, RngExt as _};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Fault {
    // Of an API over HTTP.
    WrongCredentials,
    ExpiredToken,
    TooMany,
    TooManyFor(i64),
    Broken500,
    Gateway502,
    Away503,
    Away503For(i64),
    Gateway504,
    SilentHeader,
    SilentBody,
    Truncated,
    HalfJson,
    Huge,
    Page,
    Redirect,
    NotANumber,
    Null,
    Empty,
    MissingVariant,
    /// Numbers in quotes, which are read.
    Quoted,
    /// Fields that nobody knows, which are ignored.
    NewFields,
    // Of a database behind a plain connection.
    Refused,
    SilentStart,
    SilentAnswer,
    Cut,
    BadTls,
    WrongPassword,
    NoRoom,
}

impl Fault {
    /// Whether it leaves the source without an answer that can be used.
    pub(super) fn is_failure(self) -> bool {
        !matches!(self, Self::Quoted | Self::NewFields | Self::Empty | Self::MissingVariant)
    }

    /// How long the source asks to be left alone.
    pub(super) fn asks_to_wait(self) -> Option<i64> {
        if let Self::TooManyFor(seconds) | Self::Away503For(seconds) = self { Some(seconds) } else { None }
    }

    /// Whether nobody gets as far as a question.
    pub(super) fn is_at_start(self) -> bool {
        matches!(self, Self::Refused | Self::SilentStart | Self::BadTls | Self::WrongPassword | Self::NoRoom)
    }

    /// The codes of its errors. A source that is left alone is throttled, whatever was wrong with it.
    pub(super) fn codes(self) -> &'static [&'static str] {
        match self {
            Self::WrongCredentials | Self::ExpiredToken | Self::WrongPassword => &["signal_unauthorized"],
            Self::TooMany | Self::TooManyFor(_) | Self::Away503For(_) => &["signal_throttled"],
            Self::Broken500 | Self::Gateway502 | Self::Away503 | Self::Gateway504 | Self::NoRoom => {
                &["signal_fetch_failed", "signal_throttled"]
            }
            Self::SilentHeader | Self::SilentBody => &["signal_timeout"],
            // A connection that was open before is tried first.
            Self::SilentStart | Self::SilentAnswer => &["signal_timeout", "signal_fetch_failed"],
            Self::Truncated | Self::Refused | Self::Cut | Self::BadTls => &["signal_fetch_failed"],
            Self::HalfJson | Self::Huge | Self::Page | Self::NotANumber | Self::Null => &["signal_shape"],
            Self::Redirect => &["connector_config", "signal_fetch_failed"],
            Self::Empty => &["signal_shape"],
            Self::MissingVariant | Self::Quoted | Self::NewFields => &[],
        }
    }
}

/// Of every API.
pub(super) const OF_HTTP: [Fault; 21] = [
    Fault::WrongCredentials,
    Fault::ExpiredToken,
    Fault::TooMany,
    Fault::TooManyFor(600),
    Fault::TooManyFor(90_000),
    Fault::Broken500,
    Fault::Gateway502,
    Fault::Away503,
    Fault::Away503For(1800),
    Fault::Gateway504,
    Fault::SilentHeader,
    Fault::SilentBody,
    Fault::Truncated,
    Fault::HalfJson,
    Fault::Huge,
    Fault::Page,
    Fault::Redirect,
    Fault::NotANumber,
    Fault::Null,
    Fault::Quoted,
    Fault::NewFields,
];

/// Of PostgreSQL.
pub(super) const OF_TCP: [Fault; 7] = [
    Fault::Refused,
    Fault::SilentStart,
    Fault::SilentAnswer,
    Fault::Cut,
    Fault::BadTls,
    Fault::WrongPassword,
    Fault::NoRoom,
];

/// The faults in another order.
pub(super) fn shuffled(rng: &mut StdRng, faults: &[Fault]) -> Vec<Fault> {
    let mut deck = faults.to_vec();
    deck.shuffle(rng);
    deck
}

/// A fault and its time, half open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Episode {
    pub(super) fault: Fault,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

impl Episode {
    pub(super) fn lasts(&self) -> SignedDuration {
        self.to.duration_since(self.from)
    }
}

/// All that goes wrong at one source.
#[derive(Debug, Clone)]
pub(super) struct Schedule(Vec<Episode>);

impl Schedule {
    /// Deals the faults of a deck from `begin` to `end`, in its order and again and again, as short ones and a few long ones.
    pub(super) fn deal(rng: &mut StdRng, faults: &[Fault], (begin, end): (Timestamp, Timestamp)) -> Self {
        let mut episodes = Vec::new();
        let mut deck = faults.iter().cycle();
        let mut at = begin + minutes(rng, 20..120);
        // The first one is long only by chance, so that another source has its own.
        let mut until_long = rng.random_range(4..12);
        loop {
            until_long -= 1;
            let fault = *deck.next().unwrap_or(&Fault::Quoted);
            let is_long = until_long < 0 && fault.is_failure();
            let length = if is_long { minutes(rng, 250..300) } else { minutes(rng, 40..75) };
            if at + length > end {
                return Self(episodes);
            }
            episodes.push(Episode { fault, from: at, to: at + length });
            if is_long {
                until_long = rng.random_range(10..18);
            }
            at = at + length + minutes(rng, if is_long { 150..240 } else { 40..75 });
        }
    }

    /// What is wrong now.
    pub(super) fn at(&self, now: Timestamp) -> Option<Fault> {
        self.0.iter().find(|episode| episode.from <= now && now < episode.to).map(|episode| episode.fault)
    }

    /// The last one that has begun.
    pub(super) fn latest(&self, now: Timestamp) -> Option<Episode> {
        self.0.iter().rev().find(|episode| episode.from <= now).copied()
    }

    /// How many there are.
    pub(super) fn episodes(&self) -> &[Episode] {
        &self.0
    }
}

fn minutes(rng: &mut impl Rng, range: std::ops::Range<i64>) -> SignedDuration {
    SignedDuration::from_mins(rng.random_range(range))
}
