use std::io::Cursor;

use ndarray::{Array1, ArrayD, arr0, arr1, arr2};
use ndarray_npy::{NpzWriter, WriteNpyExt};
use proptest::prelude::*;

use super::*;

/// A model input called `input` of shape `[1, 2]`.
fn pair() -> Vec<Port> {
    vec![port("input", &[1, 2])]
}

fn port(name: &str, shape: &[usize]) -> Port {
    Port { name: name.to_owned(), shape: shape.to_vec() }
}

fn npz(write: impl FnOnce(&mut NpzWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut archive = NpzWriter::new_compressed(Cursor::new(Vec::new()));
    write(&mut archive);
    archive.finish().unwrap().into_inner()
}

fn npy(array: &impl WriteNpyExt) -> Vec<u8> {
    let mut bytes = Vec::new();
    array.write_npy(&mut bytes).unwrap();
    bytes
}

/// A `.npy` file with a header of our own making.
fn npy_by_hand(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16 + 1).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.push(b'\n');
    bytes.extend(data);
    bytes
}

fn header(descr: &str, fortran: bool, shape: &str) -> String {
    let order = if fortran { "True" } else { "False" };
    format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}")
}

fn read(bytes: Vec<u8>, inputs: &[Port]) -> Result<Dataset, DataError> {
    Dataset::from_bytes(bytes, "set.npz", inputs)
}

fn problem(bytes: Vec<u8>, inputs: &[Port]) -> Problem {
    read(bytes, inputs).unwrap_err().problem
}

#[test]
fn samples_are_scaled_and_regain_their_batch() {
    let bytes = npz(|archive| {
        archive.add_array("x", &arr2(&[[1i16, 2], [-3, 4]])).unwrap();
        archive.add_array("x_scale", &arr0(0.5f32)).unwrap();
        archive.add_array("x_offset", &arr0(10i32)).unwrap();
        archive.add_array("y", &arr1(&[7i64, 8])).unwrap();
        archive.add_array("group", &arr1(&[1u8, 1])).unwrap();
        archive.add_array("ref", &arr2(&[[1.0f32], [2.0]])).unwrap();
        archive.add_array("ref_1", &arr1(&[3.0f64, 4.0])).unwrap();
    });
    let data = read(bytes, &pair()).unwrap();
    assert_eq!(data.len(), 2);
    assert_eq!(data.sample(1), [arr2(&[[8.5f32, 12.0]]).into_dyn()]);
    assert_eq!(data.labels(), Some(&[7, 8][..]));
    assert_eq!(data.groups(), Some(&[1, 1][..]));
    assert_eq!(data.references()[1], arr1(&[3.0f32, 4.0]).into_dyn());
    assert!(!data.holds_integers());
}

#[test]
fn several_inputs_go_by_their_names() {
    let inputs = [port("b", &[1, 1]), port("a:0", &[3])];
    let bytes = npz(|archive| {
        archive.add_array("a:0", &arr2(&[[1u8, 2, 3], [4, 5, 6]])).unwrap();
        archive.add_array("a:0_scale", &arr1(&[2.0f32])).unwrap();
        archive.add_array("b", &arr2(&[[true], [false]])).unwrap();
    });
    let data = read(bytes, &inputs).unwrap();
    let expected = [arr2(&[[0.0f32]]).into_dyn(), arr1(&[8.0f32, 10.0, 12.0]).into_dyn()];
    assert_eq!(data.sample(1), expected);
}

#[test]
fn a_lone_array_is_the_input() {
    let data = read(npy(&arr2(&[[1i8, 2]])), &pair()).unwrap();
    assert_eq!((data.len(), data.holds_integers()), (1, true));
    assert_eq!(data.sha256().len(), 64);
    let named = npz(|archive| archive.add_array("input", &arr2(&[[1.0f32, 2.0]])).unwrap());
    assert_eq!(read(named, &pair()).unwrap().sample(0), data.sample(0));
}

#[test]
fn every_element_type_is_read() {
    /// Both values of the input, from elements of one type.
    fn values(descr: &str, data: &[u8]) -> Vec<f32> {
        let bytes = npy_by_hand(&header(descr, false, "(1, 2)"), data);
        let sample = read(bytes, &pair()).unwrap().sample(0);
        sample[0].iter().copied().collect()
    }
    assert_eq!(values("|b1", &[0, 1]), [0.0, 1.0]);
    assert_eq!(values("|u1", &[0, 255]), [0.0, 255.0]);
    assert_eq!(values("|i1", &[1, 255]), [1.0, -1.0]);
    assert_eq!(values("<u2", &[1, 2, 255, 255]), [513.0, 65535.0]);
    assert_eq!(values(">i2", &[1, 2, 255, 255]), [258.0, -1.0]);
    assert_eq!(values("<f2", &[0x00, 0x3c, 0x00, 0xc0]), [1.0, -2.0]);
    assert_eq!(values(">f2", &[0x3c, 0x00, 0xc0, 0x00]), [1.0, -2.0]);
    let wide = |le: &[&[u8]]| le.concat();
    assert_eq!(values("<i4", &wide(&[&(-5i32).to_le_bytes(), &7i32.to_le_bytes()])), [-5.0, 7.0]);
    assert_eq!(values("<u4", &wide(&[&5u32.to_le_bytes(), &7u32.to_le_bytes()])), [5.0, 7.0]);
    assert_eq!(values("<i8", &wide(&[&(-5i64).to_le_bytes(), &7i64.to_le_bytes()])), [-5.0, 7.0]);
    assert_eq!(values(">u8", &wide(&[&5u64.to_be_bytes(), &7u64.to_be_bytes()])), [5.0, 7.0]);
    assert_eq!(values("<f4", &wide(&[&0.5f32.to_le_bytes(), &7f32.to_le_bytes()])), [0.5, 7.0]);
    assert_eq!(values("<f8", &wide(&[&0.5f64.to_le_bytes(), &7f64.to_le_bytes()])), [0.5, 7.0]);
}

#[test]
fn column_major_arrays_are_turned() {
    let bytes = npy_by_hand(&header("|u1", true, "(2, 2)"), &[1, 2, 3, 4]);
    let data = read(bytes, &pair()).unwrap();
    assert_eq!(data.sample(0), [arr2(&[[1.0f32, 3.0]]).into_dyn()]);
}

#[test]
fn a_wrong_shape_names_both() {
    let error = read(npy(&arr2(&[[1i8, 2, 3]])), &pair()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("set.npz: array `x` has shape [1, 3], the model needs [N, ..] with [2]"),
        "{text}"
    );
    assert!(matches!(problem(npy(&arr0(1i8)), &pair()), Problem::Shape { .. }));
}

#[test]
fn an_empty_set_is_refused() {
    assert!(matches!(problem(npy(&ArrayD::<f32>::zeros(vec![0, 2])), &pair()), Problem::Empty));
}

#[test]
fn missing_arrays_are_listed_with_what_is_there() {
    let bytes = npz(|archive| archive.add_array("images", &arr2(&[[1i8, 2]])).unwrap());
    let text = read(bytes, &pair()).unwrap_err().to_string();
    assert!(text.contains("no array `x`, `input`, but `images`"), "{text}");
    let two = [port("a", &[1, 2]), port("b", &[1, 2])];
    assert!(matches!(problem(npy(&arr2(&[[1i8, 2]])), &two), Problem::Missing { .. }));
}

#[test]
fn numbers_of_samples_must_agree() {
    for name in ["y", "group", "ref", "ref_1"] {
        let bytes = npz(|archive| {
            archive.add_array("x", &arr2(&[[1i8, 2], [3, 4]])).unwrap();
            archive.add_array(name, &arr1(&[1i64])).unwrap();
            if name == "ref_1" {
                archive.add_array("ref", &arr1(&[1.0f32, 2.0])).unwrap();
            }
        });
        let found = problem(bytes, &pair());
        let Problem::Samples { array, expected: 2, found: 1 } = found else {
            panic!("{name}: {found:?}");
        };
        assert_eq!(array, name);
    }
}

#[test]
fn values_that_are_no_numbers_are_located() {
    let bytes = npy(&arr2(&[[1.0f32, 2.0], [f32::NAN, 0.0]]));
    assert!(matches!(problem(bytes, &pair()), Problem::NotFinite { sample: 1, .. }));
    let bytes = npz(|archive| {
        archive.add_array("x", &arr2(&[[1i8, 2]])).unwrap();
        archive.add_array("y", &arr1(&[0.5f32])).unwrap();
    });
    assert!(matches!(problem(bytes, &pair()), Problem::NotInteger { sample: 0, .. }));
    let bytes = npz(|archive| {
        archive.add_array("x", &arr2(&[[1i8, 2]])).unwrap();
        archive.add_array("x_scale", &arr1(&[1.0f32, 2.0])).unwrap();
    });
    assert!(matches!(problem(bytes, &pair()), Problem::NotScalar { .. }));
}

#[test]
fn other_files_are_refused() {
    assert!(matches!(problem(b"hello".to_vec(), &pair()), Problem::NotNumpy));
    assert!(matches!(problem(Vec::new(), &pair()), Problem::NotNumpy));
    assert!(matches!(problem(b"PK\x03\x04".to_vec(), &pair()), Problem::Archive(_)));
    let error = Dataset::load(Path::new("no such file.npz"), &pair()).unwrap_err();
    assert!(matches!(error.problem, Problem::Read(_)));
}

#[test]
fn headers_are_not_believed() {
    let huge = npy_by_hand(&header("<f4", false, "(4611686018427387905, 4)"), &[0; 4]);
    assert!(matches!(problem(huge, &pair()), Problem::Length { .. }));
    let absent = npy_by_hand(&header("|u1", false, "(1000000000000, 2)"), &[0; 4]);
    assert!(matches!(problem(absent, &pair()), Problem::Length { .. }));
    let complex = npy_by_hand(&header("<c8", false, "(1, 2)"), &[0; 16]);
    assert!(matches!(problem(complex, &pair()), Problem::ElementType { .. }));
    let text = npy_by_hand(&header("<U310", false, "()"), &[0; 1240]);
    assert!(matches!(problem(text, &pair()), Problem::ElementType { .. }));
    let mut long = b"\x93NUMPY\x02\x00".to_vec();
    long.extend(u32::MAX.to_le_bytes());
    assert!(matches!(problem(long, &pair()), Problem::Header { .. }));
    let nested = npy_by_hand(&"(".repeat(4000), &[]);
    assert!(matches!(problem(nested, &pair()), Problem::Header { .. }));
}

#[test]
fn every_truncation_is_an_error() {
    let archive = npz(|archive| archive.add_array("x", &arr2(&[[1i8, 2]])).unwrap());
    let array = npy(&arr2(&[[1i8, 2]]));
    for whole in [archive, array] {
        for len in 0..whole.len() {
            assert!(read(whole[..len].to_vec(), &pair()).is_err(), "{len} bytes");
        }
    }
}

proptest! {
    #[test]
    fn damaged_files_do_no_harm(at in 0usize..400, bit in 0u8..8, compressed: bool) {
        let x: Array1<i32> = (0..50).collect();
        let x = x.into_shape_with_order((25, 2)).unwrap();
        let mut bytes = if compressed {
            npz(|archive| archive.add_array("x", &x).unwrap())
        } else {
            npy(&x)
        };
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let _ = read(bytes, &pair());
    }
}
