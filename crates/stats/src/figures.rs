//! How figures are written for people: the one place for every sentence, page and chart.
//!
//! JSON holds the numbers themselves. What is written here is for reading and is never parsed again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Four significant digits, without trailing zeros: `0.3214`, `12340`, `-0.02`. Exponent form below 1e-5 and from 1e12 on.
#[must_use]
pub fn number(x: f64) -> String {
    significant(x, 4)
}

/// The same with this many significant digits, 1 to 17.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both are clamped to small numbers")]
pub fn significant(x: f64, digits: u8) -> String {
    if !x.is_finite() {
        return "unknown".to_owned();
    }
    let size = x.abs();
    if size <= 0.0 {
        return "0".to_owned();
    }
    let digits = f64::from(digits.clamp(1, 17));
    if (1e-5..1e12).contains(&size) {
        let decimals = (digits - 1.0 - size.log10().floor()).clamp(0.0, 22.0) as usize;
        without_zeros(&format!("{x:.decimals$}")).to_owned()
    } else {
        let text = format!("{x:.*e}", digits as usize - 1);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        format!("{}e{exponent}", without_zeros(mantissa))
    }
}

/// With its sign: `+0.012`.
#[must_use]
pub fn signed(x: f64) -> String {
    format!("{}{}", sign(x), number(x))
}

/// A count with its thousands: `12,345`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A computed number of units or days, rounded up to a [`count`].
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
pub fn whole(n: f64) -> String {
    count(n.ceil() as u64)
}

/// A forecast of a number, two significant digits: `20`, `690`, `1,200`.
#[must_use]
pub fn about(n: f64) -> String {
    let digits = significant(n, 2);
    match digits.parse::<f64>() {
        Ok(size) if size >= 100.0 => {
            let step = 10.0_f64.powf(size.log10().floor() - 1.0);
            whole((n / step).round() * step)
        }
        _ => digits,
    }
}

/// A share in percent: 0.0512 is `5.12 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{} %", number(share * 100.0))
}

/// The same with its sign, for a relative change: `+5.12 %`.
#[must_use]
pub fn signed_percent(share: f64) -> String {
    format!("{}{}", sign(share), percent(share))
}

/// An interval of relative changes, an open side is `None`: `[-1.2, +5.12] %`.
#[must_use]
pub fn percent_interval(lower: Option<f64>, upper: Option<f64>) -> String {
    format!("[{}, {}] %", end(lower, 100.0), end(upper, 100.0))
}

/// A p-value, never "0": `0.0312`, `below 0.0001`.
#[must_use]
pub fn p_value(p: f64) -> String {
    if p < 0.0001 { "below 0.0001".to_owned() } else { significant(p, 3) }
}

fn end(x: Option<f64>, factor: f64) -> String {
    x.map_or_else(|| "unbounded".to_owned(), |x| signed(x * factor))
}

fn sign(x: f64) -> &'static str {
    if x > 0.0 { "+" } else { "" }
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// How the values of a metric are written: shares in percent and their differences in points, others with their unit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Scale {
    /// Values are shares: 0.32 is 32 %.
    #[serde(default)]
    is_share: bool,
    /// Unit of a value that is no share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
}

impl Scale {
    /// A metric whose values are shares.
    #[must_use]
    pub fn share() -> Self {
        Self { is_share: true, unit: None }
    }

    /// A metric with this unit. `value`: one of its values, which tells the share 0.45 from the percentage 45.
    #[must_use]
    pub fn new(unit: Option<&str>, value: f64) -> Self {
        match unit.map(str::trim).filter(|unit| !unit.is_empty()) {
            Some("%") if value.abs() <= 1.0 => Self::share(),
            unit => Self { is_share: false, unit: unit.map(ToOwned::to_owned) },
        }
    }

    /// The same with its unit rewritten, for a place where not every character is safe.
    #[must_use]
    pub fn map_unit(self, rewrite: impl FnOnce(&str) -> String) -> Self {
        Self { unit: self.unit.map(|unit| rewrite(&unit)), ..self }
    }

    /// A level: `33.12 %`, `412 ms`.
    #[must_use]
    pub fn level(&self, x: f64) -> String {
        format!("{}{}", number(self.scaled(x)), self.unit_of_levels())
    }

    /// The size of a difference: `2 points`, `15 ms`.
    #[must_use]
    pub fn size(&self, x: f64) -> String {
        let text = number(self.scaled(x));
        let unit = self.unit_of_differences(matches!(text.as_str(), "1" | "-1"));
        format!("{text}{unit}")
    }

    /// A difference with its sign: `+1.73 points`.
    #[must_use]
    pub fn change(&self, x: f64) -> String {
        format!("{}{}", sign(x), self.size(x))
    }

    /// An interval of differences, an open side is `None`: `[-0.23, +1.73] points`.
    #[must_use]
    pub fn interval(&self, lower: Option<f64>, upper: Option<f64>) -> String {
        let factor = self.scaled(1.0);
        format!("[{}, {}]{}", end(lower, factor), end(upper, factor), self.unit_of_differences(false))
    }

    /// A level at an axis whose ticks are `step` apart, with as many decimals as tell them apart: `32.5 %`. There is no room
    /// for another unit; what stands beside the axis names it.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 12")]
    pub fn tick(&self, x: f64, step: f64) -> String {
        let decimals = (1.0 - self.scaled(step.abs()).log10().floor()).clamp(0.0, 12.0) as usize;
        let text = format!("{:.decimals$}", self.scaled(x));
        let text = match without_zeros(&text) {
            "-0" => "0",
            text => text,
        };
        let is_percent = self.is_share || self.unit.as_deref() == Some("%");
        format!("{text}{}", if is_percent { " %" } else { "" })
    }

    /// Whether values are shares, written in percent.
    #[must_use]
    pub fn is_share(&self) -> bool {
        self.is_share
    }

    /// Unit of a value that is no share.
    #[must_use]
    pub fn unit(&self) -> Option<&str> {
        self.unit.as_deref()
    }

    /// The figures of one sentence, all with as many decimals as an interval of this width (in metric units) lets one know.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "between -12 and 12")]
    pub fn rounded(&self, width: f64) -> Rounded<'_> {
        let half = self.scaled(width.abs() / 2.0);
        let is_known = half.is_finite() && half > 0.0;
        let decimals = is_known.then(|| (1.0 - half.log10().floor()).clamp(-12.0, 12.0) as i32);
        Rounded { scale: self, decimals }
    }

    fn scaled(&self, x: f64) -> f64 {
        if self.is_share { x * 100.0 } else { x }
    }

    fn unit_of_levels(&self) -> String {
        if self.is_share { " %".to_owned() } else { self.unit.as_ref().map_or_else(String::new, |u| format!(" {u}")) }
    }

    fn unit_of_differences(&self, is_one: bool) -> String {
        match self.unit.as_deref() {
            Some(unit) if unit != "%" => format!(" {unit}"),
            None if !self.is_share => String::new(),
            _ if is_one => " point".to_owned(),
            _ => " points".to_owned(),
        }
    }
}

/// Figures of one sentence, rounded alike.
#[derive(Debug, Clone, Copy)]
pub struct Rounded<'s> {
    scale: &'s Scale,
    /// Decimals of what is written; negative rounds to tens, hundreds. `None` writes three significant digits.
    decimals: Option<i32>,
}

impl Rounded<'_> {
    /// A level: `29.4 %`, `3,750 EUR`.
    #[must_use]
    pub fn level(&self, x: f64) -> String {
        format!("{}{}", self.text(x), self.scale.unit_of_levels())
    }

    /// A difference with its sign: `+3.2 points`.
    #[must_use]
    pub fn change(&self, x: f64) -> String {
        let text = self.end(x);
        let unit = self.scale.unit_of_differences(matches!(text.as_str(), "+1" | "-1"));
        format!("{text}{unit}")
    }

    /// The same without its unit, for a place where it was just named.
    #[must_use]
    pub fn end(&self, x: f64) -> String {
        format!("{}{}", sign(x), self.text(x))
    }

    /// A lower end, rounded down, so that it never promises more.
    #[must_use]
    pub fn low(&self, x: f64) -> String {
        self.end(self.outward(x, f64::floor))
    }

    /// An upper end, rounded up.
    #[must_use]
    pub fn high(&self, x: f64) -> String {
        self.end(self.outward(x, f64::ceil))
    }

    /// Whether the written levels differ by the written difference.
    #[must_use]
    pub fn is_difference(&self, with: f64, without: f64, effect: f64) -> bool {
        let Some(decimals) = self.decimals else { return true };
        let step = 10.0_f64.powi(-decimals);
        let steps = |x: f64| (self.scale.scaled(x) / step).round();
        (steps(with) - steps(without) - steps(effect)).abs() < 0.5
    }

    /// The same with one more decimal.
    #[must_use]
    pub fn finer(self) -> Self {
        Self { decimals: self.decimals.map(|decimals| decimals + 1), ..self }
    }

    fn outward(&self, x: f64, round: fn(f64) -> f64) -> f64 {
        let Some(decimals) = self.decimals.filter(|_| x.is_finite()) else { return x };
        let step = 10.0_f64.powi(-decimals);
        let steps = self.scale.scaled(x) / step;
        // What is a whole number of steps but for the last bits stays one.
        let whole = if (steps - steps.round()).abs() < 1e-6 { steps.round() } else { round(steps) };
        if whole.abs() < 0.5 && x.abs() > 0.0 { x } else { whole * step / self.scale.scaled(1.0) }
    }

    fn text(&self, x: f64) -> String {
        let x = self.scale.scaled(x);
        let Some(decimals) = self.decimals.filter(|_| x.is_finite()) else { return significant(x, 3) };
        let step = 10.0_f64.powi(-decimals);
        let rounded = (x / step).round() * step;
        // Zero is never said of what is not.
        if rounded.abs() < step / 2.0 && x.abs() > 0.0 {
            return significant(x, 1);
        }
        let text = format!("{:.*}", usize::try_from(decimals).unwrap_or_default(), rounded.abs());
        let (whole, rest) =
            text.split_once('.').map_or((text.as_str(), String::new()), |(whole, rest)| (whole, format!(".{rest}")));
        let whole = whole.parse().map_or_else(|_| whole.to_owned(), count);
        format!("{}{whole}{rest}", if rounded < 0.0 { "-" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_never_lie_about_zero() {
        let cases = [
            (0.0, "0"),
            (95.0, "95"),
            (0.012_345_6, "0.01235"),
            (-0.5, "-0.5"),
            (1234.56, "1235"),
            (123_456.0, "123456"),
            (-0.000_123_46, "-0.0001235"),
            (1e-9, "1e-9"),
            (-1.234_56e13, "-1.235e13"),
            (9.9999, "10"),
            (f64::NAN, "unknown"),
            (f64::INFINITY, "unknown"),
        ];
        for (x, want) in cases {
            assert_eq!(number(x), want);
        }
        assert_eq!(significant(1.0 / 3.0, 8), "0.33333333");
        assert_eq!([p_value(1e-12), p_value(0.031_26), p_value(1.0)], ["below 0.0001", "0.0313", "1"]);
        assert_eq!(p_value(0.0001), "0.0001");
        assert_eq!([count(7), count(90_189), count(1_234_567)], ["7", "90,189", "1,234,567"]);
        assert_eq!([whole(11.2), whole(-1.0), whole(f64::NAN)], ["12", "0", "0"]);
        assert_eq!([about(0.43), about(19.6), about(693.0), about(1249.0)], ["0.43", "20", "690", "1,200"]);
        assert_eq!(percent_interval(Some(-0.012), None), "[-1.2, unbounded] %");
        assert_eq!([percent(0.07), signed_percent(0.0512), signed_percent(-0.5)], ["7 %", "+5.12 %", "-50 %"]);
    }

    #[test]
    fn shares_are_percent_and_their_differences_points() {
        for scale in [Scale::share(), Scale::new(Some("%"), 0.45)] {
            assert_eq!(scale.level(0.3312), "33.12 %");
            assert_eq!([scale.size(0.01), scale.size(0.02)], ["1 point", "2 points"]);
            assert_eq!([scale.change(-0.0081), scale.change(0.01)], ["-0.81 points", "+1 point"]);
            assert_eq!(scale.interval(Some(-0.0023), Some(0.0173)), "[-0.23, +1.73] points");
            assert_eq!([scale.tick(0.325, 0.005), scale.tick(-0.0, 0.1)], ["32.5 %", "0 %"]);
        }
        let percentage = Scale::new(Some("%"), 45.0);
        assert_eq!([percentage.level(33.12), percentage.change(1.5)], ["33.12 %", "+1.5 points"]);
        assert_eq!(
            (percentage.tick(33.0, 1.0), percentage.is_share(), Scale::share().is_share()),
            ("33 %".into(), false, true)
        );
    }

    #[test]
    fn the_figures_of_a_sentence_are_rounded_alike() {
        let share = Scale::share();
        let of = share.rounded(0.046);
        assert_eq!(
            [of.level(0.294_1), of.change(0.031_8), of.end(0.009_2), of.end(0.055)],
            ["29.4 %", "+3.2 points", "+0.9", "+5.5"]
        );
        assert_eq!(of.end(0.000_4), "+0.04", "what is not zero is never called so");
        assert_eq!([of.change(0.01), of.end(0.0), of.end(-0.02)], ["+1.0 points", "0.0", "-2.0"]);
        assert_eq!(
            [of.low(0.009_6), of.high(0.054_1), of.low(0.01), of.high(-0.012_3)],
            ["+0.9", "+5.5", "+1.0", "-1.2"]
        );
        assert!(of.is_difference(0.294, 0.262, 0.032) && !of.is_difference(0.327_66, 0.308_26, 0.019_4));
        assert_eq!(of.finer().level(0.327_66), "32.77 %");
        let money = Scale::new(Some("EUR"), 3749.0);
        let of = money.rounded(640.0);
        assert_eq!(
            [of.level(3749.4), of.change(-312.0), of.level(123_456.0)],
            ["3,750 EUR", "-310 EUR", "123,460 EUR"]
        );
        for unknown in [f64::NAN, f64::INFINITY, 0.0] {
            assert_eq!(share.rounded(unknown).level(0.294_14), "29.4 %", "{unknown}");
        }
        assert_eq!(of.level(4.0), "4 EUR");
    }

    #[test]
    fn an_end_is_rounded_outward_but_for_its_last_bits_and_never_to_zero() {
        let share = Scale::share();
        let of = share.rounded(0.046);
        // 0.3 / 0.1 is a little less than 3.
        assert_eq!(
            [of.low(0.003), of.high(0.003), of.low(0.003_1), of.high(0.003_1)],
            ["+0.3", "+0.3", "+0.3", "+0.4"]
        );
        assert_eq!(
            [of.low(0.000_4), of.high(-0.000_4), of.low(0.0), of.end(0.000_9)],
            ["+0.04", "-0.04", "0.0", "+0.1"]
        );
    }

    #[test]
    fn other_metrics_have_their_unit_or_none() {
        let latency = Scale::new(Some(" ms "), 0.4);
        assert_eq!([latency.level(412.0), latency.change(-3.0)], ["412 ms", "-3 ms"]);
        assert_eq!(latency.interval(None, Some(1.5)), "[unbounded, +1.5] ms");
        assert_eq!((latency.unit(), latency.tick(412.0, 1.0)), (Some("ms"), "412".to_owned()));
        assert_eq!(latency.clone().map_unit(str::to_uppercase).level(412.0), "412 MS");
        for plain in [Scale::default(), Scale::new(None, 20.0), Scale::new(Some(""), 20.0)] {
            assert_eq!([plain.level(0.0173), plain.change(1.5), plain.size(2.0)], ["0.0173", "+1.5", "2"]);
        }
    }
}
