//! Models that bring their own quantisation.

use super::*;
use crate::ir::{Constant, PadMode, Quant};

/// `uint8` and `int8` scales and zero points under short names.
fn scales(builder: Builder) -> Builder {
    builder
        .floats("s", &[], &[0.5])
        .floats("t", &[], &[0.25])
        .integers("u3", DataType::Uint8, &[], &[131])
        .integers("u0", DataType::Uint8, &[], &[128])
        .integers("i3", DataType::Int8, &[], &[3])
}

fn refusal(builder: &Builder) -> String {
    builder.import().unwrap_err().to_string()
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{text}` does not say `{part}`");
    }
}

fn tensor<'g>(graph: &'g Graph, name: &str) -> &'g crate::ir::Tensor {
    let found = graph.tensors.iter().find(|tensor| tensor.name == name);
    found.unwrap_or_else(|| panic!("no tensor `{name}`"))
}

#[test]
fn unsigned_and_signed_activations_are_the_same() {
    for zero_point in ["u3", "i3"] {
        let builder = scales(Builder::new(13))
            .input("x", &[4])
            .node("QuantizeLinear", &["x", "s", zero_point], &["q"])
            .node("DequantizeLinear", &["q", "s", zero_point], &["y"])
            .output("y");
        let graph = builder.import().unwrap();
        assert_eq!(operators(&graph), ["QuantizeLinear", "DequantizeLinear"]);
        assert_eq!(tensor(&graph, "q").quant, Some(Quant::per_tensor(0.5, 3)));
        assert_eq!(tensor(&graph, "y").quant, None);
        let x = array(&[4], &[0.3, -0.3, 1000.0, -1000.0]);
        let expected = array(&[4], &[0.5, -0.5, 62.0, -65.5]);
        assert_eq!(evaluate(&graph, std::slice::from_ref(&x)), expected);
        let reference = builder.model().unwrap().reference().unwrap();
        assert_eq!(reference.run(&[x]).unwrap()[0], expected);
    }
}

#[test]
fn integer_inputs_and_outputs_are_read_as_real_numbers() {
    let builder = scales(Builder::new(13))
        .typed_input("x", DataType::Uint8, vec![Extent::DimValue(2), Extent::DimValue(1)])
        .node_with("Transpose", &["x"], &["turned"], vec![ints("perm", &[1, 0])])
        .node("DequantizeLinear", &["turned", "s", "u3"], &["real"])
        .node("Neg", &["real"], &["negative"])
        .node("QuantizeLinear", &["negative", "t", "i3"], &["y"])
        .output("y");
    let graph = builder.import().unwrap();
    // The scale is known behind the transposition only.
    assert_eq!(tensor(&graph, "x").quant, Some(Quant::per_tensor(0.5, 3)));
    assert_eq!(tensor(&graph, "turned").quant, Some(Quant::per_tensor(0.5, 3)));
    assert_eq!(tensor(&graph, "y").quant, Some(Quant::per_tensor(0.25, 3)));
    let reference = builder.model().unwrap().reference().unwrap();
    let x = [array(&[2, 1], &[1.6, -70.0])];
    // −70 saturates at (−128 − 3) · 0.5, and its negative at (127 − 3) · 0.25.
    assert_eq!(reference.run(&x).unwrap()[0], array(&[1, 2], &[-1.5, 31.0]));
    let all = reference.run_all(&x).unwrap();
    assert_eq!(all["x"], array(&[2, 1], &[1.5, -65.5]));
    assert_eq!(all["turned"], array(&[1, 2], &[1.5, -65.5]));
    assert_eq!(all["y"], array(&[1, 2], &[-1.5, 31.0]));
}

#[test]
fn joined_integers_have_one_scale() {
    let builder = |second: &str| {
        scales(Builder::new(13))
            .input("a", &[2])
            .input("b", &[2])
            .node("QuantizeLinear", &["a", "s", "u3"], &["qa"])
            .node("QuantizeLinear", &["b", second, "u3"], &["qb"])
            .node_with("Concat", &["qa", "qb"], &["q"], vec![int("axis", 0)])
            .output("q")
    };
    let graph = builder("s").import().unwrap();
    assert_eq!(tensor(&graph, "q").quant, Some(Quant::per_tensor(0.5, 3)));
    assert_says(&refusal(&builder("t")), &["another scale"]);
    let reread = scales(Builder::new(13))
        .input("x", &[2])
        .node("QuantizeLinear", &["x", "s", "u3"], &["q"])
        .node("DequantizeLinear", &["q", "t", "u3"], &["y"])
        .output("y");
    assert_says(&refusal(&reread), &["n_y", "`q`", "another scale"]);
}

#[test]
fn borders_of_integers_become_real() {
    let builder = scales(Builder::new(13))
        .typed_input("x", DataType::Uint8, vec![Extent::DimValue(2)])
        .longs("pads", &[1, 0])
        .integers("value", DataType::Uint8, &[], &[133])
        .node("Pad", &["x", "pads", "value"], &["p"])
        .node("DequantizeLinear", &["p", "s", "u3"], &["y"])
        .output("y");
    let graph = builder.import().unwrap();
    let Op::Pad { mode, .. } = &graph.nodes[0].op else { panic!() };
    assert_eq!(*mode, PadMode::Constant(1.0));
}

#[test]
fn casting_integers_gives_their_values() {
    let builder = Builder::new(13)
        .typed_input("pixels", DataType::Uint8, vec![Extent::DimValue(2)])
        .node_with("Cast", &["pixels"], &["y"], vec![int("to", 1)])
        .output("y");
    let graph = builder.import().unwrap();
    assert_eq!(operators(&graph), ["DequantizeLinear"]);
    assert_eq!(tensor(&graph, "pixels").quant, Some(Quant::per_tensor(1.0, -128)));
    let reference = builder.model().unwrap().reference().unwrap();
    let pixels = array(&[2], &[0.0, 255.0]);
    assert_eq!(reference.run(std::slice::from_ref(&pixels)).unwrap()[0], pixels);
}

/// A product with weights `[2, 3]` that are quantised along their last axis.
fn quantised_product(kind: DataType, weights: &[i32], zero_points: &[i32]) -> Builder {
    Builder::new(13)
        .input("x", &[1, 2])
        .integers("wq", kind, &[2, 3], weights)
        .floats("ws", &[3], &[0.5, 0.25, 0.125])
        .integers("wz", kind, &[3], zero_points)
        .integers("bq", DataType::Int32, &[3], &[1000, -1000, 7])
        .floats("bs", &[3], &[0.01, 0.02, 0.03])
        .node_with("DequantizeLinear", &["wq", "ws", "wz"], &["w"], vec![int("axis", -1)])
        .node_with("DequantizeLinear", &["bq", "bs"], &["b"], vec![int("axis", 0)])
        .node("Gemm", &["x", "w", "b"], &["y"])
        .output("y")
}

#[test]
fn weights_stay_integers_with_their_scales() {
    let signed = quantised_product(DataType::Int8, &[1, 2, 3, -4, -5, -6], &[0, 0, 0]);
    let shifted = quantised_product(DataType::Uint8, &[129, 130, 131, 124, 123, 122], &[128; 3]);
    for builder in [signed, shifted] {
        let graph = builder.import().unwrap();
        let [node] = graph.nodes.as_slice() else { panic!() };
        let [weights, bias] = [1, 2].map(|index| graph.tensor(node.inputs[index]));
        let expected = ArrayD::from_shape_vec(vec![3, 2], vec![1, -4, 2, -5, 3, -6]).unwrap();
        assert_eq!(weights.constant, Some(Constant::Integer(expected)));
        let scales = vec![0.5, 0.25, 0.125];
        let quant = Quant { scales, zero_point: 0, axis: Some(0), bits: 8 };
        assert_eq!(weights.quant, Some(quant));
        let Some(Constant::Integer(values)) = &bias.constant else { panic!() };
        assert_eq!(values.as_slice(), Some(&[1000, -1000, 7][..]));
        assert_eq!(bias.quant.as_ref().map(|quant| (quant.bits, quant.axis)), Some((32, Some(0))));

        let x = [array(&[1, 2], &[1.0, 2.0])];
        let expected = array(&[1, 3], &[0.5 - 4.0 + 10.0, 0.5 - 2.5 - 20.0, 0.375 - 1.5 + 0.21]);
        assert!(difference(&evaluate(&graph, &x), &expected) < 1e-6);
        let reference = builder.model().unwrap().reference().unwrap();
        assert!(difference(&reference.run(&x).unwrap()[0], &expected) < 1e-6);
    }
}

#[test]
fn zero_points_of_weights_are_subtracted_where_they_can_be() {
    let fits = quantised_product(DataType::Int8, &[1, 2, 3, -4, -5, -6], &[1, 1, 1]);
    let graph = fits.import().unwrap();
    let weights = graph.tensor(graph.nodes[0].inputs[1]);
    let Some(Constant::Integer(values)) = &weights.constant else { panic!() };
    assert_eq!(values.as_slice(), Some(&[0, -5, 1, -6, 2, -7][..]));
    let each = quantised_product(DataType::Int8, &[1, 2, 3, -4, -5, -6], &[0, 10, -3]);
    let graph = each.import().unwrap();
    let weights = graph.tensor(graph.nodes[0].inputs[1]);
    let Some(Constant::Integer(values)) = &weights.constant else { panic!() };
    assert_eq!(values.as_slice(), Some(&[1, -4, -8, -15, 6, -3][..]));
    for zero_points in [[28; 3], [0, 28, 0]] {
        let too_far = quantised_product(DataType::Int8, &[1, 2, 3, -4, -101, -6], &zero_points);
        assert_says(&refusal(&too_far), &["symmetrically (zero point 0)"]);
    }
}

#[test]
fn quantised_weights_may_be_transposed_in_the_graph() {
    let builder = Builder::new(13)
        .input("x", &[1, 2])
        .integers("wq", DataType::Int8, &[3, 2], &[1, 2, 3, 4, 5, 6])
        .floats("ws", &[3], &[0.5, 0.25, 0.125])
        .node_with("DequantizeLinear", &["wq", "ws"], &["w"], vec![int("axis", 0)])
        .node_with("Transpose", &["w"], &["wt"], vec![ints("perm", &[1, 0])])
        .node("MatMul", &["x", "wt"], &["y"])
        .output("y");
    let graph = builder.import().unwrap();
    let weights = graph.tensor(graph.nodes[0].inputs[1]);
    let Some(Constant::Integer(values)) = &weights.constant else { panic!() };
    assert_eq!(values.as_slice(), Some(&[1, 2, 3, 4, 5, 6][..]));
    assert_eq!(weights.quant.as_ref().unwrap().axis, Some(0));
}

#[test]
fn weights_that_the_graph_quantises() {
    let builder = Builder::new(13)
        .input("x", &[1, 2])
        .floats("real", &[2, 2], &[0.5, -1.3, 0.76, 100.0])
        .floats("ws", &[2], &[0.5, 0.25])
        .integers("wz", DataType::Int8, &[2], &[0, 0])
        .node_with("QuantizeLinear", &["real", "ws", "wz"], &["wq"], vec![int("axis", 0)])
        .node_with("DequantizeLinear", &["wq", "ws", "wz"], &["w"], vec![int("axis", 0)])
        .node_with("Gemm", &["x", "w"], &["y"], vec![int("transB", 1)])
        .output("y");
    let graph = builder.import().unwrap();
    let weights = tensor(&graph, "w");
    let Some(Constant::Integer(values)) = &weights.constant else { panic!() };
    assert_eq!(values.as_slice(), Some(&[1, -3, 3, 127][..]));
}

#[test]
fn slopes_become_real() {
    let builder = Builder::new(13)
        .input("x", &[2])
        .integers("aq", DataType::Int8, &[1], &[3])
        .floats("s", &[], &[0.25])
        .node("DequantizeLinear", &["aq", "s"], &["a"])
        .node("PRelu", &["x", "a"], &["y"])
        .output("y");
    let graph = builder.import().unwrap();
    let slope = graph.tensor(graph.nodes[0].inputs[1]);
    assert_eq!(slope.constant, Some(Constant::Real(array(&[1], &[0.75]))));
}

#[test]
fn weights_scaled_along_their_inputs_are_refused() {
    let builder = Builder::new(13)
        .input("x", &[1, 2])
        .integers("wq", DataType::Int8, &[2, 3], &[1, 2, 3, 4, 5, 6])
        .floats("ws", &[2], &[0.5, 0.25])
        .node_with("DequantizeLinear", &["wq", "ws"], &["w"], vec![int("axis", 0)])
        .node("MatMul", &["x", "w"], &["y"])
        .output("y");
    assert_says(&refusal(&builder), &["n_y", "output channel"]);
}

#[test]
fn other_widths_are_refused() {
    let wide = Builder::new(21)
        .input("x", &[2])
        .floats("s", &[], &[0.5])
        .integers("z", DataType::Int16, &[], &[0])
        .node("QuantizeLinear", &["x", "s", "z"], &["q"])
        .node("DequantizeLinear", &["q", "s", "z"], &["y"])
        .output("y");
    assert_says(&refusal(&wide), &["n_q", "8 bits", "int8 or uint8"]);
    let narrow = Builder::new(21)
        .input("x", &[2])
        .floats("s", &[], &[0.5])
        .integers("wq", DataType::Int4, &[2], &[0x21])
        .node("DequantizeLinear", &["wq", "s"], &["w"])
        .node("Mul", &["x", "w"], &["y"])
        .output("y");
    assert_says(&refusal(&narrow), &["n_w", "`wq`", "INT4"]);
    let blocked = Builder::new(21)
        .input("x", &[4])
        .floats("s", &[2], &[0.5, 0.25])
        .node_with("QuantizeLinear", &["x", "s"], &["q"], vec![int("block_size", 2)])
        .output("q");
    assert_says(&refusal(&blocked), &["each block"]);
    let per_channel = Builder::new(13)
        .input("x", &[1, 2])
        .floats("s", &[2], &[0.5, 0.25])
        .node("QuantizeLinear", &["x", "s"], &["q"])
        .output("q");
    assert_says(&refusal(&per_channel), &["several scales", "per tensor"]);
    let negative = Builder::new(13)
        .input("x", &[1, 2])
        .floats("s", &[], &[-0.5])
        .node("QuantizeLinear", &["x", "s"], &["q"])
        .output("q");
    assert_says(&refusal(&negative), &["not a positive number"]);
}

/// Rounds to the nearest multiple of `scale` that a `uint8` with this zero point holds.
fn rounded(x: f64, scale: f64, zero_point: f64) -> f32 {
    let q = ((x / scale).round_ties_even() + zero_point).clamp(0.0, 255.0);
    ((q - zero_point) * scale) as f32
}

/// A graph `y = op(x)` with `x` and `y` of `uint8`: `x` has scale 0.5 and zero point 131, `y` scale
/// 0.25 and zero point 128. Compares both executions with `function` of all elements.
#[track_caller]
fn check_unary(
    operator: &str,
    attributes: Vec<AttributeProto>,
    shape: &[i64],
    function: impl Fn(&[f64]) -> Vec<f64>,
) {
    let builder = scales(Builder::new(13)).input("real", shape);
    let builder = builder.node("QuantizeLinear", &["real", "s", "u3"], &["x"]);
    let inputs = ["x", "s", "u3", "t", "u0"];
    let builder = builder.node_with(operator, &inputs, &["y"], attributes).output("y");
    let extents: Vec<usize> = shape.iter().map(|&extent| extent as usize).collect();
    let x = noise(&extents, 5).mapv(|x| rounded(f64::from(x) * 4.0, 0.5, 131.0));
    let values: Vec<f64> = x.iter().map(|&x| x.into()).collect();
    let expected: Vec<_> = function(&values).iter().map(|&y| rounded(y, 0.25, 128.0)).collect();
    check(&builder, &[x], &expected);
}

#[track_caller]
fn check(builder: &Builder, inputs: &[ArrayD<f32>], expected: &[f32]) {
    let graph = builder.import().unwrap();
    let values: Vec<_> = evaluate(&graph, inputs).iter().copied().collect();
    assert_eq!(values, expected);
    let reference = builder.model().unwrap().reference().unwrap();
    let values: Vec<_> = reference.run(inputs).unwrap()[0].iter().copied().collect();
    assert_eq!(values, expected);
}

#[test]
fn functions_of_quantised_tensors() {
    let each = |function: fn(f64) -> f64| {
        move |x: &[f64]| x.iter().map(|&x| function(x)).collect::<Vec<_>>()
    };
    let sigmoid = each(|x| 1.0 / (1.0 + (-x).exp()));
    check_unary("com.microsoft.QLinearSigmoid", vec![], &[7], sigmoid);
    let leaky = each(|x| if x < 0.0 { x * 0.125 } else { x });
    check_unary("com.microsoft.QLinearLeakyRelu", vec![float("alpha", 0.125)], &[7], leaky);
    check_unary(
        "com.microsoft.QLinearSoftmax",
        vec![int("axis", -1), int("opset", 13)],
        &[1, 5],
        |x| {
            let sum: f64 = x.iter().map(|x| x.exp()).sum();
            x.iter().map(|x| x.exp() / sum).collect()
        },
    );
    let mean = |x: &[f64]| x.chunks(4).map(|x| x.iter().sum::<f64>() / 4.0).collect::<Vec<_>>();
    let global = vec![int("channels_last", 0)];
    check_unary("com.microsoft.QLinearGlobalAveragePool", global, &[1, 2, 2, 2], mean);
    let window = vec![ints("kernel_shape", &[1, 4])];
    check_unary("com.microsoft.QLinearAveragePool", window, &[1, 2, 1, 4], mean);
    let axes = vec![ints("axes", &[2]), int("keepdims", 0)];
    check_unary("com.microsoft.QLinearReduceMean", axes, &[1, 2, 4], mean);
}

#[test]
fn arithmetic_of_quantised_tensors() {
    type Function = fn(f64, f64) -> f64;
    let functions: [(&str, Function); 2] =
        [("com.microsoft.QLinearAdd", |a, b| a + b), ("com.microsoft.QLinearMul", |a, b| a * b)];
    let [a, b] =
        [1, 2].map(|seed| noise(&[6], seed).mapv(|x| rounded(f64::from(x) * 4.0, 0.5, 131.0)));
    let quantise = |builder: Builder| {
        builder.node("QuantizeLinear", &["a", "s", "u3"], &["qa"]).node(
            "QuantizeLinear",
            &["b", "s", "u3"],
            &["qb"],
        )
    };
    for (operator, function) in functions {
        let builder = quantise(scales(Builder::new(13)).input("a", &[6]).input("b", &[6]));
        let inputs = ["qa", "s", "u3", "qb", "s", "u3", "t", "u0"];
        let builder = builder.node(operator, &inputs, &["y"]).output("y");
        let pairs = a.iter().zip(&b);
        let expected: Vec<_> =
            pairs.map(|(&a, &b)| rounded(function(a.into(), b.into()), 0.25, 128.0)).collect();
        check(&builder, &[a.clone(), b.clone()], &expected);
    }
    let builder = quantise(scales(Builder::new(13)).input("a", &[6]).input("b", &[6]));
    let inputs = ["t", "u0", "qa", "s", "u3", "qb", "s", "u3"];
    let builder =
        builder.node_with("com.microsoft.QLinearConcat", &inputs, &["y"], vec![int("axis", 0)]);
    let expected: Vec<_> = a.iter().chain(&b).map(|&x| rounded(x.into(), 0.25, 128.0)).collect();
    check(&builder.output("y"), &[a, b], &expected);
}

#[test]
fn a_quantised_gemm() {
    let gemm = |outputs: &[&str]| {
        let builder = scales(Builder::new(13))
            .input("a", &[1, 2])
            .integers("w", DataType::Uint8, &[2, 2], &[130, 120, 128, 131])
            .floats("ws", &[2], &[0.5, 1.0])
            .integers("wz", DataType::Uint8, &[2], &[128, 128])
            .integers("bias", DataType::Int32, &[2], &[4, -3])
            .node("QuantizeLinear", &["a", "s", "u3"], &["qa"]);
        let inputs = ["qa", "s", "u3", "w", "ws", "wz", "bias"].iter().chain(outputs);
        let inputs: Vec<_> = inputs.copied().collect();
        let attributes = vec![int("transB", 1), float("alpha", 0.5)];
        builder.node_with("com.microsoft.QGemm", &inputs, &["y"], attributes).output("y")
    };
    // 0.5 · a · Wᵀ + bias, whose scale is alpha · 0.5 · ws.
    let a = array(&[1, 2], &[1.5, -2.0]);
    let expected = [0.5 * (1.5 + 8.0) + 0.5, 0.5 * -6.0 - 0.75];
    check(&gemm(&[]), std::slice::from_ref(&a), &expected);
    let quantised = expected.map(|y| rounded(y.into(), 0.25, 128.0));
    check(&gemm(&["t", "u0"]), &[a], &quantised);
}

#[test]
fn channels_last_is_refused() {
    let builder = scales(Builder::new(13)).input("x", &[1, 2, 2, 2]);
    let builder = builder.node("QuantizeLinear", &["x", "s", "u3"], &["q"]);
    let inputs = ["q", "s", "u3", "t", "u0"];
    let attributes = vec![int("channels_last", 1)];
    let operator = "com.microsoft.QLinearGlobalAveragePool";
    let builder = builder.node_with(operator, &inputs, &["y"], attributes).output("y");
    assert_says(&refusal(&builder), &["n_y", operator, "channels come last"]);
}
