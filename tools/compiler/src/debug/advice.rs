//! What to do about a layer that costs much.

use super::LayerErrors;

/// So many layers get an advice.
const MOST: usize = 5;
/// Layers that add less noise than this need none.
const GOOD_DB: f64 = 30.0;
/// A share of values that is worth mentioning.
const MANY_CLIPPED: f64 = 0.001;
/// Grids that are worth being made finer.
const COARSE: u32 = 63;
/// A range so many times as wide as where nearly all values are is too wide.
const TOO_WIDE: f64 = 4.0;

/// Gives the layers that add the most noise an advice.
pub(super) fn give(layers: &mut [LayerErrors]) {
    let ratio = |layer: &LayerErrors| layer.alone_db.or(layer.accumulated_db);
    let mut worst: Vec<(f64, usize)> = layers
        .iter()
        .enumerate()
        .filter_map(|(index, layer)| Some((ratio(layer)?, index)))
        .filter(|(ratio, _)| *ratio < GOOD_DB)
        .collect();
    worst.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (_, index) in worst.into_iter().take(MOST) {
        layers[index].advice = Some(advice(&layers[index]));
    }
}

fn advice(layer: &LayerErrors) -> String {
    if let Some(largest) = layer.largest_weight.filter(|&largest| largest <= COARSE) {
        let name = &layer.layer;
        return format!(
            "weights are within ±{largest}: try a finer grid, --layer-bits '{name}=8', or --rounding \
             gptq --bias-correction"
        );
    }
    if layer.clipped > MANY_CLIPPED {
        return format!(
            "{:.2}% of the values are cut off: try --calibrator minmax, or more calibration samples",
            100.0 * layer.clipped
        );
    }
    if width(layer) > TOO_WIDE {
        return "few values use most of the range: try --calibrator mse or percentile, or --equalize"
            .to_owned();
    }
    if !matches!(layer.op.as_str(), "Conv" | "Dense") {
        return "its own rounding: try --rounding gptq --bias-correction".to_owned();
    }
    format!(
        "its own rounding: try --rounding gptq --bias-correction, or 16 bits for what it computes, \
         --activations-16 '{}'",
        layer.layer
    )
}

/// How many times as wide the range is as where 99.9 % of the values are.
fn width(layer: &LayerErrors) -> f64 {
    let total: u64 = layer.histogram.iter().map(|bucket| bucket.count).sum();
    let mut outside = total / 1000;
    let mut buckets = &layer.histogram[..];
    // From both ends, the emptier one first.
    while let [first, .., last] = buckets {
        let from_first = first.count <= last.count;
        let count = first.count.min(last.count);
        if count > outside {
            break;
        }
        outside -= count;
        buckets = if from_first { &buckets[1..] } else { &buckets[..buckets.len() - 1] };
    }
    match (buckets.first(), buckets.last()) {
        (Some(first), Some(last)) => (layer.range.1 - layer.range.0) / (last.to - first.from),
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::Bucket;

    fn layer(alone_db: f64) -> LayerErrors {
        LayerErrors {
            layer: "conv".to_owned(),
            op: "Conv".to_owned(),
            tensor: "y".to_owned(),
            alone_db: Some(alone_db),
            accumulated_db: Some(10.0),
            largest_weight: Some(127),
            range: (0.0, 10.0),
            clipped: 0.0,
            histogram: (0..10)
                .map(|i| Bucket { from: f64::from(i), to: f64::from(i + 1), count: 1000 })
                .collect(),
            advice: None,
        }
    }

    #[test]
    fn the_reason_is_named() {
        let mut layers: Vec<LayerErrors> = (0..5).map(|_| layer(20.0)).collect();
        layers[0].largest_weight = Some(7);
        layers[1].clipped = 0.02;
        layers[2].histogram[0].count = 1_000_000;
        layers[2].histogram[1..].iter_mut().for_each(|bucket| bucket.count = 1);
        layers[4].alone_db = Some(45.0);
        give(&mut layers);
        let starts = ["weights are within ±7", "2.00% of the values", "few values", "its own"];
        for (layer, start) in layers.iter().zip(starts) {
            assert!(layer.advice.as_ref().unwrap().starts_with(start), "{:?}", layer.advice);
        }
        assert_eq!(layers[4].advice, None);
    }
}
