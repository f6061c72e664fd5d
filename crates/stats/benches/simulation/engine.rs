//! Ours: the engine of the project, polled as the runtime polls it.

use outcome_stats::{
    Alpha, Alternative, ArmSums, Assessed, DataHealth, Evaluation, Phase, PlannedTest, RunningState, SampleSize,
    SampleSizeInput, Scope, Settings, Tau, TestPlan, assess, sample_size,
};

/// Looks per day in all scenarios with a calendar.
pub const LOOKS_PER_DAY: u32 = 4;
/// What a clock says between two of them.
const SECONDS_BETWEEN_LOOKS: i64 = 6 * 3600;

/// One experiment under observation.
pub struct Engine {
    plan: TestPlan,
    state: RunningState,
    n_polls: u32,
}

impl Engine {
    /// `mde`: minimum detectable effect in metric units; it is tau as well.
    pub fn new(mde: f64) -> Self {
        let plan = TestPlan { mde_abs: Some(mde), ..TestPlan::default() };
        Self { plan, state: RunningState::default(), n_polls: 0 }
    }

    /// One poll.
    pub fn poll(&mut self, phases: &[Phase]) -> Assessed {
        self.n_polls += 1;
        let input = Evaluation {
            cohorts: None,
            plan: &self.plan,
            phases,
            elapsed_days: f64::from(self.n_polls) / f64::from(LOOKS_PER_DAY),
            as_of: i64::from(self.n_polls) * SECONDS_BETWEEN_LOOKS,
            guardrails: &[],
            health: DataHealth::default(),
            scope: Scope::default(),
        };
        assess(&input, &mut self.state)
    }

    /// Whether the evidence reached `1 / alpha` at any poll so far.
    pub fn has_rejected(&self) -> bool {
        self.state.first_crossing.is_some()
    }
}

/// The sums of one allocation phase; `share` is the declared share of treatment.
pub fn phase(number: u32, share: f64, control: ArmSums, treatment: ArmSums) -> Phase {
    Phase { number, control_weight: 1.0 - share, treatment_weight: share, control, treatment }
}

pub fn rate(n: u64, successes: u64) -> ArmSums {
    ArmSums::Proportion { n, successes }
}

/// The default test with tau = MDE, for scenarios that need one piece of the engine alone.
pub fn settings(mde: f64) -> Settings {
    let tau = Tau::try_new(mde).expect("a positive effect");
    Settings { alpha: Alpha::DEFAULT, tau, alternative: Alternative::TwoSided, null: 0.0 }
}

/// Sample sizes for power 0.8 at alpha 0.05, as the planner of the project gives them.
///
/// `variance`: of one unit of control and of treatment; `share`: of treatment.
pub fn planned(variance: [f64; 2], share: f64, mde: f64) -> SampleSize {
    sample_size(&SampleSizeInput {
        unit_variance_control: variance[0],
        unit_variance_treatment: variance[1],
        weight_control: 1.0 - share,
        weight_treatment: share,
        mde_abs: mde,
        alpha: Alpha::DEFAULT,
        power: 0.8,
        test: PlannedTest::TwoSided { n_looks: 100 },
    })
    .expect("a possible plan")
}

/// `p (1 - p)`.
pub fn rate_variance(p: f64) -> f64 {
    p * (1.0 - p)
}
