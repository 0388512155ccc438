//! One array of any numeric type, read from the `.npy` format.

use half::f16;
use ndarray::{ArrayD, ShapeBuilder};
use ndarray_npy::npy::header::{Header, Layout};
use ndarray_npy::{ReadDataError, ReadableElement, WritableElement};

use super::error::Problem;

/// The first bytes of every `.npy` file.
pub const NPY_MAGIC: &[u8] = b"\x93NUMPY";

/// Longest header that is parsed; `NumPy` writes 128 bytes for arrays of numbers.
const MAX_HEADER_BYTES: usize = 4096;

/// An array whose elements are decoded on demand.
#[derive(Debug)]
pub struct Array {
    name: String,
    header: Header,
    /// `NumPy`'s name of the element type without the byte order: `i2`, `f4`, ..
    element: String,
    /// The elements, as they lie in the file; as many as the shape needs.
    data: Vec<u8>,
}

impl Array {
    /// Parses the header of a `.npy` file and checks its type and the length of its data.
    pub fn parse(name: &str, bytes: Vec<u8>) -> Result<Self, Problem> {
        let (header, data_start) = parse_header(&bytes)
            .map_err(|reason| Problem::Header { array: name.to_owned(), reason })?;
        let mut data = bytes;
        data.drain(..data_start);
        let array = Self {
            name: name.to_owned(),
            element: element_name(&header).unwrap_or_default(),
            header,
            data,
        };
        let element_bytes =
            element_bytes(&array.element).ok_or_else(|| array.wrong_element_type())?;
        let mut extents = array.shape().iter();
        let needed = extents.try_fold(element_bytes, |len, &extent| len.checked_mul(extent));
        if needed == Some(array.data.len()) {
            return Ok(array);
        }
        Err(Problem::Length {
            array: array.name,
            found: array.data.len(),
            shape: array.header.shape,
        })
    }

    /// Extent of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// Whether the elements are signed 8-bit integers.
    pub fn holds_i8(&self) -> bool {
        self.element == "i1"
    }

    /// `element · scale + offset`, computed in double precision.
    pub fn reals(&self, scale: f64, offset: f64) -> Result<ArrayD<f32>, Problem> {
        let reals = self.decode(|value| (value * scale + offset) as f32)?;
        let fortran = self.header.layout == Layout::Fortran;
        let array = ArrayD::from_shape_vec(self.shape().set_f(fortran), reals)
            .expect("as many elements as the shape needs");
        Ok(array.as_standard_layout().into_owned())
    }

    /// The elements in the order of the file.
    pub fn numbers(&self) -> Result<Vec<f64>, Problem> {
        self.decode(|value| value)
    }

    /// Applies `f` to every element, in the order of the file.
    fn decode<T>(&self, f: impl Fn(f64) -> T) -> Result<Vec<T>, Problem> {
        match self.element.as_str() {
            "b1" => self.decode_as::<bool, T>(|v| f(v.into())),
            "i1" => self.decode_as::<i8, T>(|v| f(v.into())),
            "u1" => self.decode_as::<u8, T>(|v| f(v.into())),
            "i2" => self.decode_as::<i16, T>(|v| f(v.into())),
            "u2" => self.decode_as::<u16, T>(|v| f(v.into())),
            "i4" => self.decode_as::<i32, T>(|v| f(v.into())),
            "u4" => self.decode_as::<u32, T>(|v| f(v.into())),
            "i8" => self.decode_as::<i64, T>(|v| f(v as f64)),
            "u8" => self.decode_as::<u64, T>(|v| f(v as f64)),
            "f2" => self.decode_halves(f),
            "f4" => self.decode_as::<f32, T>(|v| f(v.into())),
            "f8" => self.decode_as::<f64, T>(f),
            _ => Err(self.wrong_element_type()),
        }
    }

    fn decode_as<E: ReadableElement, T>(&self, f: impl Fn(E) -> T) -> Result<Vec<T>, Problem> {
        let elements = E::read_to_end_exact_vec(
            self.data.as_slice(),
            &self.header.type_descriptor,
            self.shape().iter().product(),
        );
        let elements = elements.map_err(|error| self.damaged(error))?;
        Ok(elements.into_iter().map(f).collect())
    }

    /// ndarray-npy does not know half precision: it reads the bits as little-endian integers.
    fn decode_halves<T>(&self, f: impl Fn(f64) -> T) -> Result<Vec<T>, Problem> {
        let bits = u16::read_to_end_exact_vec(
            self.data.as_slice(),
            &u16::type_descriptor(),
            self.shape().iter().product(),
        );
        let bits = bits.map_err(|error| self.damaged(error))?;
        let big_endian = self.header.type_descriptor.to_string().contains('>');
        let half = |bits: u16| f16::from_bits(if big_endian { bits.swap_bytes() } else { bits });
        Ok(bits.into_iter().map(|bits| f(half(bits).into())).collect())
    }

    fn damaged(&self, error: ReadDataError) -> Problem {
        Problem::Elements { array: self.name.clone(), source: error.into() }
    }

    fn wrong_element_type(&self) -> Problem {
        Problem::ElementType {
            array: self.name.clone(),
            found: self.header.type_descriptor.to_string(),
        }
    }
}

/// The header and where the data starts.
fn parse_header(bytes: &[u8]) -> Result<(Header, usize), String> {
    // Magic, version and, from version 2 on, four instead of two bytes of header length.
    let stated = match bytes.get(NPY_MAGIC.len()..NPY_MAGIC.len() + 6) {
        Some(&[1, _, a, b, ..]) => u32::from_le_bytes([a, b, 0, 0]),
        Some(&[_, _, a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
        _ => return Err("truncated".to_owned()),
    };
    if stated as usize > MAX_HEADER_BYTES {
        return Err(format!("{stated} bytes long, at most {MAX_HEADER_BYTES} are allowed"));
    }
    let mut rest = bytes;
    let header = Header::from_reader(&mut rest).map_err(|error| error.to_string())?;
    Ok((header, bytes.len() - rest.len()))
}

/// `i2` for `'<i2'`: `NumPy`'s code of a type without the byte order.
fn element_name(header: &Header) -> Option<String> {
    let code = header.type_descriptor.as_string()?;
    Some(code.trim_start_matches(['<', '>', '|', '=']).to_owned())
}

/// Bytes of one element: what stands behind the letter of its kind.
fn element_bytes(element: &str) -> Option<usize> {
    let digits = element.strip_prefix(['b', 'i', 'u', 'f'])?;
    digits.parse().ok().filter(|bytes| [1, 2, 4, 8].contains(bytes))
}
