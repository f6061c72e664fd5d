//! The command line.

/// What to run.
#[derive(Debug)]
pub struct Arguments {
    pub replications: u64,
    pub seed: u64,
    /// Names of scenarios; empty for all.
    only: Vec<String>,
    pub write: bool,
}

impl Arguments {
    /// `known`: names of all scenarios.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn parse(mut words: impl Iterator<Item = String>, known: &[&str]) -> Result<Self, String> {
        let mut arguments = Self { replications: 20_000, seed: 1, only: Vec::new(), write: false };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--replications" => arguments.replications = number(&word, &value()?)?.max(2),
                "--seed" => arguments.seed = number(&word, &value()?)?,
                "--only" => arguments.only = value()?.split(',').map(str::to_lowercase).collect(),
                "--write" => arguments.write = true,
                // Added by cargo.
                "--bench" => {}
                _ => return Err(format!("unknown argument {word}; known are --replications, --seed, --only, --write")),
            }
        }
        if let Some(unknown) = arguments.only.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("unknown scenario {unknown}; known are {}", known.join(", ")));
        }
        if arguments.write && !arguments.only.is_empty() {
            return Err("--write needs all scenarios: leave --only away".to_owned());
        }
        Ok(arguments)
    }

    pub fn wants(&self, scenario: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == scenario)
    }
}

fn number(word: &str, value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("{word} needs a whole number, not {value}"))
}
