//! In which order the elements of a tensor lie in memory.

/// A dense arrangement: the tensor's elements seen as an array of shape `dims` (row-major ONNX
/// order), whose axes lie in memory in `order`, outermost first.
///
/// `dims` is the ONNX shape, except behind a reshape: there it is the shape before, so that a
/// flattened channels-last tensor still knows where each element came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Shape as an array in ONNX order; its product is the number of elements.
    pub dims: Vec<usize>,
    /// The axis of `dims` at each place in memory, outermost first.
    pub order: Vec<usize>,
}

impl Layout {
    /// The ONNX order itself.
    pub fn row_major(shape: &[usize]) -> Self {
        Self { dims: shape.to_vec(), order: (0..shape.len()).collect() }
    }

    /// Channels (axis 1) innermost: what convolutions and pools want.
    pub fn channels_last(shape: &[usize]) -> Self {
        let spatial = 2..shape.len().max(2);
        let order =
            (0..shape.len().min(1)).chain(spatial).chain((1..shape.len()).take(1)).collect();
        Self { dims: shape.to_vec(), order }
    }

    /// Elements between neighbours along each axis of `dims`.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![0; self.dims.len()];
        let mut next = 1;
        for &axis in self.order.iter().rev() {
            strides[axis] = next;
            next *= self.dims[axis];
        }
        strides
    }

    /// The axes longer than 1 in the order in which they lie in memory.
    fn significant(&self) -> impl Iterator<Item = usize> + '_ {
        self.order.iter().copied().filter(|&axis| self.dims[axis] != 1)
    }

    /// Whether memory order is ONNX order.
    pub fn is_row_major(&self) -> bool {
        self.significant().is_sorted()
    }

    /// Whether both arrange the same array in the same way.
    pub fn same_memory(&self, other: &Self) -> bool {
        self.dims == other.dims && self.significant().eq(other.significant())
    }

    /// Whether the axes of `dims` are the tensor's own.
    pub fn is_plain(&self, shape: &[usize]) -> bool {
        self.dims == shape
    }

    /// The layout after `Transpose { perm }`: the same memory under other axis names.
    #[must_use]
    pub fn transpose(&self, perm: &[usize]) -> Self {
        let dims = perm.iter().map(|&axis| self.dims[axis]).collect();
        let renamed = |&axis: &usize| perm.iter().position(|&p| p == axis).unwrap_or(axis);
        Self { dims, order: self.order.iter().map(renamed).collect() }
    }

    /// The layout after a reshape that keeps the memory as it is, in plain axes of `shape`, where
    /// there is one: the elements are in ONNX order, or only axes of length 1 come and go.
    pub fn reshape(&self, shape: &[usize]) -> Option<Self> {
        if self.is_row_major() {
            return Some(Self::row_major(shape));
        }
        let longer = |dims: &[usize]| -> Vec<usize> {
            (0..dims.len()).filter(|&axis| dims[axis] != 1).collect()
        };
        let (before, after) = (longer(&self.dims), longer(shape));
        let extents = |axes: &[usize], dims: &[usize]| -> Vec<usize> {
            axes.iter().map(|&axis| dims[axis]).collect()
        };
        if extents(&before, &self.dims) != extents(&after, shape) {
            return None;
        }
        let renamed = self
            .significant()
            .filter_map(|axis| before.iter().position(|&b| b == axis).map(|place| after[place]));
        let ones = (0..shape.len()).filter(|&axis| shape[axis] == 1);
        Some(Self { dims: shape.to_vec(), order: ones.chain(renamed).collect() })
    }

    /// For every place in memory, the ONNX index of the element that lies there.
    pub fn memory_to_onnx(&self) -> Vec<usize> {
        let row_major = Self::row_major(&self.dims).strides();
        let mut indices = vec![0];
        for &axis in &self.order {
            let (extent, stride) = (self.dims[axis], row_major[axis]);
            let step = |start: usize| (0..extent).map(move |i| start + i * stride);
            indices = indices.into_iter().flat_map(step).collect();
        }
        indices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transpose_renames_axes_and_moves_nothing() {
        let nhwc = Layout::row_major(&[1, 4, 5, 3]);
        let nchw = nhwc.transpose(&[0, 3, 1, 2]);
        assert_eq!(nchw, Layout::channels_last(&[1, 3, 4, 5]));
        assert_eq!(nchw.transpose(&[0, 2, 3, 1]), nhwc);
    }

    #[test]
    fn unit_axes_come_and_go() {
        let pooled = Layout::channels_last(&[1, 8, 1, 1]);
        assert_eq!(pooled.reshape(&[1, 8]), Some(Layout::row_major(&[1, 8])));
        let map = Layout::channels_last(&[1, 8, 4, 1]);
        let flat = map.reshape(&[8, 4]).unwrap();
        assert_eq!(flat.strides(), [1, 8]);
        assert_eq!(map.reshape(&[1, 32]), None, "channels-last is not ONNX order");
    }

    #[test]
    fn memory_places_know_their_onnx_index() {
        let layout = Layout::channels_last(&[1, 2, 1, 3]);
        // Memory holds (w, c); ONNX index is c · 3 + w.
        assert_eq!(layout.memory_to_onnx(), [0, 3, 1, 4, 2, 5]);
        assert_eq!(layout.strides()[1..], [1, 6, 2]);
    }

    #[test]
    fn low_ranks_have_a_channels_last_order() {
        assert_eq!(Layout::channels_last(&[1, 2, 3]).order, [0, 2, 1]);
        assert_eq!(Layout::channels_last(&[1, 2]).order, [0, 1]);
        assert_eq!(Layout::channels_last(&[4]).order, [0]);
    }
}
