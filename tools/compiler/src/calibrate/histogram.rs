//! A histogram whose range grows with the values.

use serde::Serialize;

/// Bins on either side of zero.
const HALF: usize = 4096;

/// How often a tensor took on which values.
///
/// Bins are `[i · w, (i + 1) · w)` with a width `w = 2^exponent` common to all. When a value lies
/// outside, the width doubles and neighbouring bins merge, which is exact as their edges fall
/// together. The width depends on the largest magnitude only, so the histogram of some values is
/// the same in whatever order they come; that magnitude reaches at least half of the bins on its
/// side. Zeros are counted apart: they are represented exactly and cost no accuracy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    exponent: i32,
    counts: Vec<u64>,
    zeros: u64,
    /// Bits of the smallest and largest value, `None` before the first.
    extremes: Option<(u32, u32)>,
}

/// Values from `from` (included) to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// Lower edge.
    pub from: f64,
    /// Upper edge.
    pub to: f64,
    /// How many values there are.
    pub count: u64,
}

/// A bin for people: wide enough that few of them tell the whole.
pub type Bucket = Bin;

impl Default for Histogram {
    fn default() -> Self {
        let counts = vec![0; 2 * HALF];
        Self { exponent: i32::MIN, counts, zeros: 0, extremes: None }
    }
}

impl Histogram {
    /// Counts a value, which must be finite.
    pub fn add(&mut self, value: f32) {
        let (min, max) = self.extremes.map_or((value, value), |(min, max)| {
            (value.min(f32::from_bits(min)), value.max(f32::from_bits(max)))
        });
        self.extremes = Some((min.to_bits(), max.to_bits()));
        if value == 0.0 {
            self.zeros += 1;
            return;
        }
        let needed = exponent_for(value);
        if needed > self.exponent {
            self.widen(needed);
        }
        let bin = (f64::from(value) * f64::from(-self.exponent).exp2()).floor() as i64;
        self.counts[(bin + HALF as i64) as usize] += 1;
    }

    /// Whether nothing has been counted.
    pub fn is_empty(&self) -> bool {
        self.extremes.is_none()
    }

    /// Number of values.
    pub fn len(&self) -> u64 {
        self.zeros + self.counts.iter().sum::<u64>()
    }

    /// Smallest and largest value; zeros if there is none.
    pub fn extremes(&self) -> (f32, f32) {
        self.extremes.map_or((0.0, 0.0), |(min, max)| (f32::from_bits(min), f32::from_bits(max)))
    }

    /// How many values are exactly zero.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// The bins that hold something, in ascending order, without the zeros.
    pub(super) fn bins(&self) -> impl DoubleEndedIterator<Item = Bin> + '_ {
        let width = f64::from(self.exponent).exp2();
        let occupied = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        occupied.map(move |(place, &count)| {
            let from = (place as f64 - HALF as f64) * width;
            Bin { from, to: from + width, count }
        })
    }

    /// All values, zeros included, in so many buckets of the same width.
    pub fn buckets(&self, count: usize) -> Vec<Bucket> {
        let bins: Vec<Bin> = self.bins().collect();
        let (from, to) = match (bins.first(), bins.last()) {
            (Some(first), Some(last)) => (first.from.min(0.0), last.to.max(0.0)),
            _ => (0.0, 1.0),
        };
        let width = (to - from) / count as f64;
        let edge = |i: usize| from + width * i as f64;
        let bucket = |i: usize| Bucket { from: edge(i), to: edge(i + 1), count: 0 };
        let mut buckets: Vec<Bucket> = (0..count).map(bucket).collect();
        let zeros = Bin { from: 0.0, to: 0.0, count: self.zeros };
        for bin in bins.iter().chain([&zeros]) {
            let at = ((bin.from.midpoint(bin.to) - from) / width) as usize;
            buckets[at.min(count - 1)].count += bin.count;
        }
        buckets
    }

    /// Counts the values of another histogram too.
    pub fn merge(&mut self, mut other: Self) {
        let Some((min, max)) = other.extremes else { return };
        let exponent = self.exponent.max(other.exponent);
        for narrow in [&mut *self, &mut other].into_iter().filter(|h| h.exponent < exponent) {
            narrow.widen(exponent);
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
        self.zeros += other.zeros;
        let (own_min, own_max) = self.extremes.unwrap_or((min, max));
        let of = |a: u32, b: u32, choose: fn(f32, f32) -> f32| {
            choose(f32::from_bits(a), f32::from_bits(b)).to_bits()
        };
        self.extremes = Some((of(own_min, min, f32::min), of(own_max, max, f32::max)));
    }

    fn widen(&mut self, exponent: i32) {
        let doublings = exponent.saturating_sub(self.exponent).min(31);
        self.exponent = exponent;
        let narrow = std::mem::replace(&mut self.counts, vec![0; 2 * HALF]);
        for (place, count) in narrow.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            let bin = (place as i64 - HALF as i64) >> doublings;
            self.counts[(bin + HALF as i64) as usize] += count;
        }
    }
}

/// The exponent for which `|value|` lies between half of `HALF` bins and all of them.
fn exponent_for(value: f32) -> i32 {
    let biased = (value.to_bits() >> 23 & 0xff) as i32;
    biased.max(1) - 127 - (HALF.ilog2() as i32 - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f32]) -> Histogram {
        let mut histogram = Histogram::default();
        for &value in values {
            histogram.add(value);
        }
        histogram
    }

    proptest! {
        #[test]
        fn every_value_is_in_its_bin(
            mut values in prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::ZERO, 1..50)
        ) {
            let histogram = of(&values);
            prop_assert_eq!(histogram.len(), values.len() as u64);
            for bin in histogram.bins() {
                let inside = |v: &&f32| **v != 0.0 && (bin.from..bin.to).contains(&f64::from(**v));
                prop_assert_eq!(values.iter().filter(inside).count() as u64, bin.count);
            }
            values.reverse();
            prop_assert_eq!(of(&values), histogram.clone());
            let (some, others) = values.split_at(values.len() / 3);
            let mut merged = of(some);
            merged.merge(of(others));
            prop_assert_eq!(merged, histogram.clone());
            let buckets = histogram.buckets(7);
            let counted: u64 = buckets.iter().map(|bucket| bucket.count).sum();
            prop_assert_eq!((buckets.len(), counted), (7, values.len() as u64));
        }

        #[test]
        fn the_largest_value_uses_the_resolution(value in 1e-30f32..1e30) {
            let histogram = of(&[value, 0.0]);
            let width = f64::from(histogram.exponent).exp2();
            let bins = f64::from(value) / width;
            prop_assert!((HALF as f64 / 2.0..HALF as f64).contains(&bins), "{bins}");
        }
    }

    #[test]
    fn zeros_are_apart() {
        let histogram = of(&[0.0, -0.0, 1.5]);
        assert_eq!((histogram.zeros(), histogram.bins().count()), (2, 1));
        assert_eq!(histogram.extremes(), (0.0, 1.5));
        assert_eq!(Histogram::default().extremes(), (0.0, 0.0));
    }

    #[test]
    fn tiny_and_huge_values_do_not_overflow() {
        let histogram = of(&[f32::from_bits(1), f32::MAX, f32::MIN, -f32::from_bits(1)]);
        assert_eq!(histogram.len(), 4);
    }
}
