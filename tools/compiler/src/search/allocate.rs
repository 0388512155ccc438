//! Which grids are worth their bytes.
//!
//! If the harm that a coarse layer does adds up over the layers, the best grids for any number of
//! bytes are those that minimise `harm + λ · bytes` for some λ, layer by layer (Shoham and Gersho
//! 1988, "Efficient bit allocation for an arbitrary set of quantizers"). These lie on the lower convex
//! hull of each layer's choices, and going through the edges of all hulls from the least to the most
//! harm per byte saved visits all of them.

use crate::quantize::Levels;

/// One grid of one layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) levels: Levels,
    pub(super) bytes: f64,
    pub(super) harm: f64,
}

/// An edge of a layer's hull: from a grid to a coarser one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    /// Index of the layer.
    pub(super) layer: usize,
    /// The coarser grid.
    pub(super) to: Choice,
    /// Bytes that it saves.
    pub(super) saved: f64,
    /// Harm per byte saved.
    slope: f64,
}

/// The steps from the first choice of each layer to its coarsest one, the cheapest first.
pub(super) fn steps(layers: &[Vec<Choice>]) -> Vec<Step> {
    let edges = layers.iter().enumerate().flat_map(|(layer, choices)| {
        let hull = hull(choices);
        let edge = move |pair: &[Choice]| {
            let saved = pair[0].bytes - pair[1].bytes;
            let slope = (pair[1].harm - pair[0].harm) / saved;
            Step { layer, to: pair[1], saved, slope }
        };
        hull.windows(2).map(edge).collect::<Vec<_>>()
    });
    let mut steps: Vec<Step> = edges.collect();
    // Stable: equal slopes stay in the order of the layers, and of each hull.
    steps.sort_by(|a, b| a.slope.total_cmp(&b.slope));
    steps
}

/// The lower convex hull, from the first choice to the fewest bytes.
fn hull(choices: &[Choice]) -> Vec<Choice> {
    let Some((&first, rest)) = choices.split_first() else { return Vec::new() };
    let mut rest: Vec<Choice> = rest.iter().copied().filter(|c| c.bytes < first.bytes).collect();
    rest.sort_by(|a, b| b.bytes.total_cmp(&a.bytes).then(a.harm.total_cmp(&b.harm)));
    let mut hull = vec![first];
    for choice in rest {
        let slope = |from: &Choice, to: &Choice| (to.harm - from.harm) / (from.bytes - to.bytes);
        if hull.last().is_some_and(|last| last.bytes <= choice.bytes) {
            continue;
        }
        while let [.., before, last] = &hull[..]
            && slope(before, last) >= slope(last, &choice)
        {
            hull.pop();
        }
        hull.push(choice);
    }
    hull
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn choices(points: &[(u32, u32)]) -> Vec<Choice> {
        let levels = Levels::FINEST;
        let choice = |&(bytes, harm): &(u32, u32)| Choice {
            levels,
            bytes: f64::from(bytes),
            harm: harm.into(),
        };
        points.iter().map(choice).collect()
    }

    #[test]
    fn what_another_choice_beats_is_left_out() {
        let layer = choices(&[(100, 0), (80, 10), (60, 8), (50, 50), (40, 30)]);
        let bytes: Vec<f64> = hull(&layer).iter().map(|choice| choice.bytes).collect();
        assert_eq!(bytes, [100.0, 60.0, 40.0]);
        // A coarser grid that does less harm is free.
        let free = choices(&[(100, 5), (80, 0), (60, 8)]);
        assert_eq!(hull(&free).iter().map(|c| c.harm).collect::<Vec<_>>(), [5.0, 0.0, 8.0]);
        assert!(hull(&[]).is_empty());
    }

    proptest! {
        /// After every step there is no better choice for the price at which it was taken.
        #[test]
        fn every_step_is_the_best_for_some_price(
            layers in prop::collection::vec(
                prop::collection::vec((1u32..200, 0u32..100), 1..6), 1..4),
        ) {
            let layers: Vec<Vec<Choice>> = layers.iter().map(|layer| choices(layer)).collect();
            let steps = steps(&layers);
            let mut taken: Vec<Choice> = layers.iter().map(|layer| layer[0]).collect();
            for step in &steps {
                let price = step.slope;
                taken[step.layer] = step.to;
                let cost = |choice: &Choice| choice.harm + price * choice.bytes;
                for (layer, taken) in layers.iter().zip(&taken) {
                    let allowed = layer.iter().filter(|c| c.bytes <= layer[0].bytes);
                    // Choices as large as the first but no better harm are not on the way.
                    let least = allowed.map(cost).fold(f64::INFINITY, f64::min);
                    let tied = (cost(taken) - least).abs() <= 1e-6 * least.abs().max(1.0);
                    let worse_start = layer.iter().any(|c| c.bytes == layer[0].bytes && c.harm < layer[0].harm);
                    prop_assert!(tied || worse_start, "{layer:?} {taken:?} at {price}");
                }
            }
        }
    }
}
