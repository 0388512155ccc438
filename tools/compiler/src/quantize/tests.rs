//! Whole graphs through [`quantize`].

use ndarray::{ArrayD, IxDyn, arr1, arr2};

use super::*;
use crate::calibrate::Range;
use crate::ir::{Constant, PadMode, Tensor, TensorId, Unary};

/// A graph under construction.
#[derive(Default)]
struct Net {
    graph: Graph,
}

impl Net {
    fn input(&mut self, name: &str, shape: &[usize]) -> TensorId {
        let id = self.graph.add_activation(name, shape);
        self.graph.inputs.push(id);
        id
    }

    fn node(&mut self, name: &str, op: Op, inputs: &[TensorId], shape: &[usize]) -> TensorId {
        let output = self.graph.add_activation(name, shape);
        let (name, inputs) = (name.into(), inputs.to_vec());
        self.graph.nodes.push(Node { name, op, inputs, output, clamp: None });
        output
    }

    fn give(&mut self, id: TensorId, scale: f32, zero_point: i32) {
        self.graph.tensor_mut(id).quant = Some(Quant::per_tensor(scale, zero_point));
    }

    fn quantized(
        mut self,
        output: TensorId,
        ranges: &[(&str, f32, f32)],
    ) -> Result<Graph, QuantizeError> {
        self.graph.outputs.push(output);
        let ranges = ranges.iter().map(|&(name, min, max)| (name, Range::new(min, max)));
        let ranges: Ranges = ranges.collect();
        quantize(&mut self.graph, Some(&ranges), None, &QuantizeOptions::default())?;
        self.graph.validate().unwrap();
        Ok(self.graph)
    }
}

fn quant_of(graph: &Graph, name: &str) -> Quant {
    let tensor = graph.tensors.iter().find(|tensor| tensor.name == name);
    tensor.unwrap_or_else(|| panic!("no tensor {name}")).quant.clone().unwrap()
}

fn integers(graph: &Graph, node: usize, input: usize) -> (Vec<i32>, Quant) {
    let tensor = graph.tensor(graph.nodes[node].inputs[input]);
    let Some(Constant::Integer(values)) = &tensor.constant else { panic!("not integers") };
    (values.iter().copied().collect(), tensor.quant.clone().unwrap())
}

fn names(graph: &Graph) -> Vec<&str> {
    graph.nodes.iter().map(|node| node.name.as_str()).collect()
}

const AFFINE: [(f32, f32); 5] = [(0.0, 6.0), (-1.0, 1.0), (-5.0, 0.0), (-0.1, 100.0), (0.0, 0.0)];

#[test]
fn ranges_become_scales_in_which_zero_is_exact() {
    for (min, max) in AFFINE {
        let quant = affine(Range::new(min, max));
        let (low, high) = (quant.dequantize(-128, 0), quant.dequantize(127, 0));
        let half = f64::from(quant.scale()) / 2.0 + 1e-6;
        assert_eq!(quant.quantize(0.0, 0), quant.zero_point);
        assert!((-128..=127).contains(&quant.zero_point));
        if max > min {
            assert!((low - f64::from(min)).abs() <= half, "{min}..{max}: {low}");
            assert!((high - f64::from(max)).abs() <= half, "{min}..{max}: {high}");
        }
    }
}

#[test]
fn weights_have_a_scale_per_channel_and_biases_the_product() {
    let mut net = Net::default();
    let x = net.input("x", &[1, 2]);
    let w = net.graph.add_constant("w", arr2(&[[1.0f32, -2.0], [0.5, 0.25]]).into_dyn());
    let b = net.graph.add_constant("b", arr1(&[0.3f32, -0.7]).into_dyn());
    let y = net.node("y", Op::Dense, &[x, w, b], &[1, 2]);
    let graph = net.quantized(y, &[("x", 0.0, 2.55), ("y", -3.0, 3.0)]).unwrap();

    let (weights, quant) = integers(&graph, 0, 1);
    assert_eq!(weights, [64, -127, 127, 64]);
    assert_eq!((quant.axis, quant.zero_point, quant.bits), (Some(0), 0, 8));
    assert!((quant.scales[0] - 2.0 / 127.0).abs() < 1e-8);
    let (biases, quant) = integers(&graph, 0, 2);
    for (n, (q, real)) in biases.iter().zip([0.3, -0.7]).enumerate() {
        let product = 0.01 * [2.0, 0.5][n] / 127.0;
        assert!((f64::from(quant.scale_at(n)) - product).abs() < 1e-9);
        assert!((f64::from(*q) * product - real).abs() <= product / 2.0 + 1e-6);
    }
    assert_eq!(quant.bits, 32);
}

#[test]
fn least_error_weights_are_not_worse() {
    // One weight far from the others.
    let row: Vec<f32> = (0..400).map(|i| (i as f32 * 0.7).sin() * 0.1).chain([0.11, 1.0]).collect();
    let error = |weights| {
        let mut net = Net::default();
        let x = net.input("x", &[1, 402]);
        let values = ArrayD::from_shape_vec(IxDyn(&[1, 402]), row.clone()).unwrap();
        let w = net.graph.add_constant("w", values);
        let y = net.node("y", Op::Dense, &[x, w], &[1, 1]);
        net.graph.outputs.push(y);
        let ranges = [("x", Range::new(0.0, 1.0)), ("y", Range::new(-9.0, 9.0))];
        let ranges: Ranges = ranges.into_iter().collect();
        let options = QuantizeOptions { weights, ..QuantizeOptions::default() };
        quantize(&mut net.graph, Some(&ranges), None, &options).unwrap();
        let rounded = net.graph.tensor(net.graph.nodes[0].inputs[1]).real_values().unwrap();
        let squares = rounded.iter().zip(&row).map(|(a, b)| f64::from(a - b).powi(2));
        squares.sum::<f64>()
    };
    assert!(error(WeightScale::Mse) <= error(WeightScale::MaxAbs));
}

#[test]
fn scales_of_weights_lead_to_short_multipliers() {
    let mut net = Net::default();
    let x = net.input("x", &[1, 3]);
    let rows = arr2(&[[1.0f32, -2.0, 0.3], [0.5, 0.25, 0.0], [1e-7, 0.0, 0.0]]);
    let w = net.graph.add_constant("w", rows.clone().into_dyn());
    let y = net.node("y", Op::Dense, &[x, w], &[1, 3]);
    net.graph.outputs.push(y);
    let ranges = [("x", Range::new(0.0, 2.55)), ("y", Range::new(-3.0, 3.1))];
    let ranges: Ranges = ranges.into_iter().collect();
    let multipliers = Multipliers::Short;
    let options = QuantizeOptions { multipliers, ..QuantizeOptions::default() };
    let mut graph = net.graph;
    quantize(&mut graph, Some(&ranges), None, &options).unwrap();

    let (weights, quant) = integers(&graph, 0, 1);
    let steps = ["x", "y"].map(|name| f64::from(quant_of(&graph, name).scale()));
    for (n, row) in rows.outer_iter().enumerate() {
        let scale = f64::from(quant.scale_at(n));
        let requant = requant::multipliers(&[steps[0] * scale / steps[1]], 1).unwrap();
        assert_eq!(requant.multipliers[0] & 0xffff, 0, "row {n}");
        let largest = row.iter().fold(0.0, |most, w| f64::from(w.abs()).max(most));
        let finest = largest / 127.0;
        assert!(n == 2 || (finest..1.02 * finest).contains(&scale), "row {n}: {scale}");
        for (i, &w) in row.iter().enumerate() {
            let rounded = f64::from(weights[3 * n + i]) * scale;
            assert!(n == 2 || (rounded - f64::from(w)).abs() <= scale / 2.0, "row {n}");
        }
    }
}

#[test]
fn short_multipliers_are_for_outputs_of_few_taps() {
    let chosen = |taps: usize| {
        let mut net = Net::default();
        let x = net.input("x", &[1, taps]);
        let w = net.graph.add_constant("w", ArrayD::ones(IxDyn(&[5, taps])));
        net.node("y", Op::Dense, &[x, w], &[1, 5]);
        Multipliers::Auto.for_graph(&net.graph)
    };
    assert_eq!(chosen(63), Multipliers::Short);
    assert_eq!(chosen(64), Multipliers::Any);
}

#[test]
fn channels_without_effect_keep_only_their_bias() {
    let mut net = Net::default();
    let x = net.input("x", &[1, 2]);
    let w =
        net.graph.add_constant("w", arr2(&[[1.0f32, -2.0], [1e-7, 1e-6], [0.0, 0.0]]).into_dyn());
    let b = net.graph.add_constant("b", arr1(&[0.0f32, 1.2345, -3000.0]).into_dyn());
    let y = net.node("y", Op::Dense, &[x, w, b], &[1, 3]);
    let graph = net.quantized(y, &[("x", 0.0, 2.55), ("y", -3.0, 3.0)]).unwrap();

    let (weights, _) = integers(&graph, 0, 1);
    assert_eq!(weights[2..], [0; 4]);
    let (biases, quant) = integers(&graph, 0, 2);
    let real = f64::from(biases[1]) * f64::from(quant.scale_at(1));
    assert!((real - 1.2345).abs() < 1e-3 * f64::from(quant_of(&graph, "y").scale()));
    assert!(biases.iter().all(|b| b.abs() <= 1 << 22), "{biases:?}");
}

#[test]
fn what_only_moves_shares_the_widest_range() {
    let mut net = Net::default();
    let x = net.input("x", &[1, 2]);
    let y = net.input("y", &[1, 2]);
    let joined = net.node("joined", Op::Concat { axis: 1 }, &[x, y], &[1, 4]);
    let pad = Op::Pad { before: vec![0, 1], after: vec![0, 0], mode: PadMode::Constant(-7.0) };
    let padded = net.node("padded", pad, &[joined], &[1, 5]);
    let shaped = net.node("shaped", Op::Reshape, &[padded], &[5, 1]);
    let graph = net.quantized(shaped, &[("x", -1.0, 2.0), ("y", -0.5, 4.0)]).unwrap();
    let expected = affine(Range::new(-7.0, 4.0));
    for name in ["x", "y", "joined", "padded", "shaped"] {
        assert_eq!(quant_of(&graph, name), expected, "{name}");
    }
    assert_eq!(names(&graph), ["joined", "padded", "shaped"]);
}

#[test]
fn functions_have_their_customary_scales() {
    let mut net = Net::default();
    let x = net.input("x", &[1, 4]);
    let s = net.node("sigmoid", Op::Unary(Unary::Sigmoid), &[x], &[1, 4]);
    let t = net.node("tanh", Op::Unary(Unary::Tanh), &[s], &[1, 4]);
    let r = net.node("shaped", Op::Reshape, &[t], &[4, 1]);
    let r = net.node("softmax", Op::Softmax { axis: 0 }, &[r], &[4, 1]);
    let measured = [("x", -3.0, 3.0), ("sigmoid", 0.1, 0.9), ("softmax", 0.1, 0.9)];
    let graph = net.quantized(r, &measured).unwrap();
    assert_eq!(quant_of(&graph, "sigmoid"), Quant::per_tensor(1.0 / 256.0, -128));
    assert_eq!(quant_of(&graph, "tanh"), Quant::per_tensor(1.0 / 128.0, 0));
    assert_eq!(quant_of(&graph, "shaped"), quant_of(&graph, "tanh"));
    assert_eq!(quant_of(&graph, "softmax"), Quant::per_tensor(1.0 / 256.0, -128));
}

#[test]
fn functions_that_are_joined_give_up_their_customary_scale() {
    let mut net = Net::default();
    let x = net.input("x", &[1, 4]);
    let s = net.node("sigmoid", Op::Unary(Unary::Sigmoid), &[x], &[1, 4]);
    let j = net.node("joined", Op::Concat { axis: 1 }, &[s, x], &[1, 8]);
    let graph = net.quantized(j, &[("x", -3.0, 3.0)]).unwrap();
    assert_eq!(quant_of(&graph, "sigmoid"), affine(Range::new(-3.0, 3.0)));
}

#[test]
fn clamps_narrow_ranges() {
    let mut net = Net::default();
    let x = net.input("x", &[1, 4]);
    let y = net.node("y", Op::Add, &[x, x], &[1, 4]);
    net.graph.nodes[0].clamp = Some((0.0, 6.0));
    let graph = net.quantized(y, &[("x", -3.0, 3.0), ("y", -6.0, 9.0)]).unwrap();
    assert_eq!(quant_of(&graph, "y"), affine(Range::new(0.0, 6.0)));
}

#[test]
fn given_scales_are_kept_and_carried_on() {
    let mut net = Net::default();
    let x = net.input("x", &[1, 4]);
    net.give(x, 0.5, 3);
    let r = net.node("shaped", Op::Reshape, &[x], &[4, 1]);
    let t = net.node("relu", Op::Unary(Unary::Relu), &[r], &[4, 1]);
    let u = net.node("reshaped", Op::Reshape, &[t], &[1, 4]);
    net.give(u, 0.25, -128);
    net.graph.outputs.push(u);
    quantize(&mut net.graph, None, None, &QuantizeOptions::default()).unwrap();
    assert_eq!(quant_of(&net.graph, "shaped"), Quant::per_tensor(0.5, 3));
    assert_eq!(quant_of(&net.graph, "relu"), Quant::per_tensor(0.25, -128));
}

#[test]
fn where_given_scales_meet_values_are_converted() {
    let mut net = Net::default();
    let x = net.input("x", &[1, 4]);
    let y = net.input("y", &[1, 4]);
    let j = net.node("joined", Op::Concat { axis: 1 }, &[x, y], &[1, 8]);
    net.give(x, 0.5, 3);
    net.give(y, 0.25, 3);
    net.give(j, 0.5, 3);
    let graph = net.quantized(j, &[]).unwrap();
    assert_eq!(names(&graph), ["y/converted", "joined"]);
    assert_eq!(graph.nodes[0].op, Op::Unary(Unary::Identity));
    assert_eq!(quant_of(&graph, "y/converted"), Quant::per_tensor(0.5, 3));
    assert_eq!(quant_of(&graph, "y"), Quant::per_tensor(0.25, 3));

    // The joined tensor's own scale may be left open.
    let mut net = Net::default();
    let x = net.input("x", &[1, 4]);
    let y = net.input("y", &[1, 4]);
    let j = net.node("joined", Op::Concat { axis: 1 }, &[x, y], &[1, 8]);
    net.give(x, 1.0, -128);
    net.give(y, 1.0, 127);
    let graph = net.quantized(j, &[]).unwrap();
    assert_eq!(quant_of(&graph, "joined"), affine(Range::new(-255.0, 255.0)));
    assert_eq!(names(&graph), ["x/converted", "y/converted", "joined"]);
}

#[test]
fn functions_of_quantised_tensors_need_no_data() {
    let mut net = Net::default();
    let x = net.input("x", &[1, 4]);
    net.give(x, 0.1, 0);
    let r = net.node("leaky", Op::Unary(Unary::LeakyRelu { alpha: 0.5 }), &[x], &[1, 4]);
    let graph = net.quantized(r, &[]).unwrap();
    assert_eq!(quant_of(&graph, "leaky"), affine(Range::new(-6.4, 12.7)));
}

#[test]
fn an_unknown_range_is_an_error_that_names_the_node() {
    let mut net = Net::default();
    let x = net.input("x", &[1, 4]);
    let y = net.node("sum", Op::Add, &[x, x], &[1, 4]);
    let error = net.quantized(y, &[("x", 0.0, 1.0)]).unwrap_err().to_string();
    assert!(error.starts_with("node 'sum' (Add): the range of 'sum' is not known"), "{error}");

    let mut net = Net::default();
    let x = net.input("x", &[1, 4]);
    let y = net.node("tanh", Op::Unary(Unary::Tanh), &[x], &[1, 4]);
    let error = net.quantized(y, &[]).unwrap_err().to_string();
    assert!(error.starts_with("model input: the range of 'x' is not known"), "{error}");
}

#[test]
fn a_pass_made_source_takes_the_range_of_what_it_becomes() {
    let mut net = Net::default();
    let x = net.input("x", &[1, 4]);
    let a = net.node("sum/moved0", Op::Add, &[x, x], &[1, 4]);
    let y = net.node("sum", Op::Reshape, &[a], &[4, 1]);
    let graph = net.quantized(y, &[("x", 0.0, 1.0), ("sum", 0.0, 2.0)]).unwrap();
    assert_eq!(quant_of(&graph, "sum/moved0"), affine(Range::new(0.0, 2.0)));
}

#[test]
fn states_keep_their_integers_between_runs() {
    let mut net = Net::default();
    let state = net.input("state", &[1, 4]);
    let next = net.node("next", Op::Add, &[state, state], &[1, 4]);
    net.graph.states.push((next, state));
    let graph = net.quantized(next, &[("state", -1.0, 0.5), ("next", 0.0, 2.0)]).unwrap();
    assert_eq!(quant_of(&graph, "state"), affine(Range::new(-1.0, 2.0)));
    assert_eq!(quant_of(&graph, "next"), quant_of(&graph, "state"));

    let mut net = Net::default();
    let state = net.input("state", &[1, 4]);
    let next = net.node("next", Op::Add, &[state, state], &[1, 4]);
    net.graph.states.push((next, state));
    net.give(state, 0.5, 0);
    net.give(next, 0.25, 0);
    let graph = net.quantized(next, &[]).unwrap();
    assert_eq!(names(&graph), ["next", "next/converted"]);
    assert_eq!(graph.outputs, [graph.states[0].0]);
    assert_eq!(graph.tensor(graph.outputs[0]).quant, Some(Quant::per_tensor(0.5, 0)));
}

#[test]
fn constant_operands_are_bytes_and_slopes_stay_real() {
    let mut net = Net::default();
    let x = net.input("x", &[1, 3]);
    let c = net.graph.add_constant("c", arr1(&[-1.0f32, 0.0, 1.55]).into_dyn());
    let a = net.node("product", Op::Mul, &[x, c], &[1, 3]);
    let s = net.graph.add_constant("s", arr1(&[0.1f32, 0.2, 0.3]).into_dyn());
    let b = net.node("prelu", Op::PRelu, &[a, s], &[1, 3]);
    let measured = [("x", 0.0, 1.0), ("product", -1.0, 1.55), ("prelu", -0.1, 1.55)];
    let graph = net.quantized(b, &measured).unwrap();
    assert_eq!(integers(&graph, 0, 1), (vec![-128, -28, 127], Quant::per_tensor(0.01, -28)));
    let slope = graph.tensor(graph.nodes[1].inputs[1]);
    assert!(matches!(slope.constant, Some(Constant::Real(_))));
}

#[test]
fn given_weights_and_biases_are_kept() {
    let given = |zero_point: i32, scales: Vec<f32>, axis: Option<usize>, bias_scale: f32| {
        let mut net = Net::default();
        let x = net.input("x", &[1, 2]);
        net.give(x, 0.5, 1);
        let constant = |name: &str, values: ArrayD<i32>, quant: Quant| Tensor {
            name: name.into(),
            shape: values.shape().to_vec(),
            constant: Some(Constant::Integer(values)),
            quant: Some(quant),
        };
        let quant = Quant { scales, zero_point, axis, bits: 8 };
        let values = arr2(&[[5, -100], [17, 100]]).into_dyn();
        let w = net.graph.add_tensor(constant("w", values, quant));
        let quant = Quant { bits: 32, ..Quant::per_tensor(bias_scale, 0) };
        let b = net.graph.add_tensor(constant("b", arr1(&[1000, -2000]).into_dyn(), quant));
        let y = net.node("y", Op::Dense, &[x, w, b], &[1, 2]);
        net.give(y, 0.5, 0);
        net.quantized(y, &[])
    };
    let graph = given(0, vec![0.25], None, 0.125).unwrap();
    assert_eq!(integers(&graph, 0, 1).0, [5, -100, 17, 100]);
    assert_eq!(integers(&graph, 0, 2).0, [1000, -2000]);

    let graph = given(2, vec![0.25], None, 0.125).unwrap();
    assert_eq!(integers(&graph, 0, 1).0, [3, -102, 15, 98]);

    let graph = given(0, vec![0.25, 0.5], Some(0), 0.25).unwrap();
    assert_eq!(integers(&graph, 0, 2).0, [2000, -2000], "in units of input scale x weight scale");

    let error = given(50, vec![0.25], None, 0.125).unwrap_err().to_string();
    assert!(error.contains("'w' holds -150 steps from its zero point"), "{error}");
    let error = given(0, vec![0.25, 0.5], Some(1), 0.125).unwrap_err().to_string();
    assert!(error.contains("has scales along axis 1"), "{error}");
}

#[test]
fn activations_of_16_bits_are_refused() {
    let mut net = Net::default();
    let x = net.input("x", &[1, 2]);
    net.graph.tensor_mut(x).quant = Some(Quant { bits: 16, ..Quant::per_tensor(0.1, 0) });
    let y = net.node("y", Op::Unary(Unary::Relu), &[x], &[1, 2]);
    net.give(y, 0.1, 0);
    let error = net.quantized(y, &[]).unwrap_err().to_string();
    assert!(error.starts_with("node 'y' (Relu): 'x' has 16 bits and 1 scales"), "{error}");
}

#[test]
fn indices_are_integers_as_they_are() {
    let mut net = Net::default();
    let x = net.input("x", &[1, 4]);
    let a = net.node("index", Op::ArgMax { axis: 1, last: false }, &[x], &[1, 1]);
    let y = net.node("shaped", Op::Reshape, &[a], &[1]);
    let graph = net.quantized(y, &[("x", 0.0, 1.0)]).unwrap();
    assert_eq!(quant_of(&graph, "shaped"), Quant { bits: 32, ..Quant::per_tensor(1.0, 0) });
}

/// Four dense layers in a row, quantised with these grids; the largest integer of each.
fn largest_weights(levels: LayerLevels) -> Result<Vec<i32>, QuantizeError> {
    let mut net = Net::default();
    let mut ids = vec![net.input("x", &[1, 2])];
    for name in ["a", "b", "c", "d"] {
        let weights = arr2(&[[0.5f32, -1.0], [0.1, 0.3]]).into_dyn();
        let weights = net.graph.add_constant(format!("{name}/weights"), weights);
        ids.push(net.node(name, Op::Dense, &[ids[ids.len() - 1], weights], &[1, 2]));
    }
    net.graph.outputs.push(ids[4]);
    let ranges = ["x", "a", "b", "c", "d"].map(|name| (name, Range::new(-1.0, 1.0)));
    let options = QuantizeOptions { levels, ..QuantizeOptions::default() };
    quantize(&mut net.graph, Some(&ranges.into_iter().collect()), None, &options)?;
    let largest = |node| integers(&net.graph, node, 1).0.into_iter().map(i32::abs).max();
    Ok((0..4).filter_map(largest).collect())
}

#[test]
fn grids_are_those_of_inner_layers_or_as_named() {
    let levels = |bits| Levels::of_bits(bits).unwrap();
    let inner = LayerLevels { inner: levels(4), ..LayerLevels::default() };
    assert_eq!(largest_weights(inner.clone()), Ok(vec![127, 7, 7, 127]));
    let named = [("a".to_owned(), levels(3)), ("c".to_owned(), Levels::new(11).unwrap())];
    let named = LayerLevels { named: named.into(), ..inner };
    assert_eq!(largest_weights(named), Ok(vec![3, 7, 11, 127]));
    let unknown = LayerLevels { named: [("z".to_owned(), levels(3))].into(), ..Default::default() };
    let error = largest_weights(unknown).unwrap_err().to_string();
    assert!(error.starts_with("there is no layer 'z'") && error.ends_with("a, b, c, d"), "{error}");
}
