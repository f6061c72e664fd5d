//! Values of signals as people read them.

/// How values of a signal are shown. A share whose unit is `%` is shown in percent.
#[derive(Debug, Clone, Default)]
pub struct Scale {
    unit: String,
    is_share: bool,
}

impl Scale {
    /// The scale of a signal with this unit; `target` tells a share (0.45) from a percentage (45).
    pub fn new(unit: Option<&str>, target: f64) -> Self {
        let unit = super::safe(unit.unwrap_or_default());
        Self { is_share: unit == "%" && target.abs() <= 1.0, unit }
    }

    /// A level: `33.1 %`, `412 ms`.
    pub fn level(&self, value: f64) -> String {
        let shown = significant(if self.is_share { value * 100.0 } else { value }, 4);
        if self.unit.is_empty() { shown } else { format!("{shown} {}", self.unit) }
    }

    /// A difference with its sign; differences of shares are points.
    pub fn change(&self, value: f64) -> String {
        format!("{}{}", self.signed(value), self.points())
    }

    /// An interval of differences: `[-0.23, +1.73] points`.
    pub fn interval(&self, lower: Option<f64>, upper: Option<f64>) -> String {
        let end = |x: Option<f64>| x.map_or_else(|| "unbounded".to_owned(), |x| self.signed(x));
        format!("[{}, {}]{}", end(lower), end(upper), self.points())
    }

    fn signed(&self, value: f64) -> String {
        let scaled = if self.is_share { value * 100.0 } else { value };
        let sign = if scaled >= 0.0 { "+" } else { "" };
        format!("{sign}{}", significant(scaled, 3))
    }

    fn points(&self) -> &'static str {
        if self.is_share { " points" } else { "" }
    }
}

/// `value` with this many significant digits, without trailing zeros.
pub fn significant(value: f64, digits: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    #[expect(clippy::cast_possible_truncation, reason = "the logarithm of a finite number lies within +-324")]
    let magnitude = value.abs().log10().floor() as i32;
    if !(-5..12).contains(&magnitude) {
        return format!("{value:.2e}");
    }
    let decimals = usize::try_from(digits - 1 - magnitude).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `p < 0.0001`, `p = 0.031`.
pub fn p_value(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".to_owned() } else { significant(p, 2) }
}

/// `12,345`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A number of units or days that was calculated, rounded up: `12,345`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
pub fn whole(n: f64) -> String {
    count(n.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(significant(0.330_12, 4), "0.3301");
        assert_eq!(significant(412.0, 4), "412");
        assert_eq!(significant(-0.000_000_1, 3), "-1.00e-7");
        assert_eq!(Scale::new(Some("%"), 0.45).level(0.3312), "33.12 %");
        assert_eq!(Scale::new(Some("%"), 45.0).level(33.12), "33.12 %");
        assert_eq!(Scale::new(Some("%"), 0.45).change(-0.0081), "-0.81 points");
        assert_eq!(Scale::new(None, 20.0).change(1.5), "+1.5");
        assert_eq!(Scale::new(Some("%"), 0.45).interval(Some(-0.0023), Some(0.0173)), "[-0.23, +1.73] points");
        assert_eq!(Scale::new(None, 20.0).interval(None, Some(1.5)), "[unbounded, +1.5]");
    }
}
