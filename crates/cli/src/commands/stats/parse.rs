//! Numbers as people write them: `500/10000`, `1000,12.3,4.5`, `10%`, `50/50`, `2000/day`.

use outcome_core::domain::MinimumDetectableEffect;
use outcome_core::stats::{Alpha, Moments, figures};
use outcome_core::{Code, Error, Result};

/// The sums of one arm, with the variance of its mean.
#[derive(Debug, Clone, Copy)]
pub struct Arm {
    /// Units.
    pub n: u64,
    /// What the gate looks at.
    pub moments: Moments,
    /// Share or mean.
    pub level: f64,
    /// Sampling variance of the level.
    pub variance: f64,
    /// True for a share.
    pub is_share: bool,
}

/// What is wrong, and what would be right.
pub fn invalid(message: impl Into<String>, valid: &str) -> Error {
    Error::new(Code::InvalidInput, message).hint(valid)
}

/// A finite number.
pub fn number(text: &str, flag: &str) -> Result<f64> {
    match text.trim().parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(x),
        _ => Err(invalid(format!("{flag}: `{text}` is not a number"), "write it like 12.3 or 1e-4")),
    }
}

/// A number, or a percentage as its share.
fn share(text: &str, flag: &str) -> Result<f64> {
    match text.trim().strip_suffix('%') {
        Some(percent) => Ok(number(percent, flag)? / 100.0),
        None => number(text, flag),
    }
}

/// A number above 0.
pub fn positive(text: &str, flag: &str) -> Result<f64> {
    let x = number(text, flag)?;
    if x > 0.0 {
        Ok(x)
    } else {
        Err(invalid(format!("{flag} is {text}, expected more than 0"), "give a positive number"))
    }
}

/// A level: a share as `5%` or 0.05, or a mean.
pub fn level(text: &str, flag: &str) -> Result<f64> {
    share(text, flag)
}

/// An error probability, as `5%` or 0.05.
pub fn alpha(text: &str) -> Result<Alpha> {
    let value = share(text, "--alpha")?;
    Alpha::try_new(value)
        .map_err(|e| invalid(format!("--{e}"), "0.05 is usual; use 0.01 if no human checks before acting"))
}

/// A probability strictly between 0 and 1.
pub fn probability(text: &str, flag: &str) -> Result<f64> {
    let value = share(text, flag)?;
    if value > 0.0 && value < 1.0 {
        return Ok(value);
    }
    Err(invalid(format!("{flag} is {text}, expected between 0 and 1, exclusive"), "0.8 is usual"))
}

/// The size of an effect, above 0; its direction stands elsewhere.
pub fn effect(text: &str, flag: &str) -> Result<MinimumDetectableEffect> {
    let is_relative = text.trim().ends_with('%');
    let size = share(text, flag)?;
    if size <= 0.0 {
        return Err(invalid(
            format!("{flag} is {text}, expected more than 0"),
            "it is a size, like 10% of the level or 0.5 in its units",
        ));
    }
    Ok(if is_relative { MinimumDetectableEffect::Relative(size) } else { MinimumDetectableEffect::Absolute(size) })
}

/// Refuses the size of an effect that no share can change by: 10 is meant as 10 %, or as ten points.
pub fn within_share(effect: MinimumDetectableEffect, text: &str, flag: &str) -> Result<MinimumDetectableEffect> {
    match effect {
        MinimumDetectableEffect::Absolute(size) if effect.exceeds_share() => Err(invalid(
            format!("{flag} is {text}, and a share is between 0 and 1"),
            &format!(
                "`{text}%` is {text} % of the level, {} is {text} points; without `%` it is in the units of a share",
                figures::significant(size / 100.0, 12)
            ),
        )),
        _ => Ok(effect),
    }
}

/// An arm: `X/N`, `N,MEAN,SD` or `n=N,mean=M,sd=S`.
pub fn arm(text: &str, flag: &str) -> Result<Arm> {
    const VALID: &str =
        "write a share as X/N (500/10000), a mean as N,MEAN,SD (1000,12.3,4.5) or n=1000,mean=12.3,sd=4.5";
    let shape = || invalid(format!("{flag}: `{text}` is not a valid arm"), VALID);
    let units = |part: &str, what: &str| {
        part.trim().parse::<u64>().map_err(|_| {
            invalid(format!("{flag}: `{}` of `{text}` is not a whole number of {what}", part.trim()), VALID)
        })
    };
    if let Some((successes, n)) = text.split_once('/') {
        return share_arm(units(successes, "successes")?, units(n, "units")?, text, flag);
    }
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let [mut n, mut mean, mut sd] = [None; 3];
    for (i, part) in parts.iter().enumerate() {
        let (name, value) = part.split_once('=').unwrap_or((["n", "mean", "sd"].get(i).copied().unwrap_or("?"), part));
        let place = match name.trim() {
            "n" => &mut n,
            "mean" => &mut mean,
            "sd" => &mut sd,
            _ => return Err(shape()),
        };
        if place.replace(value).is_some() {
            return Err(shape());
        }
    }
    let (Some(n), Some(mean), Some(sd)) = (n, mean, sd) else { return Err(shape()) };
    mean_arm(units(n, "units")?, number(mean, flag)?, number(sd, flag)?, text, flag)
}

fn share_arm(successes: u64, n: u64, text: &str, flag: &str) -> Result<Arm> {
    let hint = "X of N: successes come first, and each unit counts once";
    if n == 0 || successes > n {
        let problem = if n == 0 { "no units" } else { "more successes than units" };
        return Err(invalid(format!("{flag}: `{text}` has {problem}"), hint));
    }
    let x = successes as f64;
    let moments = Moments::try_new(n, x, x).map_err(|e| invalid(format!("{flag}: {e}"), hint))?;
    Ok(Arm { n, moments, level: moments.mean(), variance: moments.variance_of_mean(), is_share: true })
}

/// Kept as mean and deviation: turned into sums, a small deviation would drown in a large mean.
fn mean_arm(n: u64, mean: f64, sd: f64, text: &str, flag: &str) -> Result<Arm> {
    if n < 2 {
        return Err(invalid(format!("{flag}: `{text}` has {n} units, expected 2 or more"), "N,MEAN,SD"));
    }
    if sd < 0.0 {
        return Err(invalid(format!("{flag}: `{text}` has a negative standard deviation"), "N,MEAN,SD"));
    }
    let units = n as f64;
    let centred = (units - 1.0) * sd * sd;
    let moments = Moments { n: units, sum: units * mean, sum_squares: centred + units * mean * mean, centred };
    if !(moments.sum.is_finite() && moments.sum_squares.is_finite()) {
        return Err(invalid(format!("{flag}: `{text}` is too large to calculate with"), "use a larger unit"));
    }
    Ok(Arm { n, moments, level: mean, variance: sd * sd / units, is_share: false })
}

/// Declared shares, one an arm.
pub fn split(text: &str, n_arms: usize) -> Result<Vec<f64>> {
    let weights: Vec<f64> = text.split('/').map(|part| share(part, "--split")).collect::<Result<_>>()?;
    let hint = "give one share for each arm, control first: 50/50, 90/10, 34/33/33";
    if weights.len() != n_arms {
        return Err(invalid(format!("--split has {} shares for {n_arms} arms", weights.len()), hint));
    }
    if weights.iter().any(|weight| *weight <= 0.0) {
        return Err(invalid(format!("--split is {text}, every share must be above 0"), hint));
    }
    Ok(weights)
}

/// Units a day.
pub fn traffic(text: &str) -> Result<f64> {
    let (units, per_day) = match text.split_once('/') {
        None => (text, 1.0),
        Some((units, "day" | "d")) => (units, 1.0),
        Some((units, "week" | "w")) => (units, 1.0 / 7.0),
        Some((units, "hour" | "h")) => (units, 24.0),
        Some((units, "month")) => (units, 12.0 / 365.25),
        Some(_) => {
            return Err(invalid(
                format!("--traffic: `{text}` is not a rate"),
                "write it like 2000/day, 14000/week, 80/hour",
            ));
        }
    };
    Ok(positive(units, "--traffic")? * per_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_are_read_in_each_form() {
        let share = arm("500/10000", "--control").unwrap();
        assert!(share.is_share && share.n == 10_000 && (share.level - 0.05).abs() < 1e-15);
        assert!((share.variance - 0.05 * 0.95 / 9_999.0).abs() < 1e-15);
        for text in ["1000,12.3,4.5", "n=1000,mean=12.3,sd=4.5", "sd=4.5, n=1000, mean=12.3", "1e3,1,1"] {
            let got = arm(text, "--control");
            if text.starts_with("1e3") {
                assert!(got.is_err(), "{text}");
                continue;
            }
            let got = got.unwrap();
            assert!(!got.is_share && got.n == 1000 && (got.variance - 4.5 * 4.5 / 1000.0).abs() < 1e-15, "{text}");
        }
    }

    #[test]
    fn a_small_deviation_beside_a_large_mean_keeps_its_digits() {
        let got = arm("1000,1e9,0.5", "--control").unwrap();
        assert!((got.variance - 0.25 / 1000.0).abs() < 1e-18);
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        for text in [
            "11/10",
            "1/0",
            "-1/10",
            "1.5/10",
            "a/b",
            "1,2",
            "1,2,3",
            "10,2,-3",
            "10,nan,1",
            "10,1,1,1",
            "n=10,n=10,sd=1",
        ] {
            let error = arm(text, "--control").unwrap_err();
            assert!(error.message().starts_with("--control"), "{text}: {error}");
            assert!(error.hint_text().is_some(), "{text}");
        }
        assert!(arm("10,1e300,1", "--control").is_err());
        for text in ["0", "-10%", "x", "inf"] {
            assert!(effect(text, "--mde").is_err(), "{text}");
        }
        assert!(split("50/50", 3).is_err() && split("100/0", 2).is_err() && split("x/y", 2).is_err());
        assert!(traffic("2000/fortnight").is_err() && traffic("0/day").is_err());
    }

    #[test]
    fn rates_and_sizes_are_understood() {
        assert_eq!(effect("10%", "--mde").unwrap(), MinimumDetectableEffect::Relative(0.1));
        assert_eq!(effect("0.5", "--mde").unwrap(), MinimumDetectableEffect::Absolute(0.5));
        assert!((traffic("14000/week").unwrap() - 2000.0).abs() < 1e-9);
        assert!((traffic("80/hour").unwrap() - 1920.0).abs() < 1e-9);
        assert!((traffic("2000").unwrap() - 2000.0).abs() < 1e-9);
        assert_eq!(split("90/10", 2).unwrap(), [90.0, 10.0]);
    }
}
