//! Time as a parameter: use cases ask a [`Clock`], never the operating system.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Where "now" comes from.
pub trait Clock: Send + Sync {
    /// The present instant, cut to microseconds: what both storage engines keep.
    fn now(&self) -> Timestamp;

    /// True when this clock can be set by hand; such a clock may only serve a workspace that was made for it.
    fn is_virtual(&self) -> bool {
        false
    }
}

fn to_micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the operating system's clock")]
    fn now(&self) -> Timestamp {
        to_micros(Timestamp::now())
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<Timestamp>>);

impl ManualClock {
    /// A clock that shows `at`.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(to_micros(at))))
    }

    /// Moves the clock by `by`; a move out of the calendar's range leaves it where it is.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.checked_add(by).unwrap_or(*now);
    }

    /// Sets the clock.
    pub fn set(&self, at: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = to_micros(at);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn is_virtual(&self) -> bool {
        true
    }
}

/// A clock whose instant stands in a file, so that several programs of a demonstration share it.
///
/// While the file cannot be read it shows the last instant that could.
#[derive(Debug)]
pub struct FileClock {
    path: PathBuf,
    last: Mutex<Timestamp>,
}

impl FileClock {
    /// A clock that reads `path` at each question.
    ///
    /// # Errors
    /// When the file cannot be read or holds no RFC 3339 instant.
    pub fn open(path: impl Into<PathBuf>) -> std::io::Result<Self> {
        let path = path.into();
        let last = Self::read(&path)?;
        Ok(Self { path, last: Mutex::new(last) })
    }

    fn read(path: &std::path::Path) -> std::io::Result<Timestamp> {
        let text = std::fs::read_to_string(path)?;
        text.trim()
            .parse()
            .map_err(|e: jiff::Error| std::io::Error::new(std::io::ErrorKind::InvalidData, e.to_string()))
    }
}

impl Clock for FileClock {
    fn now(&self) -> Timestamp {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(now) = Self::read(&self.path) {
            *last = to_micros(now);
        }
        *last
    }
    fn is_virtual(&self) -> bool {
        true
    }
}
