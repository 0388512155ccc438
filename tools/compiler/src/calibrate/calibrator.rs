//! From observed values to a range.
//!
//! A range that is too wide rounds coarsely, one that is too narrow cuts off. The calibrators weigh
//! the two differently.

use std::fmt;
use std::str::FromStr;

use super::Range;
use super::divergence::least_divergence_range;
use super::histogram::{Bin, Histogram};
use crate::choice::UnknownName;

/// How the range of an activation is chosen from its observed values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Calibrator {
    /// From the smallest to the largest value.
    #[default]
    MinMax,
    /// Without the outermost values: `percentile` of 100 remain, the rest is cut off evenly at
    /// both ends.
    Percentile {
        /// Above 50, at most 100.
        percentile: f64,
    },
    /// The range with the smallest mean squared error of 8-bit values.
    Mse,
    /// The range whose 8-bit values lose the least information, by the Kullback-Leibler divergence.
    Entropy,
}

/// Cuts one value in 10,000.
const DEFAULT_PERCENTILE: f64 = 99.99;

impl Calibrator {
    /// The range for these values.
    pub fn range(self, histogram: &Histogram) -> Range {
        let (min, max) = histogram.extremes();
        let full = Range::new(min, max);
        match self {
            Self::MinMax => full,
            Self::Percentile { percentile } => percentile_range(histogram, full, percentile),
            Self::Mse => least_error_range(histogram, full),
            Self::Entropy => least_divergence_range(histogram, full),
        }
    }
}

impl fmt::Display for Calibrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MinMax => f.write_str("minmax"),
            Self::Percentile { percentile } => write!(f, "percentile:{percentile}"),
            Self::Mse => f.write_str("mse"),
            Self::Entropy => f.write_str("entropy"),
        }
    }
}

const NAMES: &str = "minmax, percentile, percentile:P with 50 < P <= 100, mse or entropy";

impl FromStr for Calibrator {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let unknown = || UnknownName::new("calibrator", name, NAMES);
        match name.split_once(':') {
            None if name == "minmax" => Ok(Self::MinMax),
            None if name == "mse" => Ok(Self::Mse),
            None if name == "entropy" => Ok(Self::Entropy),
            None if name == "percentile" => Ok(Self::Percentile { percentile: DEFAULT_PERCENTILE }),
            Some(("percentile", number)) => {
                let percentile: f64 = number.parse().map_err(|_| unknown())?;
                let sensible = percentile > 50.0 && percentile <= 100.0;
                sensible.then_some(Self::Percentile { percentile }).ok_or_else(unknown)
            }
            _ => Err(unknown()),
        }
    }
}

/// Cuts the same number of values off at both ends, as far as there are any beyond zero.
fn percentile_range(histogram: &Histogram, full: Range, percentile: f64) -> Range {
    let cut = histogram.len() as f64 * (100.0 - percentile) / 200.0;
    let above = quantile(histogram.bins().rev().filter(|bin| bin.from >= 0.0), cut, |bin| {
        (bin.to, bin.from)
    });
    let below =
        quantile(histogram.bins().filter(|bin| bin.to <= 0.0), cut, |bin| (bin.from, bin.to));
    // Bins reach beyond the extremes, which they contain.
    Range::new((below as f32).max(full.min), (above as f32).min(full.max))
}

/// The value beyond which `cut` of the values lie, `bins` coming from outside inwards with their
/// `(outer, inner)` edge; 0 if all of them together are fewer.
fn quantile(
    bins: impl Iterator<Item = Bin>,
    mut cut: f64,
    edges: impl Fn(Bin) -> (f64, f64),
) -> f64 {
    for bin in bins {
        let count = bin.count as f64;
        if count > cut {
            let (outer, inner) = edges(bin);
            return outer + (inner - outer) * cut / count;
        }
        cut -= count;
    }
    0.0
}

/// Bounds tried on either side of zero.
const CANDIDATES: usize = 128;

/// Tries all pairs of a lower and an upper bound.
///
/// Values inside are rounded to 255 steps `Δ` and are off by `Δ² / 12` in the mean square; zeros
/// are exact; values outside are off by their distance.
fn least_error_range(histogram: &Histogram, full: Range) -> Range {
    let side = |extreme: f32| -> Vec<f64> {
        let fraction = |i: usize| f64::from(extreme) * i as f64 / CANDIDATES as f64;
        if extreme == 0.0 { vec![0.0] } else { (1..=CANDIDATES).rev().map(fraction).collect() }
    };
    let (bins, zeros) = (histogram.bins().collect::<Vec<_>>(), histogram.zeros());
    let counted = (histogram.len() - zeros) as f64;
    // Per bound: how many values lie beyond it, and the sum of their squared distances.
    let beyond = |bound: f64| {
        let centre = |bin: &Bin| bin.from.midpoint(bin.to);
        let outside = bins.iter().filter(|bin| (centre(bin) - bound) * bound > 0.0);
        let part = |bin: &Bin| (bin.count as f64, (centre(bin) - bound).powi(2));
        outside
            .map(part)
            .fold((0.0, 0.0), |(n, sum), (count, square)| (n + count, sum + count * square))
    };
    let weigh = |bounds: Vec<f64>| -> Vec<(f64, f64, f64)> {
        bounds
            .into_iter()
            .map(|bound| {
                let (n, sum) = beyond(bound);
                (bound, n, sum)
            })
            .collect()
    };
    let (lower, upper) = (weigh(side(full.min)), weigh(side(full.max)));
    let mut best = (f64::INFINITY, full);
    for &(min, below, cut_below) in &lower {
        for &(max, above, cut_above) in &upper {
            let step = (max - min) / 255.0;
            let error = cut_below + cut_above + (counted - below - above) * step * step / 12.0;
            if error < best.0 {
                best = (error, Range { min: min as f32, max: max as f32 });
            }
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f32>) -> Histogram {
        let mut histogram = Histogram::default();
        values.into_iter().for_each(|value| histogram.add(value));
        histogram
    }

    /// Roughly normal values: sums of uniform ones, of a fixed generator.
    fn bell(count: usize) -> Vec<f32> {
        let mut state = 1u32;
        let mut uniform = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..count).map(|_| (0..12).map(|_| uniform()).sum()).collect()
    }

    /// Mean squared error of 8-bit rounding within a range, by doing it.
    fn error(values: &[f32], range: Range) -> f64 {
        let step = f64::from(range.max - range.min) / 255.0;
        let squares = values.iter().map(|&value| {
            let value = f64::from(value);
            let kept = value.clamp(range.min.into(), range.max.into());
            ((kept / step).round() * step - value).powi(2)
        });
        squares.sum::<f64>() / values.len() as f64
    }

    #[test]
    fn percentiles_cut_both_ends() {
        // 0.5, 1.5, … 999.5 and their negatives.
        let values = (-1000..1000).map(|i| i as f32 + 0.5);
        let calibrator = Calibrator::Percentile { percentile: 90.0 };
        let range = calibrator.range(&of(values));
        assert!((range.max - 900.0).abs() < 1.0 && (range.min + 900.0).abs() < 1.0, "{range:?}");
    }

    #[test]
    fn percentiles_count_zeros_and_keep_zero_inside() {
        let zeros = std::iter::repeat_n(0.0, 9_990);
        let histogram = of(zeros.chain((1..=10).map(|i| i as f32)));
        let cut = Calibrator::Percentile { percentile: 99.9 }.range(&histogram);
        assert!(cut.min == 0.0 && (5.0..=6.0).contains(&cut.max), "{cut:?}");
        let all = Calibrator::Percentile { percentile: 100.0 }.range(&histogram);
        assert_eq!(all, Range { min: 0.0, max: 10.0 });
        let none = Calibrator::Percentile { percentile: 99.0 }.range(&histogram);
        assert_eq!(none, Range { min: 0.0, max: 0.0 });
    }

    #[test]
    fn least_error_is_least() {
        let mut values = bell(20_000);
        values.extend([30.0, -40.0]);
        let histogram = of(values.iter().copied());
        let found = error(&values, Calibrator::Mse.range(&histogram));
        for i in 1..=20 {
            for j in 1..=20 {
                let range = Range::new(-40.0 * i as f32 / 20.0, 30.0 * j as f32 / 20.0);
                assert!(found <= 1.02 * error(&values, range), "{range:?} is better");
            }
        }
    }

    #[test]
    fn even_values_are_not_cut() {
        let values = (0..=255).map(|i| i as f32);
        assert_eq!(Calibrator::Mse.range(&of(values)), Range { min: 0.0, max: 255.0 });
    }

    #[test]
    fn constant_tensors_have_a_range() {
        for calibrator in
            [Calibrator::MinMax, Calibrator::Percentile { percentile: 99.9 }, Calibrator::Mse]
        {
            assert_eq!(calibrator.range(&of([0.0; 5])), Range::default());
            let range = calibrator.range(&of([-2.0; 5]));
            assert!(range.max == 0.0 && (range.min + 2.0).abs() < 0.01, "{calibrator}: {range:?}");
        }
    }

    #[test]
    fn names_round_trip() {
        for name in ["minmax", "mse", "entropy", "percentile:99.9"] {
            assert_eq!(name.parse::<Calibrator>().unwrap().to_string(), name);
        }
        assert_eq!(
            "percentile".parse(),
            Ok(Calibrator::Percentile { percentile: DEFAULT_PERCENTILE })
        );
        for name in ["", "kl", "percentile:50", "percentile:101", "percentile:x", "minmax:1"] {
            assert!(name.parse::<Calibrator>().is_err(), "{name}");
        }
    }
}
