//! Inputs and outputs: where the application's real numbers meet the network's integers.
//!
//! Only these edges use floats; the integer pass never does. An application that has quantised
//! data at hand uses the bytes as they are.

use fixie_format::table::{Dtype, Port};
use heapless::Vec;
use micromath::F32Ext;

use crate::error::PortError;

/// An input to fill.
#[derive(Debug)]
pub struct InputPort<'a> {
    port: Port,
    bytes: &'a mut [u8],
}

impl<'a> InputPort<'a> {
    /// Elements of an input that lie in `bytes`: for an application that quantises into a buffer of
    /// its own.
    pub fn new(port: Port, bytes: &'a mut [u8]) -> Self {
        Self { port, bytes }
    }

    /// Scale, zero point, shape and memory order.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// The raw elements: two's complement, in memory order.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes
    }

    /// Quantises real values, given in memory order, to the nearest step (halves away from zero);
    /// values out of range saturate, NaN becomes the zero point.
    ///
    /// # Errors
    ///
    /// [`PortError::Length`] unless there are as many values as elements, [`PortError::Dtype`]
    /// unless the elements are 8-bit.
    pub fn quantize(&mut self, values: &[f32]) -> Result<(), PortError> {
        check_i8(&self.port, self.bytes.len(), values.len())?;
        for (byte, &value) in self.bytes.iter_mut().zip(values) {
            *byte = quantize(value, &self.port) as u8;
        }
        Ok(())
    }
}

/// A row of an input to fill.
#[derive(Debug)]
pub struct InputRow<'a> {
    /// Index of the input.
    pub input: usize,
    /// Index of the row.
    pub index: usize,
    /// The row's elements.
    pub port: InputPort<'a>,
}

/// `clamp(round(value / scale) + zero_point)`.
fn quantize(value: f32, port: &Port) -> i8 {
    let steps = F32Ext::round(value / port.scale) as i32;
    steps.saturating_add(port.zero_point).clamp(i8::MIN.into(), i8::MAX.into()) as i8
}

/// An element of an output and its real value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Index in memory order: the class.
    pub class: usize,
    /// Real value.
    pub value: f32,
}

/// An output to read.
#[derive(Clone, Copy, Debug)]
pub struct OutputPort<'a> {
    port: Port,
    bytes: &'a [u8],
}

impl<'a> OutputPort<'a> {
    pub(crate) fn new(port: Port, bytes: &'a [u8]) -> Self {
        Self { port, bytes }
    }

    /// Scale, zero point, shape and memory order.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// The raw elements: two's complement, little-endian, in memory order.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The elements as integers.
    pub fn integers(&self) -> impl Iterator<Item = i32> + 'a {
        let size = Dtype::from_u8(self.port.dtype).map_or(1, Dtype::size_bytes);
        self.bytes.chunks_exact(size).map(|element| match *element {
            [a] => i32::from(a as i8),
            [a, b] => i32::from(i16::from_le_bytes([a, b])),
            [a, b, c, d] => i32::from_le_bytes([a, b, c, d]),
            _ => 0,
        })
    }

    /// The elements as real numbers.
    pub fn reals(&self) -> impl Iterator<Item = f32> + 'a {
        let (scale, zero_point) = (self.port.scale, self.port.zero_point);
        self.integers().map(move |q| q.saturating_sub(zero_point) as f32 * scale)
    }

    /// Writes the real values, in memory order.
    ///
    /// # Errors
    ///
    /// [`PortError::Length`] unless `values` has room for exactly all elements.
    pub fn dequantize(&self, values: &mut [f32]) -> Result<(), PortError> {
        let (needed, given) = (self.integers().count(), values.len());
        if needed != given {
            return Err(PortError::Length { needed, given });
        }
        values.iter_mut().zip(self.reals()).for_each(|(value, real)| *value = real);
        Ok(())
    }

    /// The largest element; the first of equal ones.
    pub fn argmax(&self) -> Score {
        let [best] = self.top::<1>().into_array().unwrap_or([Score { class: 0, value: 0.0 }]);
        best
    }

    /// The `K` largest elements, largest first; of equal ones the first comes first.
    pub fn top<const K: usize>(&self) -> Vec<Score, K> {
        let mut best: Vec<Score, K> = Vec::new();
        for (class, value) in self.reals().enumerate() {
            let at = best.iter().take_while(|score| score.value >= value).count();
            if best.is_full() && at < K {
                best.pop();
            }
            // Full and smaller than all: not among the best.
            let _ = best.insert(at, Score { class, value });
        }
        best
    }
}

fn check_i8(port: &Port, needed: usize, given: usize) -> Result<(), PortError> {
    if port.dtype != Dtype::I8 as u8 {
        return Err(PortError::Dtype);
    }
    if needed == given { Ok(()) } else { Err(PortError::Length { needed, given }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(dtype: Dtype) -> Port {
        Port {
            tensor: 0,
            rank: 1,
            dtype: dtype as u8,
            scale: 0.5,
            zero_point: 3,
            dims: [4, 1, 1, 1, 1, 1],
            order: [0; 6],
            rows: 0,
        }
    }

    #[test]
    fn reals_become_the_nearest_integers() {
        let mut bytes = [0; 6];
        let mut input = InputPort::new(port(Dtype::I8), &mut bytes);
        input.quantize(&[0.0, 0.25, -0.25, 1e9, -1e9, f32::NAN]).unwrap();
        assert_eq!(bytes.map(|b| b as i8), [3, 4, 2, 127, -128, 3]);
    }

    #[test]
    fn wrong_lengths_and_types_are_refused() {
        let mut bytes = [0; 4];
        let mut input = InputPort::new(port(Dtype::I8), &mut bytes);
        assert_eq!(input.quantize(&[0.0]), Err(PortError::Length { needed: 4, given: 1 }));
        let mut input = InputPort::new(port(Dtype::I32), &mut bytes);
        assert_eq!(input.quantize(&[0.0]), Err(PortError::Dtype));
        let output = OutputPort::new(port(Dtype::I32), &[1, 0, 0, 0]);
        assert_eq!(
            output.dequantize(&mut [0.0; 4]),
            Err(PortError::Length { needed: 1, given: 4 })
        );
    }

    #[test]
    fn the_best_scores_come_in_order() {
        let bytes = [5u8, 9, 0xff, 9, 7];
        let output = OutputPort::new(port(Dtype::I8), &bytes);
        assert_eq!(output.argmax(), Score { class: 1, value: 3.0 });
        let classes: std::vec::Vec<_> = output.top::<3>().iter().map(|s| s.class).collect();
        assert_eq!(classes, [1, 3, 4]);
        assert_eq!(output.top::<9>().len(), 5);
        let mut reals = [0.0; 5];
        output.dequantize(&mut reals).unwrap();
        assert_eq!(reals, [1.0, 3.0, -2.0, 3.0, 2.0]);
    }

    #[test]
    fn wide_elements_are_read_whole() {
        let output = OutputPort::new(port(Dtype::I32), &[0x01, 0x02, 0, 0xff]);
        assert_eq!(output.integers().next(), Some(0xff00_0201_u32 as i32));
    }
}
