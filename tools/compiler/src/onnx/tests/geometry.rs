//! Random convolutions and pools against tract.

use proptest::prelude::*;

use super::*;

/// Attributes of a window over one or two axes.
#[derive(Clone, Debug)]
struct Geometry {
    input: Vec<i64>,
    kernel: Vec<i64>,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    /// Before every axis, then behind.
    pads: Vec<i64>,
    auto_pad: &'static str,
}

impl Geometry {
    fn attributes(&self) -> Vec<AttributeProto> {
        let mut attributes = vec![
            ints("kernel_shape", &self.kernel),
            ints("strides", &self.strides),
            ints("dilations", &self.dilations),
            text("auto_pad", self.auto_pad),
        ];
        if self.auto_pad == "NOTSET" {
            attributes.push(ints("pads", &self.pads));
        }
        attributes
    }
}

fn geometry() -> impl Strategy<Value = Geometry> {
    let auto_pad = prop_oneof![
        4 => Just("NOTSET"),
        1 => Just("SAME_UPPER"),
        1 => Just("SAME_LOWER"),
        1 => Just("VALID"),
    ];
    (1usize..=2, auto_pad).prop_flat_map(|(axes, auto_pad)| {
        let each = move |range: std::ops::RangeInclusive<i64>| prop::collection::vec(range, axes);
        let pads = prop::collection::vec(0i64..=2, 2 * axes);
        (each(7..=11), each(1..=4), each(1..=3), each(1..=2), pads).prop_map(
            move |(input, kernel, strides, dilations, mut pads)| {
                // A pool's padding must be smaller than its kernel.
                let largest = kernel.iter().chain(&kernel).map(|extent| extent - 1);
                pads.iter_mut().zip(largest).for_each(|(pad, largest)| *pad = (*pad).min(largest));
                Geometry { input, kernel, strides, dilations, pads, auto_pad }
            },
        )
    })
}

/// Imports the model, executes both, compares.
fn compare(builder: &Builder) -> Result<(), TestCaseError> {
    let model = builder.model().unwrap();
    let graph = model.graph().unwrap();
    graph.validate().unwrap();
    let inputs: Vec<_> = model.inputs().iter().map(|port| noise(&port.shape, 3)).collect();
    let expected = &model.reference().unwrap().run(&inputs).unwrap()[0];
    let found = evaluate(&graph, &inputs);
    prop_assert_eq!(found.shape(), expected.shape());
    prop_assert!(difference(&found, expected) < 1e-5, "{} against {}", found, expected);
    Ok(())
}

fn shape(channels: i64, input: &[i64]) -> Vec<i64> {
    [1, channels].iter().chain(input).copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn convolutions(
        geometry in geometry(),
        groups in 1i64..=3,
        inputs in 1i64..=2,
        outputs in 1i64..=2,
        bias in any::<bool>(),
    ) {
        let weights_shape: Vec<i64> =
            [groups * outputs, inputs].iter().chain(&geometry.kernel).copied().collect();
        let extents: Vec<usize> = weights_shape.iter().map(|&extent| extent as usize).collect();
        let weights: Vec<f32> = noise(&extents, 1).iter().copied().collect();
        let biases: Vec<f32> = noise(&extents[..1], 2).iter().copied().collect();
        let mut attributes = geometry.attributes();
        attributes.push(int("group", groups));
        let operands = if bias { &["x", "w", "b"][..] } else { &["x", "w"][..] };
        let builder = Builder::new(17)
            .input("x", &shape(groups * inputs, &geometry.input))
            .floats("w", &weights_shape, &weights)
            .floats("b", &[groups * outputs], &biases)
            .node_with("Conv", operands, &["y"], attributes)
            .output("y");
        compare(&builder)?;
    }

    #[test]
    fn largest_values(geometry in geometry(), ceil in any::<bool>()) {
        let mut attributes = geometry.attributes();
        attributes.push(int("ceil_mode", ceil.into()));
        let builder = Builder::new(17)
            .input("x", &shape(2, &geometry.input))
            .node_with("MaxPool", &["x"], &["y"], attributes)
            .output("y");
        compare(&builder)?;
    }

    #[test]
    fn means(geometry in geometry(), ceil in any::<bool>(), count_padding in any::<bool>()) {
        let mut attributes = geometry.attributes();
        attributes.push(int("ceil_mode", ceil.into()));
        attributes.push(int("count_include_pad", count_padding.into()));
        let builder = Builder::new(19)
            .input("x", &shape(2, &geometry.input))
            .node_with("AveragePool", &["x"], &["y"], attributes)
            .output("y");
        compare(&builder)?;
    }
}
