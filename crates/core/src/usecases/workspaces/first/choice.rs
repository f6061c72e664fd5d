//! What somebody chose of a proposal, and the file that follows.

use serde::Serialize;

use super::{FirstLook, FirstMetric};
use crate::config::{TemplateOptions, template};
use crate::domain::Slug;
use crate::error::{Code, Error, Result};
use crate::first_file::write;

/// What somebody chose.
#[derive(Debug, Clone, Default)]
pub struct FirstChoice {
    /// Name of the metric that should move; the first one where absent.
    pub metric: Option<String>,
    /// Where it should be; a tenth better than today where absent.
    pub target: Option<f64>,
    /// Id of the outcome; made from the metric where absent.
    pub outcome: Option<Slug>,
}

/// A first outcome file.
#[derive(Debug, Clone, Serialize)]
pub struct FirstFile {
    /// Its text.
    pub text: String,
    /// Id of its outcome.
    pub outcome: String,
    /// Its metric; `None` of the template that has to be edited first.
    pub metric: Option<FirstMetric>,
    /// Where the metric should be.
    pub target: Option<f64>,
}

impl FirstLook {
    /// The metric of this name, or the first; `None` where none is proposed.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] for a name that is none of them.
    pub fn metric_named(&self, name: Option<&str>) -> Result<Option<&FirstMetric>> {
        let Some(name) = name else { return Ok(self.metrics.first()) };
        let found = self.metrics.iter().find(|metric| metric.name == name);
        let names: Vec<&str> = self.metrics.iter().map(|metric| metric.name.as_str()).collect();
        found.map(Some).ok_or_else(|| {
            let shown: String = name.chars().take(60).collect();
            let hint = match names.as_slice() {
                [] => "no metric is proposed here: leave --metric out, and edit outcome.yaml afterwards".to_owned(),
                names => format!("the proposed ones are: {}", names.join(", ")),
            };
            Error::new(Code::InvalidInput, format!("`{shown}` is not a metric that is proposed")).hint(hint)
        })
    }

    /// The file. Where nothing is proposed it is the template that has to be edited.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] for a metric that is none, or a target that is not better than today.
    pub fn file(&self, choice: &FirstChoice) -> Result<FirstFile> {
        let metric = self.metric_named(choice.metric.as_deref())?;
        let (Some(metric), Some(proposal)) = (metric, &self.proposal) else {
            let given = TemplateOptions::default();
            let outcome = choice.outcome.clone().unwrap_or(given.outcome.clone());
            let options = TemplateOptions { url: self.source.url.clone(), outcome, ..given };
            let (text, outcome) = (template(&options), options.outcome.to_string());
            return Ok(FirstFile { text, outcome, metric: None, target: None });
        };
        if let Some(target) = choice.target {
            metric.check_target(target)?;
        }
        let at = proposal.metrics.iter().position(|known| known.name == metric.name).unwrap_or_default();
        let nothing = || Error::new(Code::Internal, "a metric that was proposed is not there any more");
        let mut aim = self.aim(proposal, at).ok_or_else(nothing)?;
        aim.to = choice.target;
        if let Some(outcome) = &choice.outcome {
            aim.outcome.clone_from(outcome);
        }
        let written = write(proposal, &self.layout, &aim, &self.source.url).ok_or_else(nothing)?;
        Ok(FirstFile {
            text: written.text,
            outcome: aim.outcome.to_string(),
            metric: Some(metric.clone()),
            target: Some(written.to),
        })
    }
}

impl FirstMetric {
    /// The target that a text says: `29 %` or `0.29` of a share, else a number.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] for a text that is no number, or a target that is not better than today.
    pub fn target_of(&self, text: &str) -> Result<f64> {
        let text = text.trim();
        let (number, is_percent) = match text.strip_suffix('%') {
            Some(number) => (number.trim(), true),
            None => (text, false),
        };
        let number: f64 = number.replace(',', ".").parse().map_err(|_| self.wrong(text, "is not a number"))?;
        if !number.is_finite() {
            return Err(self.wrong(text, "is not a number"));
        }
        // Nobody means a share above 1.
        let is_percent = is_percent || (self.is_share && number > 1.0);
        let target = if is_percent { number / 100.0 } else { number };
        self.check_target(target)?;
        Ok(target)
    }

    fn check_target(&self, target: f64) -> Result<()> {
        let scale = self.scale();
        if self.is_share && !(0.0..=1.0).contains(&target) {
            return Err(self.wrong(&scale.level(target), "is more than all of them"));
        }
        match self.level {
            Some(level) if target <= level => {
                Err(self.wrong(&scale.level(target), &format!("is not better than today's {}", scale.level(level))))
            }
            _ => Ok(()),
        }
    }

    fn wrong(&self, text: &str, why: &str) -> Error {
        let shown: String = text.chars().take(40).collect();
        Error::new(Code::InvalidInput, format!("the target `{shown}` {why}"))
            .hint(format!("give a number such as {}", self.scale().level(self.target)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_as_people_write_it() {
        let share = FirstMetric {
            name: "order_rate".to_owned(),
            words: String::new(),
            level: Some(0.262),
            units: Some(10),
            target: 0.288,
            is_share: true,
        };
        for (text, expected) in [
            ("29 %", Some(0.29)),
            ("29%", Some(0.29)),
            ("29", Some(0.29)),
            ("0.29", Some(0.29)),
            ("28,8 %", Some(0.288)),
            ("26 %", None),
            ("0.2", None),
            ("190 %", None),
            ("soon", None),
            ("nan", None),
            ("", None),
        ] {
            let found = share.target_of(text).ok();
            assert_eq!(found.map(|value| (value * 1000.0).round() / 1000.0), expected, "{text}");
        }
        let sum = FirstMetric { level: Some(21.5), target: 23.7, is_share: false, ..share };
        assert_eq!(sum.target_of("24").unwrap(), 24.0);
        assert!(sum.target_of("20").unwrap_err().to_string().contains("not better"));
    }
}
