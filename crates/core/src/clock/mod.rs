//! Time as a parameter: use cases ask a [`Clock`], never the operating system.

mod uptime;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

pub use uptime::Uptime;

/// Where "now" comes from.
pub trait Clock: Send + Sync {
    /// The present instant, cut to microseconds: what both storage engines keep.
    fn now(&self) -> Timestamp;

    /// True when this clock can be set by hand; such a clock may only serve a workspace that was made for it.
    fn is_virtual(&self) -> bool {
        false
    }

    /// How long the machine has been up, which nobody can set; `None` where that is not known.
    fn uptime(&self) -> Option<Uptime> {
        None
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
    fn uptime(&self) -> Option<Uptime> {
        Some(uptime::of_this_machine())
    }
}

/// A clock that shows another time than the one it follows, always by as much.
pub struct ShiftedClock {
    clock: Arc<dyn Clock>,
    by: SignedDuration,
}

impl ShiftedClock {
    /// `clock`, put so that it shows `now` at this instant.
    #[must_use]
    pub fn showing(clock: Arc<dyn Clock>, now: Timestamp) -> Self {
        let by = now.duration_since(clock.now());
        Self { clock, by }
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        now.checked_add(self.by).unwrap_or(now)
    }
    fn is_virtual(&self) -> bool {
        self.clock.is_virtual()
    }
    fn uptime(&self) -> Option<Uptime> {
        self.clock.uptime()
    }
}

/// A clock that stands still until it is moved. Its machine has been up since the clock was made.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<Manual>>);

#[derive(Debug)]
struct Manual {
    now: Timestamp,
    up: SignedDuration,
}

impl ManualClock {
    /// A clock that shows `at`.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Manual { now: to_micros(at), up: SignedDuration::ZERO })))
    }

    /// Lets time pass; a move out of the calendar's range leaves it where it is.
    pub fn advance(&self, by: SignedDuration) {
        let mut clock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(now) = clock.now.checked_add(by) {
            (clock.now, clock.up) = (now, clock.up + by);
        }
    }

    /// Lets time pass until `at`.
    pub fn set(&self, at: Timestamp) {
        self.advance(to_micros(at).duration_since(self.now()));
    }

    /// Sets the clock wrong by `by`: no time passes.
    pub fn jump(&self, by: SignedDuration) {
        let mut clock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clock.now = clock.now.checked_add(by).unwrap_or(clock.now);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).now
    }
    fn is_virtual(&self) -> bool {
        true
    }
    fn uptime(&self) -> Option<Uptime> {
        let up = self.0.lock().unwrap_or_else(PoisonError::into_inner).up;
        Some(Uptime { boot: format!("manual clock {:p}", Arc::as_ptr(&self.0)), up })
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
