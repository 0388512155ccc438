//! The figures themselves.

use std::collections::BTreeMap;
use std::iter::Sum;

use ndarray::ArrayD;

use crate::session::{Network, PortInfo};

/// How far a sum of probabilities may be from 1, which those of quantised models are not quite.
const SUM_TOLERANCE: f64 = 0.05;

/// How the first output of a model is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scoring {
    /// One score per class: the largest wins.
    Classes,
    /// One probability: above one half it says class 1, otherwise class 0.
    Probability,
    /// The class itself, as `ArgMax` gives it.
    Index,
    /// The input again.
    Reconstruction,
    /// Something else, such as an image: there is no class.
    Other,
}

impl Scoring {
    /// Reads the shapes of a network's inputs and outputs, and the labels.
    pub fn of(network: &Network, labels: Option<&[i64]>) -> Self {
        let binary = labels.is_none_or(|labels| labels.iter().all(|label| [0, 1].contains(label)));
        match (network.inputs(), network.outputs()) {
            ([input], [output]) if binary && input.shape == output.shape => Self::Reconstruction,
            (_, [output, ..]) => Self::of_output(output),
            (_, []) => Self::Other,
        }
    }

    fn of_output(output: &PortInfo) -> Self {
        let wide_axes = output.shape.iter().filter(|&&extent| extent > 1).count();
        match wide_axes {
            0 if output.bits == 32 => Self::Index,
            0 => Self::Probability,
            1 => Self::Classes,
            _ => Self::Other,
        }
    }

    /// The class that an output says.
    pub fn class(self, output: &ArrayD<f32>) -> Option<i64> {
        match self {
            Self::Classes => Some(argmax(output) as i64),
            Self::Probability => output.first().map(|&p| i64::from(p > 0.5)),
            Self::Index => output.first().map(|&index| index as i64),
            Self::Reconstruction | Self::Other => None,
        }
    }

    /// The probability of a class by an output.
    pub fn probability(self, output: &ArrayD<f32>, class: i64) -> Option<f64> {
        match self {
            Self::Classes => probability(output, usize::try_from(class).ok()?),
            Self::Probability => {
                output.first().map(|&p| f64::from(if class == 1 { p } else { 1.0 - p }))
            }
            Self::Index => Some(f64::from(u8::from(self.class(output)? == class))),
            Self::Reconstruction | Self::Other => None,
        }
    }

    /// Mean squared difference between an output and the input which it reproduces.
    pub fn reconstruction_error(self, output: &ArrayD<f32>, inputs: &[ArrayD<f32>]) -> f64 {
        match (self, inputs) {
            (Self::Reconstruction, [input]) => {
                let squares = output.iter().zip(input).map(|(&o, &i)| square(o, i));
                squares.sum::<f64>() / output.len() as f64
            }
            _ => 0.0,
        }
    }
}

fn square(a: f32, b: f32) -> f64 {
    (f64::from(a) - f64::from(b)).powi(2)
}

/// A probability, which scores that are none say by softmax.
fn probability(scores: &ArrayD<f32>, class: usize) -> Option<f64> {
    let scores = || scores.iter().copied().map(f64::from);
    let own = scores().nth(class)?;
    let are_probabilities =
        scores().all(|p| p >= 0.0) && (scores().sum::<f64>() - 1.0).abs() < SUM_TOLERANCE;
    let softmax = || scores().map(|other| (other - own).exp()).sum::<f64>().recip();
    Some(if are_probabilities { own } else { softmax() })
}

/// Index of the first of the largest values.
fn argmax(values: &ArrayD<f32>) -> usize {
    let first = (0, f32::NEG_INFINITY);
    let best = values
        .iter()
        .enumerate()
        .fold(first, |best, (i, &v)| if v > best.1 { (i, v) } else { best });
    best.0
}

/// Share of the pairs whose two classes are equal; `None` if any is unknown or there are none.
pub fn share_of_equals(
    pairs: impl ExactSizeIterator<Item = (Option<i64>, Option<i64>)>,
) -> Option<f64> {
    let count = pairs.len();
    let mut equal = 0usize;
    for (a, b) in pairs {
        equal += usize::from(a? == b?);
    }
    (count > 0).then(|| equal as f64 / count as f64)
}

/// The mean score and the label of each group; a group that has both labels is an error.
pub fn average_groups(
    scores: &[f64],
    labels: &[i64],
    groups: &[i64],
) -> Result<Vec<(f64, bool)>, i64> {
    let mut sums: BTreeMap<i64, (f64, usize, i64)> = BTreeMap::new();
    for ((&score, &label), &group) in scores.iter().zip(labels).zip(groups) {
        let (sum, count, first_label) = sums.entry(group).or_insert((0.0, 0, label));
        if *first_label != label {
            return Err(group);
        }
        *sum += score;
        *count += 1;
    }
    let means = sums.into_values().map(|(sum, count, label)| (sum / count as f64, label == 1));
    Ok(means.collect())
}

/// Area under the ROC curve: the probability that a positive case scores higher than a negative
/// one, ties counted half (Mann and Whitney's U, by average ranks). `None` without both kinds.
pub fn roc_auc(cases: &[(f64, bool)]) -> Option<f64> {
    let mut sorted = cases.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut rank_sum = 0.0;
    let mut ranked = 0;
    for ties in sorted.chunk_by(|a, b| a.0 == b.0) {
        // Ranks ranked + 1 ..= ranked + ties.len(), each the mean of them.
        let mean_rank = ranked as f64 + (ties.len() + 1) as f64 / 2.0;
        rank_sum += mean_rank * positives(ties) as f64;
        ranked += ties.len();
    }
    let positive = positives(cases);
    let negative = cases.len() - positive;
    let smallest = (positive * (positive + 1)) as f64 / 2.0;
    (positive > 0 && negative > 0)
        .then(|| (rank_sum - smallest) / (positive as f64 * negative as f64))
}

fn positives(cases: &[(f64, bool)]) -> usize {
    cases.iter().filter(|case| case.1).count()
}

/// Power of the original's outputs, and of the image's difference from them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Noise {
    signal: f64,
    noise: f64,
}

impl Noise {
    /// Adds one output.
    pub fn add(&mut self, original: &ArrayD<f32>, output: &ArrayD<f32>) {
        self.signal += original.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
        self.noise += original.iter().zip(output).map(|(&a, &b)| square(a, b)).sum::<f64>();
    }

    /// Adds one output, leaving out elements that either does not know.
    pub fn add_known(&mut self, original: &ArrayD<f32>, output: &ArrayD<f32>) {
        let known = |(a, b): &(&f32, &f32)| a.is_finite() && b.is_finite();
        for (&a, &b) in original.iter().zip(output).filter(known) {
            self.signal += f64::from(a).powi(2);
            self.noise += square(a, b);
        }
    }

    /// Of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { signal: self.signal + other.signal, noise: self.noise + other.noise }
    }

    /// `10 · log10(signal / noise)`; infinite where there is no noise, `None` without a signal.
    pub fn ratio_db(self) -> Option<f64> {
        (self.signal > 0.0).then(|| 10.0 * (self.signal / self.noise).log10())
    }
}

impl Sum for Noise {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), Self::plus)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::arr1;
    use proptest::prelude::*;

    use super::*;

    /// The definition: all pairs of a positive and a negative case.
    fn auc_by_pairs(cases: &[(f64, bool)]) -> Option<f64> {
        let scores = |kind| cases.iter().filter(move |case| case.1 == kind).map(|case| case.0);
        let pairs: Vec<f64> = scores(true)
            .flat_map(|p| {
                scores(false).map(move |n| match p.total_cmp(&n) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                })
            })
            .collect();
        (!pairs.is_empty()).then(|| pairs.iter().sum::<f64>() / pairs.len() as f64)
    }

    proptest! {
        #[test]
        fn the_area_is_the_share_of_ordered_pairs(
            cases in proptest::collection::vec((0u8..6, any::<bool>()), 0..40),
        ) {
            let cases: Vec<_> = cases.into_iter().map(|(s, label)| (f64::from(s), label)).collect();
            match (roc_auc(&cases), auc_by_pairs(&cases)) {
                (Some(area), Some(share)) => prop_assert!((area - share).abs() < 1e-12),
                (area, share) => prop_assert_eq!(area, share),
            }
        }
    }

    #[test]
    fn groups_are_averaged_and_must_be_of_one_kind() {
        let cases = average_groups(&[1.0, 5.0, 3.0], &[0, 1, 0], &[7, 9, 7]).unwrap();
        assert_eq!(cases, [(2.0, false), (5.0, true)]);
        assert_eq!(average_groups(&[1.0, 5.0], &[0, 1], &[7, 7]), Err(7));
    }

    #[test]
    fn equals_are_counted_where_all_are_known() {
        let pairs = |pairs: &[(Option<i64>, Option<i64>)]| share_of_equals(pairs.iter().copied());
        assert_eq!(pairs(&[(Some(1), Some(1)), (Some(1), Some(2))]), Some(0.5));
        assert_eq!(pairs(&[(Some(1), Some(1)), (Some(1), None)]), None);
        assert_eq!(pairs(&[]), None);
    }

    #[test]
    fn noise_is_relative_to_the_signal() {
        let mut noise = Noise::default();
        noise.add(&arr1(&[3.0, 4.0]).into_dyn(), &arr1(&[3.0, 4.5]).into_dyn());
        assert!((noise.ratio_db().unwrap() - 20.0).abs() < 1e-9, "25 to 0.25");
        assert_eq!(Noise::default().ratio_db(), None);
    }

    #[test]
    fn probabilities_are_taken_or_made() {
        let probability = |scoring: Scoring, output: &[f32], class| {
            scoring.probability(&arr1(output).into_dyn(), class).unwrap()
        };
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(near(probability(Scoring::Classes, &[0.25, 0.75], 1), 0.75));
        let ratio = 3.0_f32.ln();
        assert!(near(probability(Scoring::Classes, &[5.0, 5.0 + ratio], 1), 0.75));
        assert!(near(probability(Scoring::Classes, &[-1000.0, 1000.0], 0), 0.0));
        assert!(near(probability(Scoring::Probability, &[0.25], 0), 0.75));
        assert!(near(probability(Scoring::Index, &[3.0], 3), 1.0));
        assert_eq!(Scoring::Classes.probability(&arr1(&[0.5, 0.5]).into_dyn(), 2), None);
    }

    #[test]
    fn the_first_of_equal_scores_wins() {
        let output = arr1(&[1.0, 3.0, 3.0, 2.0]).into_dyn();
        assert_eq!(Scoring::Classes.class(&output), Some(1));
        assert_eq!(Scoring::Probability.class(&arr1(&[0.5]).into_dyn()), Some(0));
    }
}
