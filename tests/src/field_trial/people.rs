//! The people of one experiment: who comes, sees which arm, orders, comes back and has its rows loaded late.
//!
//! **Invariant**: no I/O, and nothing of the runtime. What it counts itself is what the runtime must count, too.

use std::collections::BTreeMap;

use anyhow::Result;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp, Gamma, LogNormal, Poisson};

use super::kind::{DELETED_A_DAY, DELETED_USUALLY, Kind, LOST, SEES_OTHERWISE};
use super::measured::{CAP, Case, LAG_HOURS, Measured, WINDOW_HOURS};

pub(super) const HOUR: i64 = 3600;
pub(super) const DAY: i64 = 24 * HOUR;
/// Share of the control's users that order, and orders of a user of an account.
const ORDERS_A_USER: [f64; 2] = [0.2, 0.3];
/// Candidates for an order are drawn for the largest effect, and become one with the share that is true of their arm.
const MOST: f64 = 1.5;
/// Share of the users for whom the constraint counts.
const REFUNDS: f64 = 0.05;
/// Share of the users that ordered before, and how long ago at most.
const REGULARS: (f64, i64) = (0.3, 28 * DAY);
/// Orders in the session of the first visit, and the mean of the hours until the others: one in twenty comes after the window.
const AT_ONCE: f64 = 0.6;
const LATER_HOURS: f64 = 36.0;
/// Visits after the first one, and the mean of the days between.
const RETURNS: f64 = 1.2;
const DAYS_BETWEEN: f64 = 3.0;
/// Share of the rows that is loaded late, and seconds by how much at most: less than `lag`.
const LATE: (f64, i64) = (0.2, LAG_HOURS * HOUR - 1800);

/// A row that the shop writes. Instants are seconds since the launch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Row {
    Member { user: i64, account: i64 },
    Seen { user: i64, is_treatment: bool, at: i64 },
    Visit { user: i64, at: i64 },
    Order { user: i64, at: i64, total: f64 },
    Refund { user: i64, at: i64 },
}

/// A time in which the split was the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phase {
    pub from: i64,
    /// `None` while it lasts.
    pub until: Option<i64>,
    /// Share of the treatment.
    pub share: f64,
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Arrive,
    Visit { user: usize, is_other: bool },
    Order { user: usize, draw: f64, total: f64 },
    Refund { user: usize },
}

/// Who is randomised.
#[derive(Debug, Clone)]
struct Unit {
    hash: f64,
    other_hash: f64,
    first: Option<(i64, bool)>,
    other_at: Option<i64>,
    orders: Vec<(i64, f64)>,
    visits: Vec<i64>,
    users: Vec<usize>,
    is_deleted: bool,
}

/// What the people say about an arm.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Tally {
    /// Units that may be claimed on.
    pub n: u64,
    /// The sum of their values; of a ratio, of its numerators.
    pub sum: f64,
    /// Of a ratio, of its denominators.
    pub den: f64,
}

pub(super) struct People {
    case: Case,
    first_id: i64,
    units: Vec<Unit>,
    /// The unit of each user.
    users: Vec<usize>,
    acts: BTreeMap<(i64, u64), Act>,
    n_acts: u64,
    loads: Vec<(i64, Row)>,
    phases: Vec<Phase>,
    rng: ChaCha8Rng,
}

impl People {
    /// `first_id`: number of the first user and account; a million of them are free.
    pub fn new(case: Case, first_id: i64, rng: ChaCha8Rng) -> Self {
        let (units, users, acts, loads, phases) = Default::default();
        Self { case, first_id, units, users, acts, n_acts: 0, loads, phases, rng }
    }

    /// The split from now on; `None` while the flag is off.
    pub fn split(&mut self, at: i64, share: Option<f64>) {
        let last = self.phases.last_mut().filter(|phase| phase.until.is_none());
        if last.as_ref().map(|phase| phase.share) == share {
            return;
        }
        if let Some(last) = last {
            last.until = Some(at);
        }
        self.phases.extend(share.map(|share| Phase { from: at, until: None, share }));
    }

    pub fn phases(&self) -> &[Phase] {
        &self.phases
    }

    /// Everything until `until`, a day after the last call: the rows that are loaded by then.
    pub fn live(&mut self, until: i64, units: f64) -> Result<Vec<Row>> {
        for _ in 0..draw_poisson(units, &mut self.rng)? {
            let at = self.rng.random_range(until - DAY..until);
            self.plan(at, Act::Arrive);
        }
        while let Some(next) = self.acts.first_entry().filter(|next| next.key().0 < until) {
            let ((at, _), act) = next.remove_entry();
            self.act(at, act)?;
        }
        let (due, later) = self.loads.drain(..).partition(|(at, _)| *at < until);
        self.loads = later;
        Ok(due.into_iter().map(|(_, row): (i64, Row)| row).collect())
    }

    /// Users to be deleted with all their rows: whole units, from both arms alike.
    pub fn delete_some(&mut self) -> Vec<i64> {
        let share = if self.case.kind == Kind::Deletions { DELETED_A_DAY } else { DELETED_USUALLY };
        let mut gone = Vec::new();
        for unit in self.units.iter_mut().filter(|unit| !unit.is_deleted) {
            if self.rng.random_bool(share) {
                unit.is_deleted = true;
                gone.extend(unit.users.iter().map(|user| self.first_id + *user as i64));
            }
        }
        self.loads.retain(|(_, row)| !gone.contains(&row.user()));
        gone
    }

    fn plan(&mut self, at: i64, act: Act) {
        self.n_acts += 1;
        self.acts.insert((at, self.n_acts), act);
    }

    fn load(&mut self, at: i64, row: Row) {
        let late = if self.rng.random_bool(LATE.0) { self.rng.random_range(0..LATE.1) } else { 0 };
        self.loads.push((at + late, row));
    }

    fn act(&mut self, at: i64, act: Act) -> Result<()> {
        match act {
            Act::Arrive => self.arrive(at),
            Act::Visit { user, is_other } => {
                self.visit(at, user, is_other);
                Ok(())
            }
            Act::Order { user, draw, total } => {
                let (is_treatment, id) = (self.is_treated(user), self.id(user));
                if let Some(unit) = self.unit_of(user)
                    && draw * MOST < 1.0 + is_treatment.map_or(0.0, |step| self.effect(step))
                {
                    self.units[unit].orders.push((at, total));
                    self.load(at, Row::Order { user: id, at, total });
                }
                Ok(())
            }
            Act::Refund { user } => {
                if self.unit_of(user).is_some() {
                    self.load(at, Row::Refund { user: self.id(user), at });
                }
                Ok(())
            }
        }
    }

    fn id(&self, user: usize) -> i64 {
        self.first_id + user as i64
    }

    /// The unit of a user who is still there.
    fn unit_of(&self, user: usize) -> Option<usize> {
        let unit = self.users[user];
        (!self.units[unit].is_deleted).then_some(unit)
    }

    fn effect(&self, step: usize) -> f64 {
        self.case.kind.effect_on(step) * self.case.measured.relative_mde()
    }

    /// The rollout step on which a user has the treatment now.
    fn is_treated(&self, user: usize) -> Option<usize> {
        let share = self.phases.last().filter(|phase| phase.until.is_none())?.share;
        (self.units[self.users[user]].hash < share).then(|| self.phases.len() - 1)
    }

    /// A new unit with everything that it would do in either arm.
    fn arrive(&mut self, at: i64) -> Result<()> {
        let is_account = self.case.measured == Measured::Accounts;
        let n_users = if is_account { 1 + draw_poisson(2.0, &mut self.rng)? } else { 1 };
        let unit = self.units.len();
        let second = SEES_OTHERWISE[usize::from(self.case.kind == Kind::BothArms)];
        let hash: f64 = self.rng.random();
        let (has_second, other): (bool, f64) = (self.rng.random_bool(second), self.rng.random());
        let is_lost = self.case.kind == Kind::Crash
            && self.phases.last().is_some_and(|phase| hash < phase.share)
            && self.rng.random_bool(LOST);
        if is_lost {
            return Ok(());
        }
        let other_hash = if has_second { other } else { hash };
        let (first, other_at, orders, visits, users) = Default::default();
        self.units.push(Unit { hash, other_hash, first, other_at, orders, visits, users, is_deleted: false });
        // What the users of an account have in common, and how much a user spends.
        let habit: f64 = if is_account { Exp::new(1.0)?.sample(&mut self.rng) } else { 1.0 };
        let spends: f64 = Gamma::new(4.0, 0.25)?.sample(&mut self.rng);
        for number in 0..n_users {
            let user = self.users.len();
            self.users.push(unit);
            self.units[unit].users.push(user);
            if is_account {
                self.loads.push((at, Row::Member { user: self.id(user), account: self.first_id + unit as i64 }));
            }
            let delay = if number == 0 { 0.0 } else { Exp::new(1.0 / DAY as f64)?.sample(&mut self.rng) };
            self.plan_user(user, later(at, delay), habit, spends)?;
            self.remember(user, at, habit, spends)?;
            if number == 0 && has_second {
                self.plan(at + 600, Act::Visit { user, is_other: true });
            }
        }
        Ok(())
    }

    /// All visits, orders and refunds of a user from its first visit on, and its orders before.
    fn plan_user(&mut self, user: usize, first_at: i64, habit: f64, spends: f64) -> Result<()> {
        self.plan(first_at, Act::Visit { user, is_other: false });
        let mut at = first_at;
        for _ in 0..draw_poisson(RETURNS, &mut self.rng)? {
            at = later(at, Exp::new(1.0 / (DAYS_BETWEEN * DAY as f64))?.sample(&mut self.rng));
            self.plan(at, Act::Visit { user, is_other: false });
        }
        let is_account = self.case.measured == Measured::Accounts;
        let mean = ORDERS_A_USER[usize::from(is_account)] * MOST * habit;
        let n_orders = if is_account {
            draw_poisson(mean, &mut self.rng)?
        } else {
            // Of those that order at all, this share does so within the window.
            let in_window = AT_ONCE + (1.0 - AT_ONCE) * (1.0 - (-(WINDOW_HOURS as f64) / LATER_HOURS).exp());
            u64::from(self.rng.random_bool(mean / in_window))
        };
        let total = LogNormal::new(3.5, 0.6)?;
        for _ in 0..n_orders {
            let delay = if self.rng.random_bool(AT_ONCE) {
                self.rng.random_range(60.0..HOUR as f64)
            } else {
                Exp::new(1.0 / (LATER_HOURS * HOUR as f64))?.sample(&mut self.rng)
            };
            let (draw, total) = (self.rng.random(), rounded(spends * total.sample(&mut self.rng)));
            self.plan(later(first_at, delay), Act::Order { user, draw, total });
        }
        if self.rng.random_bool(REFUNDS) {
            let delay = Exp::new(1.0 / (LATER_HOURS * HOUR as f64))?.sample(&mut self.rng);
            self.plan(later(first_at, delay), Act::Refund { user });
        }
        Ok(())
    }

    /// What some users ordered before the first visit of anybody of their unit.
    fn remember(&mut self, user: usize, before: i64, habit: f64, spends: f64) -> Result<()> {
        if self.rng.random_bool(REGULARS.0) {
            let total = LogNormal::new(3.5, 0.6)?;
            for _ in 0..draw_poisson(2.0 * habit, &mut self.rng)? {
                let (at, total) = (before - self.rng.random_range(1..REGULARS.1), total.sample(&mut self.rng));
                self.loads.push((before, Row::Order { user: self.id(user), at, total: rounded(spends * total) }));
            }
        }
        Ok(())
    }

    fn visit(&mut self, at: i64, user: usize, is_other: bool) {
        let Some(unit) = self.unit_of(user) else { return };
        let id = self.id(user);
        self.units[unit].visits.push(at);
        self.load(at, Row::Visit { user: id, at });
        let Some(share) = self.phases.last().filter(|phase| phase.until.is_none()).map(|phase| phase.share) else {
            return;
        };
        let of = &mut self.units[unit];
        let is_treatment = if is_other { of.other_hash } else { of.hash } < share;
        match of.first {
            None => of.first = Some((at, is_treatment)),
            Some((_, arm)) if arm != is_treatment => of.other_at = of.other_at.or(Some(at)),
            Some(_) => {}
        }
        self.load(at, Row::Seen { user: id, is_treatment, at });
    }

    /// The arms, control first: of the units that are mature and whole at `now`.
    pub fn tally(&self, now: i64) -> [Tally; 2] {
        let mut arms = [Tally::default(); 2];
        for unit in self.units.iter().filter(|unit| !unit.is_deleted) {
            if let Some((first, is_treatment)) = unit.first.filter(|(first, _)| self.is_claimed(*first, now)) {
                let (value, den) = self.value(unit, first);
                let arm = &mut arms[usize::from(is_treatment)];
                (arm.n, arm.sum, arm.den) = (arm.n + 1, arm.sum + value, arm.den + den);
            }
        }
        arms
    }

    fn is_claimed(&self, first: i64, now: i64) -> bool {
        let window = WINDOW_HOURS * HOUR;
        let phase = self.phase_of(first).and_then(|number| self.phases.get(number));
        let is_whole = phase.is_some_and(|phase| phase.until.is_none_or(|until| first + window <= until));
        is_whole && first + window + LAG_HOURS * HOUR <= now
    }

    fn phase_of(&self, at: i64) -> Option<usize> {
        self.phases.iter().position(|phase| phase.from <= at && phase.until.is_none_or(|until| at < until))
    }

    /// A unit's value since `first`; of a ratio, both sides.
    fn value(&self, unit: &Unit, first: i64) -> (f64, f64) {
        let is_within = |at: i64| (first..first + WINDOW_HOURS * HOUR).contains(&at);
        let orders = || unit.orders.iter().filter(|(at, _)| is_within(*at));
        let n_visits = unit.visits.iter().filter(|at| is_within(**at)).count() as f64;
        match self.case.measured {
            Measured::Query | Measured::Conversion => (orders().count().min(1) as f64, 1.0),
            Measured::Revenue => (orders().map(|(_, total)| total).sum::<f64>().min(CAP), 1.0),
            Measured::Ratio => (orders().count() as f64, n_visits),
            Measured::Accounts => (orders().count() as f64, 1.0),
        }
    }

    /// Units that were exposed, those of them that saw both arms within their phase, and the units of the first phase with those of them
    /// that are whole.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for unit in self.units.iter().filter(|unit| !unit.is_deleted) {
            let Some((first, _)) = unit.first else { continue };
            let Some((number, phase)) = self.phase_of(first).and_then(|n| Some((n, self.phases.get(n)?))) else {
                continue;
            };
            let is_before = |at: i64| phase.until.is_none_or(|until| at < until);
            counts.n_units += 1;
            counts.n_both += u64::from(unit.other_at.is_some_and(is_before));
            if number == 0 {
                counts.n_first += 1;
                counts.n_first_whole += u64::from(is_before(first + WINDOW_HOURS * HOUR - 1));
            }
        }
        counts
    }

    /// The value of a control's unit, from many.
    pub fn base_of(measured: Measured) -> Result<f64> {
        let case = Case { kind: Kind::Quiet, measured };
        let mut people = Self::new(case, 0, ChaCha8Rng::seed_from_u64(1));
        people.split(0, Some(0.0));
        for day in 1..=10 {
            people.live(day * DAY, if day <= 5 { 4000.0 } else { 1.0 })?;
        }
        let [control, _] = people.tally(10 * DAY);
        Ok(control.sum / control.den)
    }
}

/// What is counted of an experiment's units.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub n_units: u64,
    pub n_both: u64,
    pub n_first: u64,
    pub n_first_whole: u64,
}

impl Row {
    fn user(self) -> i64 {
        match self {
            Self::Member { user, .. }
            | Self::Seen { user, .. }
            | Self::Visit { user, .. }
            | Self::Order { user, .. }
            | Self::Refund { user, .. } => user,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "some days in seconds")]
fn later(at: i64, seconds: f64) -> i64 {
    at + seconds as i64
}

fn rounded(total: f64) -> f64 {
    (total * 100.0).round() / 100.0
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
pub(super) fn draw_poisson(mean: f64, rng: &mut ChaCha8Rng) -> Result<u64> {
    Ok(if mean > 0.0 { Poisson::new(mean)?.sample(rng) as u64 } else { 0 })
}
