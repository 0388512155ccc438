//! An alarm from many scores of an anomaly detector.

/// When there is an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlarmSettings {
    /// Scores above this one are unusual.
    pub threshold: i32,
    /// How many of the last scores are looked at, 1 to 32; what is outside is taken as the nearest.
    pub window: u8,
    /// So many unusual ones among them raise the alarm; 0 is taken as 1.
    pub raise: u8,
    /// So many or fewer end it; at least `raise` is taken as one less.
    pub clear: u8,
}

/// That an alarm began or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Change {
    /// Something unusual goes on.
    Raised,
    /// All is as usual again.
    Cleared,
}

/// Raises an alarm when `raise` of the last `window` scores are above a threshold, and clears it
/// when `clear` or fewer are. Scores that have not come yet count as usual.
///
/// ```
/// use fixie_decision::{Alarm, AlarmSettings, Change};
///
/// // Two of three errors of an autoencoder above 50; over when there is none.
/// let settings = AlarmSettings { threshold: 50, window: 3, raise: 2, clear: 0 };
/// let mut alarm = Alarm::new(settings);
/// let changes = [99, 0, 60, 0, 0, 0].map(|error| alarm.push(error));
/// assert_eq!(changes, [None, None, Some(Change::Raised), None, None, Some(Change::Cleared)]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Alarm {
    settings: AlarmSettings,
    /// Bit *n* is set if the score *n* results ago was unusual.
    unusual: u32,
    raised: bool,
}

impl Alarm {
    /// An alarm that has seen no score yet.
    pub const fn new(settings: AlarmSettings) -> Self {
        Self { settings, unusual: 0, raised: false }
    }

    /// Takes the next score.
    pub fn push(&mut self, score: i32) -> Option<Change> {
        let AlarmSettings { threshold, window, raise, clear } = self.settings;
        let seen = u32::MAX >> (32 - u32::from(window.clamp(1, 32)));
        self.unusual = (self.unusual << 1 | u32::from(score > threshold)) & seen;
        let (count, raise) = (self.unusual.count_ones(), u32::from(raise.max(1)));
        let change = match self.raised {
            false if count >= raise => Change::Raised,
            true if count <= u32::from(clear).min(raise - 1) => Change::Cleared,
            _ => return None,
        };
        self.raised = change == Change::Raised;
        Some(change)
    }

    /// Whether the alarm is on.
    pub const fn is_raised(&self) -> bool {
        self.raised
    }

    /// Forgets all scores.
    pub const fn reset(&mut self) {
        *self = Self::new(self.settings);
    }
}
