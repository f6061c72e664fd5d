//! Counting over replications, and the Monte Carlo error of what was counted.

/// Mean of one quantity over replications.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    n: u64,
    sum: f64,
    sum_squares: f64,
}

impl Tally {
    pub fn add(&mut self, value: f64) {
        self.n += 1;
        self.sum += value;
        self.sum_squares += value * value;
    }

    pub fn hit(&mut self, is_hit: bool) {
        self.add(f64::from(u8::from(is_hit)));
    }

    pub fn mean(&self) -> f64 {
        self.sum / self.n as f64
    }

    /// Standard deviation of one replication.
    pub fn sd(&self) -> f64 {
        let n = self.n as f64;
        ((self.sum_squares - self.sum * self.sum / n).max(0.0) / (n - 1.0)).sqrt()
    }

    pub fn n(&self) -> u64 {
        self.n
    }

    fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.sum += other.sum;
        self.sum_squares += other.sum_squares;
    }
}

/// A row of tallies, one per thing that a scenario counts.
#[derive(Debug, Clone)]
pub struct Tallies(Vec<Tally>);

impl Tallies {
    pub fn new(len: usize) -> Self {
        Self(vec![Tally::default(); len])
    }

    pub fn add(&mut self, index: usize, value: f64) {
        self.0[index].add(value);
    }

    pub fn hit(&mut self, index: usize, is_hit: bool) {
        self.0[index].hit(is_hit);
    }

    pub fn get(&self, index: usize) -> Tally {
        self.0[index]
    }

    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            mine.merge(theirs);
        }
    }
}
