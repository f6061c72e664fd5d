//! Findings about the data that turn the flag off when they last: some readings in a row, over some time (METRICS.md 3.3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HealthCode;

/// Findings that turn the flag off when they last.
const PAUSING: [HealthCode; 2] = [HealthCode::BothArmsOften, HealthCode::UnknownVariantsOften];

/// Readings in a row that had a finding; a reading with the same clock does not count again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lasting {
    /// The finding.
    pub code: HealthCode,
    /// The phase in which it is found.
    pub phase: u32,
    /// Readings in a row.
    pub n: u32,
    /// When the data of the first of them are as of, in Unix seconds.
    pub since: i64,
    /// The same of the last one.
    pub until: i64,
}

impl Lasting {
    /// Whether it has lasted for as long as that: so many readings, over so many seconds.
    #[must_use]
    pub fn is_over(&self, n: u32, seconds: i64) -> bool {
        self.n >= n && self.until.saturating_sub(self.since) >= seconds
    }

    /// What lasts after a reading with these findings in its newest phase. A phase that began meanwhile has seen nothing yet.
    pub(super) fn after(before: &[Self], has: impl Fn(HealthCode) -> bool, phase: u32, as_of: i64) -> Vec<Self> {
        let one = |code: HealthCode| {
            let known = before.iter().find(|lasting| lasting.code == code && lasting.phase == phase);
            match known {
                Some(known) => Self { n: known.n.saturating_add(1), until: as_of, ..*known },
                None => Self { code, phase, n: 1, since: as_of, until: as_of },
            }
        };
        PAUSING.into_iter().filter(|code| has(*code)).map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_without_the_finding_begins_anew() {
        let code = HealthCode::BothArmsOften;
        let mut lasting = Vec::new();
        for (as_of, is_found) in [(0, true), (3600, true), (7200, true)] {
            lasting = Lasting::after(&lasting, |asked| is_found && asked == code, 0, as_of);
        }
        assert_eq!(lasting, [Lasting { code, phase: 0, n: 3, since: 0, until: 7200 }]);
        assert!(lasting[0].is_over(3, 7200) && !lasting[0].is_over(3, 7201) && !lasting[0].is_over(4, 7200));
        assert!(Lasting::after(&lasting, |_| false, 0, 9000).is_empty());
        assert_eq!(Lasting::after(&lasting, |asked| asked == code, 1, 9000)[0].n, 1, "a new phase begins anew");
    }
}
