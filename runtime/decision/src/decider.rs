//! One decision from many results of a classifier.

use heapless::Deque;

/// When a class counts as detected. Scores are the raw integers of the network's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Average score from which on the best class is detected. For probabilities of a softmax,
    /// whose scale is 1/256 and whose zero point −128, `p` is the score `256 p − 128`.
    pub threshold: i8,
    /// A detected class can be detected again only after its average fell below this, at most
    /// `threshold`.
    pub release: i8,
    /// For how many results in a row the class has to be the best one and over the threshold; 0 is
    /// taken as 1.
    pub min_count: u16,
    /// For how many results after a detection there is no other.
    pub refractory: u16,
    /// Bit `c` is set if class `c` is never detected: silence, noise, unknown words.
    pub background: u32,
}

/// A class that was detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Detection {
    /// Index of the class.
    pub class: usize,
    /// Its average score, rounded down.
    pub score: i8,
}

/// Averages the last `WINDOW` results of `CLASSES` scores and decides.
///
/// The class with the largest average is the candidate, the first one of equals. It is detected when
/// it was the candidate, with an average of at least `threshold`, for `min_count` results in a row,
/// unless it is background, it is still *active*, or the refractory time is not over. A class is
/// active from its detection until its average falls below `release` or another one is detected.
/// There are no averages before there are `WINDOW` results.
#[derive(Clone, Debug)]
pub struct Decider<const CLASSES: usize, const WINDOW: usize> {
    settings: Settings,
    results: Deque<[i8; CLASSES], WINDOW>,
    sums: [i32; CLASSES],
    /// The candidate over the threshold, and for how many results it has been that.
    run: Option<(usize, u16)>,
    /// The class last detected, until it is released.
    active: Option<usize>,
    /// Results until the refractory time is over.
    quiet: u16,
}

impl<const CLASSES: usize, const WINDOW: usize> Decider<CLASSES, WINDOW> {
    const SIZES: () = {
        assert!(CLASSES >= 1 && CLASSES <= 32, "1 to 32 classes");
        assert!(WINDOW >= 1 && WINDOW <= 1 << 16, "an average of 1 to 65,536 results");
    };

    /// A decider that has seen no result yet.
    ///
    /// More than 32 classes, none, or no results to average do not compile.
    pub const fn new(settings: Settings) -> Self {
        const { Self::SIZES };
        Self {
            settings,
            results: Deque::new(),
            sums: [0; CLASSES],
            run: None,
            active: None,
            quiet: 0,
        }
    }

    /// Takes the scores of the next result.
    pub fn push(&mut self, scores: &[i8; CLASSES]) -> Option<Detection> {
        let averages_exist = self.average_in(scores);
        let quiet = self.quiet > 0;
        self.quiet = self.quiet.saturating_sub(1);
        if !averages_exist {
            return None;
        }
        self.release();
        let candidate = self.candidate();
        let seen = match (candidate, self.run) {
            (Some((class, _)), Some((last, count))) if class == last => count.saturating_add(1),
            _ => 1,
        };
        self.run = candidate.map(|(class, _)| (class, seen));

        let (class, sum) = candidate?;
        if quiet || self.active == Some(class) || seen < self.settings.min_count {
            return None;
        }
        self.active = Some(class);
        self.quiet = self.settings.refractory;
        // An average of int8 values is one.
        Some(Detection { class, score: sum.div_euclid(WINDOW as i32) as i8 })
    }

    /// Forgets all results and detections.
    pub fn reset(&mut self) {
        *self = Self::new(self.settings);
    }

    /// Updates the sums; false until there are enough results.
    fn average_in(&mut self, scores: &[i8; CLASSES]) -> bool {
        if self.results.is_full()
            && let Some(oldest) = self.results.pop_front()
        {
            self.sums.iter_mut().zip(oldest).for_each(|(sum, score)| *sum -= i32::from(score));
        }
        self.sums.iter_mut().zip(scores).for_each(|(sum, &score)| *sum += i32::from(score));
        // There is room for it: one was taken out.
        let _ = self.results.push_back(*scores);
        self.results.is_full()
    }

    fn release(&mut self) {
        let below = |&class: &usize| {
            self.sums.get(class).is_some_and(|&sum| sum < Self::sum_of(self.settings.release))
        };
        if self.active.as_ref().is_some_and(below) {
            self.active = None;
        }
    }

    /// The class with the largest sum, and that sum, if it may be detected.
    fn candidate(&self) -> Option<(usize, i32)> {
        let mut best = (0, i32::MIN);
        for (class, &sum) in self.sums.iter().enumerate() {
            if sum > best.1 {
                best = (class, sum);
            }
        }
        let (class, sum) = best;
        let is_background = self.settings.background >> class & 1 != 0;
        (!is_background && sum >= Self::sum_of(self.settings.threshold)).then_some(best)
    }

    /// The sum of a window whose average is `score`.
    const fn sum_of(score: i8) -> i32 {
        score as i32 * WINDOW as i32
    }
}
