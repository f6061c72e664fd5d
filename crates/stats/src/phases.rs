//! Combining allocation phases by information, never by pooling sums (which gives a type I error of 1 on a ramp).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::arms::compare;
use super::{ArmSums, Contrast, InvalidInput, StartGate, Status};

/// The sums of both arms since the allocation last changed. A change of split starts a new phase.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    /// Unique within the experiment, rising.
    pub number: u32,
    /// Declared weight of control, >= 0, any scale.
    pub control_weight: f64,
    /// Declared weight of treatment, same scale.
    pub treatment_weight: f64,
    /// Sums of control.
    pub control: ArmSums,
    /// Sums of treatment.
    pub treatment: ArmSums,
}

impl Phase {
    /// Units of both arms.
    #[must_use]
    pub fn n_units(&self) -> u64 {
        self.control.n().saturating_add(self.treatment.n())
    }
}

/// The phases of a metric that passed the gate.
pub(super) struct Gated {
    pub(super) contrasts: SmallVec<[Contrast; 2]>,
    /// Units of both arms in those phases.
    pub(super) units: u64,
}

impl Gated {
    /// # Errors
    /// The status of the newest phase when none passed, or of any phase with impossible data.
    pub(super) fn of(phases: &[Phase], is_signed: bool) -> Result<Self, Status> {
        let gate = StartGate::UnitsPerArm;
        let mut last = Status::InsufficientSample { gate, have: 0.0, need: 100.0 };
        let mut gated = Self { contrasts: SmallVec::new(), units: 0 };
        for phase in phases {
            match compare(&phase.control, &phase.treatment, is_signed) {
                Ok(compared) => {
                    gated.contrasts.push(compared.contrast);
                    gated.units = gated.units.saturating_add(phase.n_units());
                }
                Err(status @ Status::Invalid { .. }) => return Err(status),
                Err(status) => last = status,
            }
        }
        if gated.contrasts.is_empty() { Err(last) } else { Ok(gated) }
    }
}

/// The information-weighted contrast over phases, with weights for `P - k Q`.
///
/// Each level and variance is `sum w_i x_i` and `sum w_i^2 v_i` with `w_i = I_i / sum I`, `I_i = 1 / V_i`; the
/// variance of the combined effect is then `1 / sum I`. A single phase comes back unchanged.
///
/// # Errors
/// [`InvalidInput::OutOfRange`] without phases, or when a variance is not positive and finite.
///
/// Source: STATS.md 2.1 "Phases", 2.2.
pub fn combine_phases(phases: &[Contrast], k: f64) -> Result<Contrast, InvalidInput> {
    if let [only] = phases {
        return Ok(*only);
    }
    // Scaled by the smallest variance, so that no information overflows.
    let smallest = phases.iter().map(|p| p.variance_against(k)).fold(f64::INFINITY, f64::min);
    if !(smallest > 0.0 && smallest.is_finite()) {
        return Err(InvalidInput::OutOfRange);
    }
    let information = |p: &Contrast| smallest / p.variance_against(k);
    let total: f64 = phases.iter().map(information).sum();
    if !(total > 0.0 && total.is_finite()) {
        return Err(InvalidInput::OutOfRange);
    }
    let zero = Contrast { treatment: 0.0, control: 0.0, var_treatment: 0.0, var_control: 0.0, covariance: 0.0 };
    Ok(phases.iter().fold(zero, |sum, p| {
        let w = information(p) / total;
        Contrast {
            treatment: sum.treatment + w * p.treatment,
            control: sum.control + w * p.control,
            var_treatment: sum.var_treatment + w * w * p.var_treatment,
            var_control: sum.var_control + w * w * p.var_control,
            covariance: sum.covariance + w * w * p.covariance,
        }
    }))
}
