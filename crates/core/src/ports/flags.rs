//! Flag services: where the runtime sets what share of units gets the treatment.
//!
//! Every write is read back ([`write_and_read_back`]), and at every poll the flag is compared with what it should be
//! ([`drift`]). Approvals that a service has of its own are respected, never bypassed. **Invariant**: flags are never
//! evaluated here: which unit gets which arm is decided by the application's own SDK.

use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use super::elsewhere::ElsewhereService;
use super::flag_error::FlagError;
use super::flag_state::FlagState;
use super::secrets::Opening;

/// The checked settings of a declared flag service; references such as `${ENV}` are not resolved yet.
pub trait FlagSettings: std::fmt::Debug + Send + Sync {
    /// The settings as they were declared, references unresolved.
    fn to_json(&self) -> serde_json::Value;

    /// How the application learns a unit's arm.
    fn answers(&self) -> FlagAnswers;

    /// Whether a unit keeps its arm when the share of the treatment changes; `None` where the runtime cannot know. A service that
    /// compares a unit's place with the share keeps who is treated, but takes units out of the control: that is no.
    fn keeps_arms(&self) -> Option<bool>;

    /// Opens the service.
    ///
    /// # Errors
    /// [`FlagError::Config`] when the settings cannot work or a secret is missing.
    fn open(&self, opening: &Opening<'_>) -> Result<Box<dyn FlagService>, FlagError>;
}

/// How the application learns a unit's arm. Whoever builds an experiment compares with these values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct FlagAnswers {
    /// The service, for people.
    pub service: &'static str,
    /// Where it keeps the flag, without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The type of the flag's value, as OpenFeature calls it.
    pub value_type: &'static str,
    /// The value of the treatment.
    pub treatment: bool,
    /// The value of the control, and the default that the code must give: while the flag is off, that is the answer.
    pub control: bool,
    /// With what to ask.
    pub ask: &'static str,
    /// Whether a provider for flagd answers, so that the code of `docs/wire-your-app` fits.
    #[serde(skip)]
    pub is_flagd: bool,
}

impl FlagAnswers {
    /// Of a boolean flag: the treatment is true. `place`: where the service keeps it.
    #[must_use]
    pub fn boolean(service: &'static str, place: String, ask: &'static str) -> Self {
        // A password in an address is nobody's business.
        let place = (!place.contains('@')).then_some(place);
        Self { service, place, value_type: "boolean", treatment: true, control: false, ask, is_flagd: false }
    }
}

/// Somebody else moved the flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Where the runtime put it.
    pub expected: FlagState,
    /// What is there.
    pub found: Found,
    /// Who or what changed it last, as the service tells it; `None` where it does not.
    pub cause: Option<String>,
}

/// What there is instead of what the runtime wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No such flag.
    Nothing,
    /// The flag, elsewhere.
    At(FlagState),
    /// A flag that is set up in a way that the runtime does not write; the sentence says how.
    Otherwise(String),
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { expected, found, cause } = self;
        match found {
            Found::Nothing => write!(f, "the flag `{}` is missing", expected.key)?,
            Found::At(state) => write!(f, "the flag `{}` is {state}", expected.key)?,
            Found::Otherwise(problem) => {
                write!(f, "the flag `{}` is not set up as the runtime does it ({problem})", expected.key)?;
            }
        }
        write!(f, ", but the runtime set it to {expected}")?;
        cause.as_ref().map_or(Ok(()), |cause| write!(f, "; the last change there: {cause}"))
    }
}

/// Something that the runtime does, or should not be able to do, at a flag service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum FlagAct {
    /// Reading a flag.
    Read,
    /// Making a flag.
    Create,
    /// Changing the share of a flag that is on.
    Rollout,
    /// Turning a flag off.
    Off,
    /// Changing a flag past the reviews that the service demands: the runtime needs no such right.
    SkipReviews,
}

impl FlagAct {
    /// Whether the runtime needs it; what it does not need is better not allowed.
    #[must_use]
    pub fn is_needed(self) -> bool {
        self != Self::SkipReviews
    }
}

/// Whether the credentials allow an act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Right {
    /// The act.
    pub act: FlagAct,
    /// `None`: the service does not say, and nothing was changed to find out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_allowed: Option<bool>,
    /// From what this is known, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A service that keeps flags. Writing the same state twice is the same as once.
#[async_trait]
pub trait FlagService: Send + Sync {
    /// Name for people: `flagd file`, `custom http`.
    fn name(&self) -> &str;

    /// Where it leads, without secrets: the path of a file from the root, or the address. Nothing is connected for it.
    fn place(&self) -> Option<String> {
        None
    }

    /// Makes the flag, off, unless it is there; its state.
    async fn ensure(&self, key: &str, description: &str) -> Result<FlagState, FlagError>;

    /// Turns the flag on for this share of units, 0 to 100.
    async fn set_rollout(&self, key: &str, treatment_pct: u8) -> Result<FlagState, FlagError>;

    /// Turns the flag off: everybody gets the control, however the flag is set up. One that is not there is off.
    async fn off(&self, key: &str) -> Result<FlagState, FlagError>;

    /// The flag as it is; `None` when there is none. [`FlagError::Foreign`] for one that gives somebody the treatment in a way that
    /// the runtime does not write.
    async fn read(&self, key: &str) -> Result<Option<FlagState>, FlagError>;

    /// Who or what changed the flag last, in one sentence with the service's own names; `None` where it does not tell. Asked for
    /// when the flag is not where it was put.
    async fn last_change(&self, _key: &str) -> Result<Option<String>, FlagError> {
        Ok(None)
    }

    /// Its own experiments, where they can be guarded.
    fn elsewhere(&self) -> Option<&dyn ElsewhereService> {
        None
    }

    /// What the credentials allow, found out without changing anything.
    async fn rights(&self) -> Result<Vec<Right>, FlagError>;
}

/// Pauses before the reads that follow a write: a service with replicas may need a moment.
const READ_BACK_PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(250), Duration::from_secs(1)];

/// How to wait; the ports know no timer of their own.
pub type Sleep = fn(Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Puts the flag where it should be and reads until it is seen there.
///
/// # Errors
/// [`FlagError::NotTaken`] when the service accepted the write and the flag is elsewhere.
pub async fn write_and_read_back(
    service: &dyn FlagService,
    desired: &FlagState,
    sleep: Sleep,
) -> Result<FlagState, FlagError> {
    if desired.is_on {
        service.set_rollout(&desired.key, desired.treatment_pct).await?;
    } else {
        service.off(&desired.key).await?;
    }
    let mut found = None;
    for pause in READ_BACK_PAUSES {
        sleep(pause).await;
        found = service.read(&desired.key).await?;
        match &found {
            Some(state) if state.is_same(desired) => return Ok(state.clone()),
            None if !desired.is_on => return Ok(desired.clone()),
            Some(_) | None => {}
        }
    }
    Err(FlagError::NotTaken { service: service.name().to_owned(), expected: desired.clone(), found })
}

/// Compares the flag with where it should be; `None` when it is there. A flag that is gone is as good as off.
///
/// # Errors
/// When the flag cannot be read.
pub async fn drift(service: &dyn FlagService, expected: &FlagState) -> Result<Option<Drift>, FlagError> {
    let found = match service.read(&expected.key).await {
        Ok(Some(state)) if state.is_same(expected) => return Ok(None),
        Ok(None) if !expected.is_on => return Ok(None),
        Ok(Some(state)) => Found::At(state),
        Ok(None) => Found::Nothing,
        Err(FlagError::Foreign { problem, .. }) => Found::Otherwise(problem),
        Err(error) => return Err(error),
    };
    // Only words: without them it has drifted all the same.
    let cause = service.last_change(&expected.key).await.unwrap_or_default();
    Ok(Some(Drift { expected: expected.clone(), found, cause }))
}

/// Refuses keys that are not 1 to 128 letters, digits, dots, dashes and underscores, the first a letter or digit: safe
/// in a URL's path, in JSON and in a terminal.
///
/// # Errors
/// [`FlagError::Invalid`].
pub fn check_key(key: &str) -> Result<(), FlagError> {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if key.len() <= 128
        && key.bytes().all(is_safe)
        && key.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
    {
        return Ok(());
    }
    let shown: String = key.chars().filter(|c| !c.is_control()).take(60).collect();
    Err(FlagError::Invalid {
        problem: format!("`{shown}` is not a flag key: use 1 to 128 letters, digits, `.`, `_` and `-`"),
    })
}

/// Refuses a share above 100 %.
///
/// # Errors
/// [`FlagError::Invalid`].
pub fn check_pct(treatment_pct: u8) -> Result<(), FlagError> {
    if treatment_pct <= 100 {
        return Ok(());
    }
    Err(FlagError::Invalid { problem: format!("a rollout of {treatment_pct} % is more than 100 %") })
}

#[cfg(test)]
mod tests;
