//! Deciders against their definition, computed from the whole history at every result.

use fixie_decision::{Alarm, AlarmSettings, Change, Decider, Detection, Settings};
use proptest::prelude::*;

const CLASSES: usize = 3;
const WINDOW: usize = 4;

/// The definition: everything that was seen and decided so far.
struct History<'a> {
    settings: Settings,
    results: &'a [[i8; CLASSES]],
    detections: Vec<Option<Detection>>,
}

impl History<'_> {
    /// The exact average of a class at the result `at`, as a sum; none while there is none.
    fn sum(&self, at: usize, class: usize) -> Option<i32> {
        let first = (at + 1).checked_sub(WINDOW)?;
        Some(self.results[first..=at].iter().map(|scores| i32::from(scores[class])).sum())
    }

    /// The best class, if it is over the threshold and no background.
    fn candidate(&self, at: usize) -> Option<usize> {
        let sums: Option<Vec<i32>> = (0..CLASSES).map(|class| self.sum(at, class)).collect();
        let sums = sums?;
        let best = sums.iter().max().copied()?;
        let class = sums.iter().position(|&sum| sum == best)?;
        let wanted = self.settings.background & (1 << class) == 0;
        (wanted && best >= i32::from(self.settings.threshold) * WINDOW as i32).then_some(class)
    }

    fn last_detection(&self) -> Option<(usize, Detection)> {
        let mut found = self.detections.iter().enumerate().rev();
        found.find_map(|(at, detection)| Some((at, (*detection)?)))
    }

    /// Whether the class was detected last and never fell below `release` since.
    fn is_active(&self, at: usize, class: usize) -> bool {
        self.last_detection().is_some_and(|(since, detection)| {
            let release = i32::from(self.settings.release) * WINDOW as i32;
            detection.class == class
                && (since + 1..=at).all(|then| self.sum(then, class).unwrap() >= release)
        })
    }

    fn decide(&self, at: usize) -> Option<Detection> {
        let class = self.candidate(at)?;
        let count = usize::from(self.settings.min_count.max(1));
        let first = (at + 1).checked_sub(count)?;
        let steady = (first..=at).all(|then| self.candidate(then) == Some(class));
        let rested = self
            .last_detection()
            .is_none_or(|(since, _)| at - since > usize::from(self.settings.refractory));
        let score = (self.sum(at, class)? as f64 / WINDOW as f64).floor() as i8;
        (steady && rested && !self.is_active(at, class)).then_some(Detection { class, score })
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    (-60_i8..60, 0_i8..40, 0_u16..5, 0_u16..6, 0_u32..8).prop_map(
        |(threshold, below, min_count, refractory, background)| Settings {
            threshold,
            release: threshold - below,
            min_count,
            refractory,
            background,
        },
    )
}

/// Scores that stay alike for a while, so that there is something to detect.
fn results() -> impl Strategy<Value = Vec<[i8; CLASSES]>> {
    let piece = (any::<[i8; CLASSES]>(), 1_usize..9);
    prop::collection::vec(piece, 1..20).prop_map(|pieces| {
        pieces.into_iter().flat_map(|(scores, len)| std::iter::repeat_n(scores, len)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_decider_keeps_to_its_definition(settings in settings(), results in results()) {
        let mut decider = Decider::<CLASSES, WINDOW>::new(settings);
        let mut history = History { settings, results: &results, detections: Vec::new() };
        for (at, scores) in results.iter().enumerate() {
            let expected = history.decide(at);
            prop_assert_eq!(decider.push(scores), expected, "result {}", at);
            history.detections.push(expected);
        }
        // After a reset it does it all again.
        decider.reset();
        for (scores, expected) in results.iter().zip(&history.detections) {
            prop_assert_eq!(decider.push(scores), *expected);
        }
    }

    #[test]
    fn an_alarm_keeps_to_its_definition(
        (window, raise) in (1_usize..=32).prop_flat_map(|window| (Just(window), 1..=window)),
        clear in 0_usize..32,
        scores in prop::collection::vec(-3_i32..3, 1..200),
    ) {
        let clear = clear.min(raise - 1);
        let mut alarm = Alarm::new(AlarmSettings {
            threshold: 0,
            window: window as u8,
            raise: raise as u8,
            clear: clear as u8,
        });
        let mut raised = false;
        for at in 0..scores.len() {
            let seen = &scores[(at + 1).saturating_sub(window)..=at];
            let count = seen.iter().filter(|&&score| score > 0).count();
            let expected = if raised {
                (count <= clear).then_some(Change::Cleared)
            } else {
                (count >= raise).then_some(Change::Raised)
            };
            prop_assert_eq!(alarm.push(scores[at]), expected);
            raised = expected.map_or(raised, |change| change == Change::Raised);
            prop_assert_eq!(alarm.is_raised(), raised);
        }
    }
}

#[test]
fn extreme_scores_and_settings_do_no_harm() {
    let extreme = Settings {
        threshold: i8::MIN,
        release: i8::MIN,
        min_count: u16::MAX,
        refractory: u16::MAX,
        background: u32::MAX,
    };
    let mut decider = Decider::<1, 1>::new(extreme);
    let mut eager = Decider::<1, 1>::new(Settings { min_count: 0, background: 0, ..extreme });
    for _ in 0..70_000 {
        assert_eq!(decider.push(&[i8::MIN]), None);
        eager.push(&[i8::MIN]);
    }
    // Never released, as no average is below the least score.
    assert_eq!(eager.push(&[i8::MAX]), None);

    let widest = AlarmSettings { threshold: i32::MAX, window: 0, raise: 0, clear: 255 };
    assert_eq!(Alarm::new(widest).push(i32::MAX), None);
    let lowest = AlarmSettings { threshold: i32::MIN, window: 255, ..widest };
    assert_eq!(Alarm::new(lowest).push(0), Some(Change::Raised));
}
