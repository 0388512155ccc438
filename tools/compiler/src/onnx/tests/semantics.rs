//! What operators turn into, where the single-operator models do not show it.

use super::*;
use crate::ir::{Interpolation, PadMode, SliceAxis, Unary};

/// Imports, executes both the graph and tract, compares, and gives the graph.
#[track_caller]
fn agree(builder: &Builder) -> Graph {
    let graph = builder.import().unwrap();
    let model = builder.model().unwrap();
    let inputs: Vec<_> = model.inputs().iter().map(|port| noise(&port.shape, 11)).collect();
    let expected = &model.reference().unwrap().run(&inputs).unwrap()[0];
    let found = evaluate(&graph, &inputs);
    assert!(difference(&found, expected) < 1e-5, "{found} against {expected}");
    graph
}

#[test]
fn softmax_over_several_axes_of_old() {
    let softmax = |shape: &[i64], axis| {
        let builder = Builder::new(11).input("x", shape);
        builder.node_with("Softmax", &["x"], &["y"], vec![int("axis", axis)]).output("y")
    };
    let graph = agree(&softmax(&[1, 2, 3], 1));
    assert_eq!(operators(&graph), ["Reshape", "Softmax", "Reshape"]);
    let graph = agree(&softmax(&[1, 5, 1, 1], 1));
    assert_eq!(*only(&graph), Op::Softmax { axis: 1 });
    let graph = agree(&softmax(&[4, 1, 3], 1));
    assert_eq!(*only(&graph), Op::Softmax { axis: 2 });
}

#[test]
fn gemm_folds_its_factors_into_the_weights() {
    let weights: Vec<f32> = noise(&[3, 4], 1).iter().copied().collect();
    for (bias_shape, bias) in
        [(&[4i64][..], &[1.0f32, 2.0, 3.0, 4.0][..]), (&[1], &[0.5]), (&[], &[2.0])]
    {
        let attributes = vec![float("alpha", 0.5), float("beta", 2.0), int("transA", 1)];
        let builder = Builder::new(13)
            .input("x", &[3, 2])
            .floats("w", &[3, 4], &weights)
            .floats("b", bias_shape, bias)
            .node_with("Gemm", &["x", "w", "b"], &["y"], attributes)
            .output("y");
        let graph = agree(&builder);
        assert_eq!(operators(&graph), ["Transpose", "Dense"]);
        assert_eq!(graph.tensor(graph.nodes[1].inputs[1]).shape, [4, 3]);
        assert_eq!(graph.tensor(graph.nodes[1].inputs[2]).shape, [4]);
    }
}

#[test]
fn matmul_with_weights_of_any_rank() {
    for (x, w, operators_expected) in [
        (&[1i64, 5][..], &[5i64, 3][..], &["Dense"][..]),
        (&[2, 7, 5], &[5, 3], &["Dense"]),
        (&[5], &[5, 3], &["Dense"]),
        (&[5], &[1, 5, 3], &["Dense", "Reshape"]),
        (&[2, 5], &[5], &["Dense", "Reshape"]),
        (&[2, 7, 5], &[1, 5, 3], &["Dense"]),
        (&[7, 5], &[1, 1, 5, 3], &["Dense", "Reshape"]),
    ] {
        let extents: Vec<usize> = w.iter().map(|&extent| extent as usize).collect();
        let weights: Vec<f32> = noise(&extents, 1).iter().copied().collect();
        let builder = Builder::new(13).input("x", x).floats("w", w, &weights);
        let graph = agree(&builder.node("MatMul", &["x", "w"], &["y"]).output("y"));
        assert_eq!(operators(&graph), operators_expected, "{x:?} {w:?}");
    }
    let weights: Vec<f32> = noise(&[3, 5], 1).iter().copied().collect();
    for x in [&[5i64, 4][..], &[2, 5, 4]] {
        let builder = Builder::new(13).input("x", x).floats("w", &[3, 5], &weights);
        let graph = agree(&builder.node("MatMul", &["w", "x"], &["y"]).output("y"));
        assert_eq!(operators(&graph), ["Transpose", "Dense", "Transpose"]);
    }
    let products = Builder::new(13).input("a", &[2, 2]).input("b", &[2, 2]);
    let products = products.node("MatMul", &["a", "b"], &["y"]).output("y");
    assert!(products.import().unwrap_err().to_string().contains("both operands"));
}

#[test]
fn shapes_computed_in_the_graph_are_folded() {
    // What torch.flatten(x, 1) of a dynamic batch exports.
    let builder = Builder::new(17)
        .typed_input(
            "x",
            DataType::Float,
            vec![Extent::DimParam("N".into()), Extent::DimValue(2), Extent::DimValue(3)],
        )
        .longs("zero", &[0])
        .longs("minus_one", &[-1])
        .node("Shape", &["x"], &["shape"])
        .node("Gather", &["shape", "zero"], &["batch"])
        .node_with("Concat", &["batch", "minus_one"], &["target"], vec![int("axis", 0)])
        .node("Reshape", &["x", "target"], &["y"])
        .output("y");
    let graph = agree(&builder);
    assert_eq!(*only(&graph), Op::Reshape);
    assert_eq!(graph.tensor(graph.outputs[0]).shape, [1, 6]);
}

#[test]
fn constants_in_every_form() {
    let builder = Builder::new(13)
        .input("x", &[2])
        .node_with("Constant", &[], &["a"], vec![float("value_float", 2.0)])
        .node("Mul", &["x", "a"], &["b"])
        .node_with("Constant", &[], &["c"], vec![ints("value_ints", &[1, 2])])
        .node("Reshape", &["b", "c"], &["y"])
        .output("y");
    let graph = agree(&builder);
    assert_eq!(operators(&graph), ["Mul", "Reshape"]);
    let builder = Builder::new(13)
        .input("x", &[2])
        .longs("shape", &[2])
        .node("ConstantOfShape", &["shape"], &["zeros"])
        .node("Add", &["x", "zeros"], &["y"])
        .output("y");
    agree(&builder);
}

#[test]
fn tensors_keep_their_names() {
    let builder = Builder::new(13)
        .input("in", &[1, 2])
        .node("Relu", &["in"], &["hidden"])
        .node("Identity", &["hidden"], &["alias"])
        .node_with("Cast", &["alias"], &["cast"], vec![int("to", 1)])
        .node("Sigmoid", &["cast"], &["scores"])
        .node("Dropout", &["scores"], &["out", "mask"])
        .output("out");
    let graph = agree(&builder);
    let names: Vec<_> = graph.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["in", "hidden", "scores", "out"]);
    assert_eq!(operators(&graph), ["Relu", "Sigmoid", "Identity"]);
    let node_names: Vec<_> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(node_names, ["n_hidden", "n_scores", "n_out"]);
}

#[test]
fn weights_that_two_nodes_share_stay_one_tensor() {
    let builder = Builder::new(13)
        .input("x", &[1, 2])
        .floats("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0])
        .node("MatMul", &["x", "w"], &["a"])
        .node("MatMul", &["a", "w"], &["y"])
        .output("y");
    let graph = agree(&builder);
    assert_eq!(graph.nodes[0].inputs[1], graph.nodes[1].inputs[1]);
}

#[test]
fn outputs_that_only_training_needs() {
    let pool = |second: &str| {
        let attributes = vec![ints("kernel_shape", &[2, 2])];
        let builder = Builder::new(13).input("x", &[1, 1, 4, 4]);
        builder.node_with("MaxPool", &["x"], &["y", second], attributes).output("y")
    };
    assert!(pool("positions").import().is_ok());
    assert!(pool("").import().is_ok());
    let text = pool("positions").output("positions").import().unwrap_err().to_string();
    assert!(text.contains("its positions are used"), "{text}");
}

#[test]
fn dropout_in_training_is_refused() {
    let builder = Builder::new(13)
        .input("x", &[2])
        .floats("ratio", &[], &[0.5])
        .integers("training", DataType::Bool, &[], &[1])
        .node("Dropout", &["x", "ratio", "training"], &["y"])
        .output("y");
    let text = builder.import().unwrap_err().to_string();
    assert!(text.contains("inference mode"), "{text}");
}

#[test]
fn comparisons_with_a_number_are_bounds() {
    let builder = Builder::new(13)
        .input("x", &[4])
        .floats("low", &[], &[-0.25])
        .floats("high", &[1], &[0.5])
        .node("Max", &["x", "low"], &["a"])
        .node("Min", &["high", "a"], &["y"])
        .output("y");
    let graph = agree(&builder);
    let low = Unary::Clip { min: -0.25, max: f32::INFINITY };
    assert_eq!(graph.nodes[0].op, Op::Unary(low));
    let high = Unary::Clip { min: f32::NEG_INFINITY, max: 0.5 };
    assert_eq!(graph.nodes[1].op, Op::Unary(high));
}

#[test]
fn clip_without_a_bound() {
    let builder = Builder::new(13)
        .input("x", &[4])
        .floats("high", &[], &[0.5])
        .node("Clip", &["x", "", "high"], &["y"])
        .output("y");
    let op = Op::Unary(Unary::Clip { min: f32::NEG_INFINITY, max: 0.5 });
    assert_eq!(*only(&agree(&builder)), op);
}

#[test]
fn splits_that_do_not_come_out_even() {
    let builder = Builder::new(18)
        .input("x", &[1, 7])
        .node_with("Split", &["x"], &["a", "b", "c"], vec![int("axis", 1), int("num_outputs", 3)])
        .output("a")
        .output("b")
        .output("c");
    let graph = builder.import().unwrap();
    let parts: Vec<_> = graph.outputs.iter().map(|&id| graph.tensor(id).shape[1]).collect();
    assert_eq!(parts, [3, 3, 1]);
    let values = eval(&graph, &[array(&[1, 7], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]);
    assert_eq!(values[&graph.outputs[1]], array(&[1, 3], &[3.0, 4.0, 5.0]));
    assert_eq!(values[&graph.outputs[2]], array(&[1, 1], &[6.0]));
}

#[test]
fn gathering_evenly_spaced_positions_is_slicing() {
    let gather = |shape: &[i64], positions: &[i64]| {
        let builder = Builder::new(13).input("x", &[2, 6]).stored(TensorProto {
            name: "positions".into(),
            dims: shape.to_vec(),
            data_type: DataType::Int64 as i32,
            int64_data: positions.to_vec(),
            ..TensorProto::default()
        });
        let attributes = vec![int("axis", 1)];
        builder.node_with("Gather", &["x", "positions"], &["y"], attributes).output("y")
    };
    let graph = agree(&gather(&[3], &[-1, 3, 1]));
    let all = SliceAxis { start: 0, step: 1, len: 2 };
    assert_eq!(*only(&graph), Op::Slice(vec![all, SliceAxis { start: 5, step: -2, len: 3 }]));
    assert_eq!(operators(&agree(&gather(&[], &[2]))), ["Slice", "Reshape"]);
    assert_eq!(operators(&agree(&gather(&[2, 2], &[0, 1, 2, 3]))), ["Slice", "Reshape"]);
    let text = gather(&[3], &[0, 1, 3]).import().unwrap_err().to_string();
    assert!(text.contains("not evenly spaced"), "{text}");
}

#[test]
fn expanding_to_the_same_shape() {
    let expand = |shape: &[i64]| {
        let builder = Builder::new(13).input("x", &[2, 3]).longs("shape", shape);
        let builder = builder.node("Expand", &["x", "shape"], &["a"]);
        builder.node("Relu", &["a"], &["y"]).output("y")
    };
    assert_eq!(operators(&agree(&expand(&[1, 3]))), ["Relu"]);
    assert!(expand(&[4, 2, 3]).import().unwrap_err().to_string().contains("repeats"));
}

#[test]
fn pads_by_axis() {
    let builder = Builder::new(18)
        .input("x", &[1, 2, 3])
        .longs("pads", &[1, 0, 2, 0])
        .longs("axes", &[-1, 1])
        .floats("value", &[], &[0.5])
        .node("Pad", &["x", "pads", "value", "axes"], &["y"])
        .output("y");
    let op = Op::Pad { before: vec![0, 0, 1], after: vec![0, 0, 2], mode: PadMode::Constant(0.5) };
    assert_eq!(*only(&agree(&builder)), op);
}

#[test]
fn upsampling_of_old() {
    let scales = [1.0f32, 1.0, 2.0, 3.0];
    let attribute = AttributeProto {
        name: "scales".into(),
        r#type: AttributeType::Floats as i32,
        floats: scales.to_vec(),
        ..AttributeProto::default()
    };
    let model = |opset| Builder::new(opset).input("x", &[1, 1, 2, 2]);
    let seven = model(7).node_with("Upsample", &["x"], &["y"], vec![attribute]).output("y");
    let nine = model(9).floats("scales", &[4], &scales);
    let nine = nine.node("Upsample", &["x", "scales"], &["y"]).output("y");
    let ten = model(10).floats("scales", &[4], &scales);
    let ten = ten.node("Resize", &["x", "scales"], &["y"]).output("y");
    for builder in [seven, nine, ten] {
        let graph = agree(&builder);
        let Op::Resize(resize) = only(&graph) else { panic!() };
        let sources = |axis: &[Interpolation]| axis.iter().map(|at| at.first).collect::<Vec<_>>();
        assert_eq!(sources(&resize.axes[0]), [0, 0, 1, 1]);
        assert_eq!(sources(&resize.axes[1]), [0, 0, 0, 1, 1, 1]);
    }
}

#[test]
fn operators_that_became_others() {
    let builder = Builder::new(13)
        .input("x", &[2, 3])
        .floats("d", &[3], &[2.0, 4.0, 0.5])
        .node("Div", &["x", "d"], &["a"])
        .node("Neg", &["a"], &["b"])
        .node("Sum", &["a", "b"], &["c"])
        .node("Sum", &["c"], &["e"])
        .node("Sub", &["d", "e"], &["y"])
        .output("y");
    assert_eq!(operators(&agree(&builder)), ["Mul", "Affine", "Add", "Sub"]);
}
