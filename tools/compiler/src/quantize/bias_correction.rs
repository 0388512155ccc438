//! Takes the mean error of a quantised layer out of its outputs.
//!
//! Rounded weights and inputs make each output channel wrong by some amount on average, which later
//! layers then see as a shift. Nagel et al. 2019 (arXiv 1906.04721, section 4.2 and its empirical
//! form) measure it and subtract it from the bias, layer by layer, with all earlier layers
//! quantised and corrected. A layer is linear up to its activation, so the means of its inputs say
//! the means of its outputs: `E[w · x] = w · E[x]`.

use ndarray::{ArrayD, Axis};

use super::replay::Moments;

/// The biases with which the quantised weights give the float graph's mean outputs.
///
/// `moments` has an entry for each channel group; axis 0 of the weights is the output channel.
pub(super) fn corrected(
    bias: &ArrayD<f32>,
    float: &ArrayD<f32>,
    quantised: &ArrayD<f32>,
    moments: &[Moments],
) -> ArrayD<f32> {
    let per_group = float.len_of(Axis(0)) / moments.len().max(1);
    let rows = float.axis_iter(Axis(0)).zip(quantised.axis_iter(Axis(0)));
    let mut bias = bias.clone();
    for (channel, (bias, (float, quantised))) in bias.iter_mut().zip(rows).enumerate() {
        let Moments { float_mean, mean, .. } = &moments[channel / per_group];
        let products = |row: ndarray::ArrayViewD<f32>, means: &ndarray::Array1<f64>| -> f64 {
            row.iter().zip(means).map(|(&w, mean)| f64::from(w) * mean).sum()
        };
        let error = products(quantised, mean) - products(float, float_mean);
        *bias = (f64::from(*bias) - error) as f32;
    }
    bias
}

#[cfg(test)]
mod tests {
    use ndarray::{arr1, arr2};

    use super::*;

    fn moments(float_mean: &[f64], mean: &[f64]) -> Moments {
        Moments { float_mean: arr1(float_mean), mean: arr1(mean), second: None, halves: None }
    }

    #[test]
    fn mean_outputs_are_the_float_ones() {
        let float = arr2(&[[1.0f32, 2.0], [-1.0, 0.5]]).into_dyn();
        let quantised = arr2(&[[1.1f32, 1.8], [-1.0, 0.5]]).into_dyn();
        let bias = arr1(&[0.5f32, 0.0]).into_dyn();
        let got = corrected(&bias, &float, &quantised, &[moments(&[2.0, 3.0], &[2.0, 4.0])]);
        // Row 0: 8.5 in floats, 9.4 + 0.5 without a correction. Row 1: −0.5 and 0.
        assert!((got[[0]] - (0.5 - 1.4)).abs() < 1e-6, "{got}");
        assert!((got[[1]] + 0.5).abs() < 1e-6, "{got}");
    }

    #[test]
    fn groups_have_their_own_inputs() {
        let float = arr2(&[[1.0f32], [1.0], [1.0], [1.0]]).into_dyn();
        let quantised = arr2(&[[2.0f32], [1.0], [2.0], [1.0]]).into_dyn();
        let bias = arr1(&[0.0f32; 4]).into_dyn();
        let groups = [moments(&[1.0], &[1.0]), moments(&[10.0], &[10.0])];
        let got = corrected(&bias, &float, &quantised, &groups);
        assert_eq!(got, arr1(&[-1.0f32, 0.0, -10.0, 0.0]).into_dyn());
    }
}
