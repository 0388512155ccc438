//! Multipliers of few bits that give the same outputs.
//!
//! A channel's output is a staircase over its accumulator `a`: it reaches the step `j` where
//! `(a << shift) · m ≥ T_j = j · 2^32 − 2^31`. There are at most 255 steps, and the accumulator only
//! reaches `bias ± 128 · Σ|w|`. Every multiplier that keeps each step where it is computes the same
//! function. Those are an interval around `m`: a step at the accumulator `t` stays if
//!
//! ```text
//! (t << shift) · m' ≥ T_j   and   ((t − 1) << shift) · m' < T_j
//! ```
//!
//! (of an accumulator out of reach nothing is asked). The one with the most zeros at its end takes the
//! fewest bits: about as many as the accumulator has over the range of the output, and one.

use fixie_format::op;
use fixie_format::op::blocked::MULTIPLIER_LIMIT;
use fixie_kernels::layout::Constants;

/// The multipliers of a convolution, with as many zeros at the end of all of them as is possible
/// without another output, whatever the input. `params` needs no offsets.
pub fn simplest(params: &op::Conv, constants: Constants<'_>) -> Vec<i32> {
    let taps = constants.weights.len() / constants.bias.len().max(1);
    let rows = constants.weights.chunks(taps.max(1));
    let numbers = constants.bias.iter().zip(constants.multipliers);
    let intervals: Vec<Interval> = rows
        .zip(numbers)
        .map(|(weights, (&bias, &multiplier))| {
            let swing: i64 = weights.iter().map(|&w| 128 * i64::from(w).abs()).sum();
            Interval::around(multiplier, params, (i64::from(bias), swing))
        })
        .collect();
    let zeros = intervals.iter().map(Interval::most_zeros).min().unwrap_or(0);
    intervals.iter().map(|interval| interval.with_zeros(zeros)).collect()
}

/// The multipliers that compute what one of them does.
struct Interval {
    least: i64,
    most: i64,
    multiplier: i32,
}

impl Interval {
    /// Around a multiplier of a channel whose accumulator is `bias`, give or take `swing`.
    fn around(multiplier: i32, params: &op::Conv, (bias, swing): (i64, i64)) -> Self {
        // Kernels hold smaller multipliers only.
        let limit = i64::from(MULTIPLIER_LIMIT - 1).max(multiplier.into());
        let mut interval = Self { least: 1, most: limit, multiplier };
        if multiplier <= 0 {
            let only = i64::from(multiplier);
            return Self { least: only, most: only, multiplier };
        }
        let unit = 1 << params.shift;
        let (lowest, highest) = ((bias - swing) * unit, (bias + swing) * unit);
        let zero = i64::from(params.out_zero);
        for value in i64::from(params.act_min) + 1..=i64::from(params.act_max) {
            let threshold = ((value - zero) << 32) - (1 << 31);
            let step = ceil_div(threshold, i64::from(multiplier) * unit) * unit;
            if step > lowest {
                interval.keep_below((step - unit).min(highest), threshold);
            }
            if step <= highest {
                interval.keep_at_least(step.max(lowest), threshold);
            }
        }
        interval
    }

    /// Only multipliers with `shifted · multiplier ≥ threshold` are left.
    fn keep_at_least(&mut self, shifted: i64, threshold: i64) {
        match shifted {
            1.. => self.least = self.least.max(ceil_div(threshold, shifted)),
            ..0 => self.most = self.most.min((-threshold).div_euclid(-shifted)),
            0 => {}
        }
    }

    /// Only multipliers with `shifted · multiplier < threshold` are left.
    fn keep_below(&mut self, shifted: i64, threshold: i64) {
        self.keep_at_least(-shifted, 1 - threshold);
    }

    /// The most zeros that a multiplier in the interval ends with.
    fn most_zeros(&self) -> u32 {
        (0..31).rev().find(|&zeros| self.nearest(zeros).is_some()).unwrap_or(0)
    }

    /// One that ends with so many zeros, or the multiplier itself if there is none.
    fn with_zeros(&self, zeros: u32) -> i32 {
        self.nearest(zeros).unwrap_or(self.multiplier)
    }

    /// The multiple of 2^`zeros` next to the multiplier, if it is in the interval.
    fn nearest(&self, zeros: u32) -> Option<i32> {
        let lower = i64::from(self.multiplier) >> zeros << zeros;
        let upper = lower + (1 << zeros);
        let inside = |candidate: &i64| (self.least..=self.most).contains(candidate);
        [lower, upper].into_iter().find(inside).map(|found| found as i32)
    }
}

/// The quotient, rounded up, for a divisor above 0.
fn ceil_div(dividend: i64, divisor: i64) -> i64 {
    -(-dividend).div_euclid(divisor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::program::BufferId;
    use crate::plan::testing;

    /// The output, by the format's definition.
    fn output(params: &op::Conv, accumulator: i64, multiplier: i32) -> i64 {
        let product = i128::from(accumulator << params.shift) * i128::from(multiplier);
        let value = i64::from(params.out_zero) + ((product + (1 << 31)) >> 32) as i64;
        value.clamp(params.act_min.into(), params.act_max.into())
    }

    fn params(shift: u8, out_zero: i8, (act_min, act_max): (i8, i8)) -> op::Conv {
        let conv = testing::conv(testing::pointwise(1, 2, 1), BufferId(0), BufferId(0));
        op::Conv { shift, out_zero, act_min, act_max, ..conv }
    }

    #[test]
    fn every_output_stays_the_same() {
        let mut shorter = 0;
        for seed in 0..400_u64 {
            let random = |n: u64| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(n as u32);
            let (low, high) = (random(7) as i8, random(13) as i8);
            let shift = (random(3) % 3) as u8;
            let params = params(shift, random(21) as i8, (low.min(high), low.max(high)));
            let weights = [random(1) as i8, random(9) as i8];
            let bias = (random(31) as i32) >> (12 + random(40) % 16);
            let multiplier = ((random(5) as u32 >> 1) >> (random(2) % 18)) as i32;
            let (bias, multipliers) = ([bias], [multiplier]);
            let constants = Constants { weights: &weights, bias: &bias, multipliers: &multipliers };
            let [found] = simplest(&params, constants)[..] else { panic!("one channel") };
            let swing: i64 = weights.iter().map(|&w| 128 * i64::from(w).abs()).sum();
            let bias = i64::from(bias[0]);
            for accumulator in bias - swing..=bias + swing {
                assert_eq!(
                    output(&params, accumulator, found),
                    output(&params, accumulator, multiplier),
                    "seed {seed}: {found:#x} for {multiplier:#x} at {accumulator}"
                );
            }
            assert!(found.trailing_zeros() >= multiplier.trailing_zeros());
            shorter += u32::from(found.trailing_zeros() > multiplier.trailing_zeros() + 4);
        }
        assert!(shorter > 200, "{shorter} multipliers became shorter");
    }
}
