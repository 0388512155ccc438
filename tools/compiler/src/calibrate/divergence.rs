//! The range that loses the least information, by Kullback and Leibler's divergence.
//!
//! Migacz ("8-bit Inference with `TensorRT`", GTC 2017) compares the distribution of the values with
//! what 8-bit values would make of it: values beyond a bound count as the bound, and those that
//! share a step become indistinguishable. He narrows a symmetric range; here the upper bound is
//! chosen first and then the lower one, since ranges need not be symmetric.

use super::Range;
use super::histogram::{Bin, Histogram};

/// Bounds tried on either side of zero, down to a quarter of the extreme.
const CANDIDATES: usize = 96;
/// The steps of a range of 8 bits.
const STEPS: f64 = 255.0;

/// The range for these values.
pub(super) fn least_divergence_range(histogram: &Histogram, full: Range) -> Range {
    let bins: Vec<Bin> = histogram.bins().collect();
    let fraction = |i: usize| 1.0 - 0.75 * i as f32 / CANDIDATES as f32;
    let best = |candidate: &dyn Fn(f32) -> Range| {
        let candidates = (0..CANDIDATES).map(|i| candidate(fraction(i)));
        let judged = candidates.map(|range| (divergence(&bins, range), range));
        judged.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(full, |(_, range)| range)
    };
    let upper = best(&|share| Range { max: full.max * share, ..full });
    best(&|share| Range { min: full.min * share, ..upper })
}

/// `Σ p · ln(p / q)` over the bins: `p` are the values, those outside moved to the outermost bins
/// inside; `q` spreads what falls into one step evenly over the bins of that step in which there is
/// anything. Infinite if nothing is left inside.
fn divergence(bins: &[Bin], range: Range) -> f64 {
    let (min, max) = (f64::from(range.min), f64::from(range.max));
    let centre = |bin: &Bin| bin.from.midpoint(bin.to);
    let start = bins.partition_point(|bin| centre(bin) < min);
    let end = bins.partition_point(|bin| centre(bin) <= max);
    let Some(inside) = bins.get(start..end).filter(|inside| !inside.is_empty()) else {
        return f64::INFINITY;
    };
    let count = |bins: &[Bin]| bins.iter().map(|bin| bin.count).sum::<u64>() as f64;
    let (below, above) = (count(&bins[..start]), count(&bins[end..]));
    let (all, kept) = (count(bins), count(inside));
    let step = (max - min) / STEPS;
    let step_of = |bin: &Bin| ((centre(bin) - min) / step).round();
    let mut sum = 0.0;
    let mut at = 0;
    for together in inside.chunk_by(|a, b| step_of(a) == step_of(b)) {
        let q = count(together) / together.len() as f64 / kept;
        for bin in together {
            let mut values = bin.count as f64;
            values += if at == 0 { below } else { 0.0 };
            values += if at + 1 == inside.len() { above } else { 0.0 };
            let p = values / all;
            sum += p * (p / q).ln();
            at += 1;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f32>) -> Histogram {
        let mut histogram = Histogram::default();
        values.into_iter().for_each(|value| histogram.add(value));
        histogram
    }

    fn range(histogram: &Histogram) -> Range {
        let (min, max) = histogram.extremes();
        least_divergence_range(histogram, Range::new(min, max))
    }

    #[test]
    fn what_is_lost_is_counted() {
        let bins = |counts: &[u64]| -> Vec<Bin> {
            let bin =
                |(i, &count): (usize, &u64)| Bin { from: i as f64, to: i as f64 + 1.0, count };
            counts.iter().enumerate().map(bin).collect()
        };
        let whole = Range { min: 0.0, max: 4.0 };
        // Every bin has a step of its own: nothing is lost.
        assert!(divergence(&bins(&[3, 1, 5, 2]), whole).abs() < 1e-12);
        // The last two of four alike go into the second: p = (1/4, 3/4), q = (1/2, 1/2).
        let cut = divergence(&bins(&[1, 1, 1, 1]), Range { min: 0.0, max: 2.0 });
        let expected = 0.25 * (0.25f64 / 0.5).ln() + 0.75 * (0.75f64 / 0.5).ln();
        assert!((cut - expected).abs() < 1e-12, "{cut}");
        assert_eq!(divergence(&bins(&[1]), Range { min: 0.0, max: 0.25 }), f64::INFINITY);
    }

    #[test]
    fn a_lone_value_far_out_is_cut_and_even_values_are_not() {
        let even = |i: i32| i as f32 / 1000.0;
        assert_eq!(range(&of((1..=1000).map(even))), Range { min: 0.0, max: 1.0 });
        // Triangular: dense near zero.
        let dense = (1..2000).flat_map(|i| (i..2000).step_by(40).map(move |_| even(i)));
        let cut = range(&of(dense.chain([-5.0])));
        assert!(cut.min > -2.5 && cut.max > 1.0, "{cut:?}");
        assert_eq!(range(&of([0.0; 4])), Range::default());
    }
}
