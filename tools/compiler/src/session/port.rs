//! Inputs and outputs as the ONNX model knows them.

use fixie::{Dtype, Image, Port};
use ndarray::{ArrayD, IxDyn};
use serde::Serialize;

use super::SessionError;
use crate::metadata::Metadata;

/// An input or output of a network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PortInfo {
    /// The ONNX name; `input_0`, `output_1` .. if the image was stripped of names.
    pub name: String,
    /// ONNX shape, the batch of 1 included.
    pub shape: Vec<usize>,
    /// The ONNX axes in the order in which they lie in memory, slowest first.
    pub memory_order: Vec<usize>,
    /// Bits of an element.
    pub bits: usize,
    /// Real value of one step.
    pub scale: f32,
    /// The integer that stands for zero.
    pub zero_point: i32,
}

/// The inputs and outputs of a checked image.
pub fn describe(image: &Image<'_>, metadata: Option<&Metadata>) -> (Vec<PortInfo>, Vec<PortInfo>) {
    let inputs = (0..image.input_count()).filter_map(|index| image.input(index));
    let outputs = (0..image.output_count()).filter_map(|index| image.output(index));
    let name = |names: Option<&Vec<String>>, kind: &str, index: usize| {
        let name = names.and_then(|names| names.get(index)).cloned();
        name.unwrap_or_else(|| format!("{kind}_{index}"))
    };
    (
        inputs
            .enumerate()
            .map(|(i, port)| PortInfo::new(name(metadata.map(|m| &m.inputs), "input", i), &port))
            .collect(),
        outputs
            .enumerate()
            .map(|(i, port)| PortInfo::new(name(metadata.map(|m| &m.outputs), "output", i), &port))
            .collect(),
    )
}

impl PortInfo {
    fn new(name: String, port: &Port) -> Self {
        let rank = usize::from(port.rank).min(port.dims.len());
        Self {
            name,
            shape: port.dims[..rank].iter().map(|&extent| extent as usize).collect(),
            memory_order: port.order[..rank].iter().map(|&axis| axis.into()).collect(),
            bits: 8 * Dtype::from_u8(port.dtype).map_or(1, Dtype::size_bytes),
            scale: port.scale,
            zero_point: port.zero_point,
        }
    }

    /// The elements of an array in ONNX layout, in the order of the device's memory.
    pub(super) fn to_memory<T: Copy>(&self, values: &ArrayD<T>) -> Result<Vec<T>, SessionError> {
        if values.shape() != self.shape {
            return Err(SessionError::Shape {
                input: self.name.clone(),
                expected: self.shape.clone(),
                found: values.shape().to_vec(),
            });
        }
        let permuted = values.view().permuted_axes(IxDyn(&self.memory_order));
        Ok(permuted.as_standard_layout().into_owned().into_raw_vec_and_offset().0)
    }

    /// The array in ONNX layout of elements in the order of the device's memory.
    ///
    /// # Panics
    ///
    /// If there are not as many as the shape needs, which binding made sure of.
    pub(super) fn to_onnx_layout<T: Clone>(&self, elements: Vec<T>) -> ArrayD<T> {
        from_memory(elements, &self.shape, &self.memory_order)
            .expect("the engine checked order and number of elements")
    }
}

/// The array in ONNX layout, of shape `dims`, of elements whose axes lie in memory in `order`;
/// `None` if `order` is no permutation of the axes or there are not as many elements.
pub fn from_memory<T: Clone>(
    elements: Vec<T>,
    dims: &[usize],
    order: &[usize],
) -> Option<ArrayD<T>> {
    let mut onnx_order = vec![usize::MAX; dims.len()];
    for (place, &axis) in order.iter().enumerate() {
        *onnx_order.get_mut(axis)? = place;
    }
    if order.len() != dims.len() || onnx_order.contains(&usize::MAX) {
        return None;
    }
    let extents: Vec<_> = order.iter().map(|&axis| dims[axis]).collect();
    let stored = ArrayD::from_shape_vec(IxDyn(&extents), elements).ok()?;
    Some(stored.permuted_axes(IxDyn(&onnx_order)).as_standard_layout().into_owned())
}

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::*;

    fn port(shape: &[usize], memory_order: &[usize]) -> PortInfo {
        PortInfo {
            name: "x".to_owned(),
            shape: shape.to_vec(),
            memory_order: memory_order.to_vec(),
            bits: 8,
            scale: 1.0,
            zero_point: 0,
        }
    }

    #[test]
    fn axes_are_turned_there_and_back() {
        let nchw = port(&[1, 2, 3, 4], &[0, 2, 3, 1]);
        let values = ArrayD::from_shape_fn(IxDyn(&[1, 2, 3, 4]), |i| 100 * i[1] + 10 * i[2] + i[3]);
        let memory = nchw.to_memory(&values).unwrap();
        assert_eq!(memory[..5], [0, 100, 1, 101, 2], "channels vary fastest");
        assert_eq!(nchw.to_onnx_layout(memory), values);
    }

    #[test]
    fn an_order_must_be_a_permutation() {
        let turned = from_memory(vec![0, 1, 2, 3, 4, 5], &[2, 3], &[1, 0]).unwrap();
        assert_eq!(turned, arr2(&[[0, 2, 4], [1, 3, 5]]).into_dyn());
        for order in [&[0, 0][..], &[0, 2], &[0], &[0, 1, 1]] {
            assert_eq!(from_memory(vec![0; 6], &[2, 3], order), None, "{order:?}");
        }
        assert_eq!(from_memory(vec![0; 5], &[2, 3], &[0, 1]), None);
    }

    #[test]
    fn other_shapes_are_refused() {
        let error = port(&[1, 3], &[0, 1]).to_memory(&arr2(&[[1, 2]]).into_dyn()).unwrap_err();
        assert_eq!(error.to_string(), "input `x` has shape [1, 3], the array [1, 2]");
    }
}
