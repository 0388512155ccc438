//! How long each step took.

use heapless::Vec;

/// The time of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepTime {
    /// Index into the image's operator table.
    pub op: u16,
    /// Ticks of the application's clock.
    pub ticks: u32,
}

/// The times of the first `N` steps of a run.
///
/// The clock may wrap once between two steps; with a 32-bit cycle counter it never wraps twice.
#[derive(Clone, Debug, Default)]
pub struct StepLog<const N: usize> {
    steps: Vec<StepTime, N>,
    last: u32,
    overflow: usize,
}

impl<const N: usize> StepLog<N> {
    /// An empty log.
    pub const fn new() -> Self {
        Self { steps: Vec::new(), last: 0, overflow: 0 }
    }

    /// The steps that were noted, in order.
    pub fn steps(&self) -> &[StepTime] {
        &self.steps
    }

    /// How many steps did not fit.
    pub fn overflow(&self) -> usize {
        self.overflow
    }

    /// Forgets the last run and notes when this one starts.
    pub(crate) fn start(&mut self, now: u32) {
        self.steps.clear();
        self.overflow = 0;
        self.last = now;
    }

    /// Notes the end of a step.
    pub(crate) fn end_of_step(&mut self, op: u16, now: u32) {
        let ticks = now.wrapping_sub(self.last);
        self.last = now;
        if self.steps.push(StepTime { op, ticks }).is_err() {
            self.overflow = self.overflow.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_a_wrap_and_a_full_log() {
        let mut log = StepLog::<2>::new();
        log.start(u32::MAX - 1);
        log.end_of_step(0, 3);
        log.end_of_step(1, 10);
        log.end_of_step(2, 11);
        let expected = [StepTime { op: 0, ticks: 5 }, StepTime { op: 1, ticks: 7 }];
        assert_eq!(log.steps(), expected);
        assert_eq!(log.overflow(), 1);
    }
}
