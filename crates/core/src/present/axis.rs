//! What stands at the axes of a chart. [`Scale::tick`](super::Scale::tick) writes a level.

use jiff::Timestamp;

/// Round levels between `low` and `high`, about four, and how far apart they are.
#[must_use]
pub fn ticks(low: f64, high: f64) -> (Vec<f64>, f64) {
    let rough = (high - low) / 4.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].iter().map(|factor| factor * power).find(|step| *step >= rough).unwrap_or(rough);
    let mut out = Vec::new();
    let mut value = (low / step).ceil() * step;
    while value <= high && out.len() < 12 {
        out.push(value);
        value += step;
    }
    (out, step)
}

/// An instant at an axis of this length: `12 Nov`, on an axis of less than three days `12 Nov 06:00`; UTC.
#[must_use]
pub fn day(at: Timestamp, span_seconds: f64) -> String {
    at.strftime(if span_seconds < 3.0 * 86_400.0 { "%-d %b %H:%M" } else { "%-d %b" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::Scale;

    #[test]
    fn ticks_are_round_and_told_apart() {
        let (found, step) = ticks(0.313, 0.347);
        let labels: Vec<_> = found.iter().map(|value| Scale::share().tick(*value, step)).collect();
        assert_eq!(labels, ["32 %", "33 %", "34 %"]);
        let (found, step) = ticks(-60.0, 490.0);
        let labels: Vec<_> = found.iter().map(|value| Scale::new(Some("ms"), 1.0).tick(*value, step)).collect();
        assert_eq!(labels, ["0", "200", "400"]);
    }

    #[test]
    fn a_short_axis_has_hours() {
        let at = "2026-11-02T06:00:00Z".parse().unwrap();
        assert_eq!([day(at, 86_400.0), day(at, 864_000.0)], ["2 Nov 06:00", "2 Nov"]);
    }
}
