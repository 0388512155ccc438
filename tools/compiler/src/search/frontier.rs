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
/// On a set of some hundred samples the loss is the difference of two small numbers: how many answers
/// became wrong, and how many became right by luck. The noise in the outputs depends on all samples.
/// What it costs is learned from all networks, by their labels and by the original's probabilities: the
/// loss never falls where noise rises.
pub(super) fn expected_losses(points: &mut [Point]) {
    let ratio = |point: &Point| point.sqnr_db.unwrap_or(f64::INFINITY);
    // Of those with the same noise the worst comes first, so that all are pooled.
    points.sort_by(|a, b| ratio(b).total_cmp(&ratio(a)).then(b.loss.total_cmp(&a.loss)));
    let smooth =
        |loss: fn(&Point) -> f64| never_falling(&points.iter().map(loss).collect::<Vec<_>>());
    let measured = smooth(|point| point.loss);
    let believed = smooth(|point| point.believed_loss.unwrap_or(point.loss));
    for (point, (measured, believed)) in points.iter_mut().zip(measured.into_iter().zip(believed)) {
        point.expected_loss = measured.max(believed);
    }
    points.sort_by(|a, b| b.image_bytes.cmp(&a.image_bytes).then(a.loss.total_cmp(&b.loss)));
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
    use super::*;

    fn points(sizes_and_losses: &[(usize, f64)]) -> Vec<Point> {
        // The smaller, the noisier.
        let point = |&(image_bytes, loss): &(usize, f64)| Point {
            image_bytes,
            loss,
            sqnr_db: Some(image_bytes as f64),
            ..Point::default()
        };
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
    fn what_is_expected_depends_on_noise_and_belief() {
        let point = |&(image_bytes, ratio, loss, belief): &(usize, f64, f64, f64)| Point {
            image_bytes,
            sqnr_db: Some(ratio),
            loss,
            believed_loss: Some(belief),
            ..Point::default()
        };
        let tried = [
            (70, 15.0, 0.03, 0.02),
            (100, 40.0, 0.0, 0.0),
            (90, 20.0, 0.0, 0.008),
            (80, 20.0, 0.02, 0.001),
            (60, 10.0, 0.03, 0.06),
        ];
        let mut points: Vec<Point> = tried.iter().map(point).collect();
        expected_losses(&mut points);
        let found: Vec<_> =
            points.iter().map(|point| (point.image_bytes, point.expected_loss)).collect();
        assert_eq!(found, [(100, 0.0), (90, 0.01), (80, 0.01), (70, 0.03), (60, 0.06)]);
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
