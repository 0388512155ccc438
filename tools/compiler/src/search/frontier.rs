//! Which of the networks that were tried is the one.

use super::Point;

/// The least sum of squares among sequences that never fall (pool adjacent violators; Ayer et al.
/// 1955).
pub(super) fn never_falling(values: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for &value in values {
        let mut pool = (value, 1);
        while let Some(&(mean, count)) = pools.last()
            && mean > pool.0
        {
            pools.pop();
            let total = mean * count as f64 + pool.0 * pool.1 as f64;
            pool = (total / (count + pool.1) as f64, count + pool.1);
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(mean, count)| std::iter::repeat_n(mean, count)).collect()
}

/// What a network may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Bytes of the image.
    pub flash_bytes: Option<usize>,
    /// Loss as a share: 0.01 is one point of accuracy or one hundredth of the area under the curve.
    pub loss: Option<f64>,
}

impl Limits {
    /// Whether there is any limit, so that something has to be searched for.
    pub fn ask_for_something(self) -> bool {
        self.flash_bytes.is_some() || self.loss.is_some()
    }

    /// Whether a network is small enough.
    pub(super) fn fits(self, point: &Point) -> bool {
        self.flash_bytes.is_none_or(|most| point.image_bytes <= most)
    }

    /// Whether a network is accurate enough, here and on other data.
    pub(super) fn keeps(self, point: &Point) -> bool {
        self.loss.is_none_or(|most| point.loss.max(point.expected_loss) <= most + ROUNDING)
    }
}

/// The points by size, the largest first, with their expected losses.
///
/// On a set of some hundred samples, a network that does better than one which is finer in every layer
/// was lucky: the losses of such networks never fall.
pub(super) fn expected_losses(points: &mut [Point]) {
    points.sort_by(|a, b| b.image_bytes.cmp(&a.image_bytes).then(a.loss.total_cmp(&b.loss)));
    let expected: Vec<f64> = points.iter().map(|point| expected_loss(point, points)).collect();
    for (point, expected) in points.iter_mut().zip(expected) {
        point.expected_loss = expected;
    }
}

/// The expected loss of one of the points, which are in order.
fn expected_loss(point: &Point, points: &[Point]) -> f64 {
    let related = points.iter().filter(|other| is_finer(other, point) || is_finer(point, other));
    let related: Vec<&Point> = related.collect();
    let losses: Vec<f64> = related.iter().map(|other| other.loss).collect();
    let position = related.iter().position(|other| std::ptr::eq(*other, point));
    position.map_or(point.loss, |position| never_falling(&losses)[position])
}

/// Whether no grid of `fine` is coarser than that of `coarse`.
fn is_finer(fine: &Point, coarse: &Point) -> bool {
    fine.layers.iter().all(|(layer, levels)| {
        let other = coarse.layers.get(layer).copied().unwrap_or_default();
        levels.count() >= other.count()
    })
}

/// The smallest network within the limits, or, where only the size is limited, the most accurate
/// one; `None` if there is none.
pub(super) fn choose(points: &[Point], limits: Limits) -> Option<usize> {
    let within = |point: &Point| limits.fits(point) && limits.keeps(point);
    let allowed = points.iter().enumerate().filter(|(_, point)| within(point));
    let by_size = |a: &Point, b: &Point| a.image_bytes.cmp(&b.image_bytes);
    let by_loss = |a: &Point, b: &Point| {
        a.expected_loss.total_cmp(&b.expected_loss).then(a.loss.total_cmp(&b.loss))
    };
    let best = if limits.loss.is_some() && limits.flash_bytes.is_none() {
        allowed.min_by(|(_, a), (_, b)| by_size(a, b).then(by_loss(a, b)))
    } else {
        allowed.min_by(|(_, a), (_, b)| by_loss(a, b).then(by_size(a, b)))
    };
    best.map(|(index, _)| index)
}

/// Differences of shares are not exact.
const ROUNDING: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::quantize::Levels;

    fn points(sizes_and_losses: &[(usize, f64)]) -> Vec<Point> {
        let point =
            |&(bytes, loss): &(usize, f64)| Point { image_bytes: bytes, loss, ..Point::default() };
        let mut points: Vec<Point> = sizes_and_losses.iter().map(point).collect();
        expected_losses(&mut points);
        points
    }

    #[test]
    fn means_are_pooled_until_nothing_falls() {
        assert_eq!(never_falling(&[1.0, 3.0, 2.0, 4.0]), [1.0, 2.5, 2.5, 4.0]);
        assert_eq!(never_falling(&[3.0, 2.0, 1.0]), [2.0, 2.0, 2.0]);
        assert!(never_falling(&[]).is_empty());
    }

    #[test]
    fn a_lucky_network_is_not_chosen() {
        let points = points(&[(100, 0.0), (80, 0.005), (60, 0.03), (50, 0.009), (40, 0.05)]);
        let limits = Limits { flash_bytes: None, loss: Some(0.01) };
        let chosen = choose(&points, limits).unwrap();
        assert_eq!(points[chosen].image_bytes, 80, "60 and 50 are at 0.0195 together");
    }

    #[test]
    fn what_is_coarse_elsewhere_does_not_matter() {
        let coarse = |layer: &str| BTreeMap::from([(layer.to_owned(), Levels::new(3).unwrap())]);
        let point =
            |layers, image_bytes, loss| Point { layers, image_bytes, loss, ..Point::default() };
        let mut points = [
            point(BTreeMap::new(), 100, 0.0),
            point(coarse("a"), 90, 0.08),
            point(coarse("b"), 80, 0.0),
            point([coarse("a"), coarse("b")].into_iter().flatten().collect(), 70, 0.02),
        ];
        expected_losses(&mut points);
        let near = |(point, expected): (Point, f64)| (point.expected_loss - expected).abs() < 1e-9;
        // The last one is coarser than all, the second is not finer than the third.
        assert!(points.into_iter().zip([0.0, 0.05, 0.0, 0.1 / 3.0]).all(near));
    }

    #[test]
    fn limits_hold() {
        let points = points(&[(100, 0.0), (80, 0.005), (60, 0.02)]);
        let chosen = |flash_bytes, loss| {
            choose(&points, Limits { flash_bytes, loss }).map(|i| points[i].image_bytes)
        };
        assert_eq!(chosen(Some(90), None), Some(80), "the most accurate that fits");
        assert_eq!(chosen(Some(70), None), Some(60));
        assert_eq!(chosen(Some(70), Some(0.01)), None);
        assert_eq!(chosen(None, Some(0.02)), Some(60));
        assert_eq!(chosen(Some(100), Some(0.02)), Some(100), "there is room for accuracy");
    }
}
