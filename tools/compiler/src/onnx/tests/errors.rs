//! What cannot be imported, and what the error says.

use super::*;

/// A model with one `Relu`.
fn relu() -> Builder {
    Builder::new(17).input("x", &[1, 4]).node("Relu", &["x"], &["y"]).output("y")
}

/// The text of the error that importing gives.
fn refusal(builder: &Builder) -> String {
    match builder.import() {
        Ok(graph) => panic!("imported as {:?}", operators(&graph)),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{text}` does not say `{part}`");
    }
}

fn load(bytes: &[u8], options: &ImportOptions) -> Result<Model, ImportError> {
    Model::from_bytes(bytes, options)
}

#[test]
fn truncated_anywhere() {
    let builder = relu().floats("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let bytes = builder.bytes();
    let mut refused = 0;
    for length in 0..bytes.len() {
        let result = load(&bytes[..length], &ImportOptions::default());
        // Cut between two fields of the message, what is left may still be a model.
        refused += usize::from(result.and_then(|model| model.graph()).is_err());
    }
    assert!(refused > bytes.len() * 9 / 10, "{refused} of {}", bytes.len());
}

#[test]
fn something_else_than_onnx() {
    for bytes in [&b""[..], b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"TFL3 is not ONNX", &[0xff; 64]] {
        let error = load(bytes, &ImportOptions::default()).unwrap_err();
        assert!(matches!(error, ImportError::NotOnnx { .. }), "{error}");
    }
}

#[test]
fn nothing_to_compute() {
    let error = Builder::new(17).input("x", &[1]).output("x").import().unwrap_err();
    assert_eq!(error, ImportError::Empty { what: "nodes" });
    let error = Builder::new(17).input("x", &[1]).node("Relu", &["x"], &["y"]).import();
    assert_eq!(error.unwrap_err(), ImportError::Empty { what: "outputs" });
}

#[test]
fn opsets_outside_the_range() {
    for opset in [0, 6, 29, i64::MAX, -1] {
        let builder = Builder::new(opset).input("x", &[1]).node("Relu", &["x"], &["y"]).output("y");
        let error = builder.import().unwrap_err();
        assert!(matches!(error, ImportError::Opset { found, .. } if found == opset), "{error}");
    }
}

#[test]
fn symbolic_dimensions() {
    let symbolic = |name: &str| Extent::DimParam(name.into());
    let model = |shape: Vec<Extent>| {
        let builder = Builder::new(17).typed_input("audio:0", DataType::Float, shape);
        builder.node("Relu", &["audio:0"], &["y"]).output("y")
    };
    let batch = model(vec![symbolic("N"), Extent::DimValue(3)]);
    assert_eq!(batch.model().unwrap().inputs()[0].shape, [1, 3]);

    let frames = model(vec![symbolic("N"), Extent::DimValue(40), symbolic("frames")]);
    let text = frames.model().unwrap_err().to_string();
    assert_says(&text, &["`audio:0`", "axis 2", "frames", "--shape audio:0=1,40,<frames>"]);

    let with = |shape: &[usize]| ImportOptions {
        shapes: vec![("audio:0".into(), shape.to_vec())],
        ..ImportOptions::default()
    };
    let model = load(&frames.bytes(), &with(&[1, 40, 98])).unwrap();
    assert_eq!(model.graph().unwrap().tensors[0].shape, [1, 40, 98]);
    for wrong in [&[1, 41, 98][..], &[1, 40], &[1, 40, 0]] {
        let text = load(&frames.bytes(), &with(wrong)).unwrap_err().to_string();
        assert_says(&text, &["`audio:0`"]);
    }
}

#[test]
fn options_that_name_nothing() {
    let bytes = relu().bytes();
    let shapes = vec![("z".into(), vec![1])];
    let options = ImportOptions { shapes, ..ImportOptions::default() };
    assert_says(&load(&bytes, &options).unwrap_err().to_string(), &["--shape", "`z`", "`x`"]);
    for (output, input, named) in [("z", "x", "`y`"), ("y", "z", "`x`")] {
        let states = vec![(output.into(), input.into())];
        let options = ImportOptions { states, ..ImportOptions::default() };
        assert_says(&load(&bytes, &options).unwrap_err().to_string(), &["--state", "`z`", named]);
    }
}

#[test]
fn states() {
    let options =
        ImportOptions { states: vec![("y".into(), "x".into())], ..ImportOptions::default() };
    let graph = load(&relu().bytes(), &options).unwrap().graph().unwrap();
    assert_eq!(graph.states, [(graph.outputs[0], graph.inputs[0])]);

    let builder = Builder::new(17).input("x", &[1, 4]).longs("shape", &[4]);
    let builder = builder.node("Reshape", &["x", "shape"], &["y"]).output("y");
    let error = load(&builder.bytes(), &options).unwrap().graph().unwrap_err();
    assert_says(&error.to_string(), &["`y`", "[4]", "`x`", "[1, 4]"]);
}

#[test]
fn all_unsupported_nodes_at_once() {
    let builder = Builder::new(17)
        .input("x", &[1, 4])
        .node("Einsum", &["x"], &["a"])
        .node("Relu", &["a"], &["b"])
        .node("com.acme.Widget", &["b"], &["c"])
        .node("Loop", &["c"], &["d"])
        .node("DynamicQuantizeLinear", &["x"], &["e"])
        .output("d");
    let Err(ImportError::Nodes(errors)) = builder.import() else { panic!() };
    let found: Vec<_> = errors.iter().map(|e| (e.node.as_str(), e.operator.as_str())).collect();
    let expected = [
        ("n_a", "Einsum"),
        ("n_c", "com.acme.Widget"),
        ("n_d", "Loop"),
        ("n_e", "DynamicQuantizeLinear"),
    ];
    assert_eq!(found, expected);
    let text = ImportError::Nodes(errors).to_string();
    assert_says(&text, &["4 nodes", "control flow", "statically", "ONNX's own operators"]);
}

#[test]
fn weights_that_are_no_numbers() {
    for (value, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let builder = Builder::new(17)
            .input("x", &[1, 2])
            .floats("fc.weight", &[2, 2], &[1.0, 2.0, 3.0, value])
            .node_with("Gemm", &["x", "fc.weight"], &["y"], vec![int("transB", 1)])
            .output("y");
        assert_says(&refusal(&builder), &["`fc.weight`", shown, "position 3"]);
    }
    let builder = Builder::new(17)
        .input("x", &[1, 2])
        .floats("zero", &[1], &[0.0])
        .node("Div", &["x", "zero"], &["y"])
        .output("y");
    assert_says(&refusal(&builder), &["zero", "inf"]);
}

#[test]
fn data_in_another_file() {
    use tract_onnx::pb::StringStringEntryProto;
    let entry =
        |key: &str, value: &str| StringStringEntryProto { key: key.into(), value: value.into() };
    let weights = TensorProto {
        name: "w".into(),
        dims: vec![2],
        data_type: DataType::Float as i32,
        data_location: Some(1),
        external_data: vec![entry("location", "weights.bin"), entry("length", "8")],
        ..TensorProto::default()
    };
    let builder = Builder::new(17).input("x", &[2]).stored(weights);
    let builder = builder.node("Add", &["x", "w"], &["y"]).output("y");
    assert_says(&refusal(&builder), &["`w`", "another file", "from its folder"]);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, builder.bytes()).unwrap();
    let load = || Model::load(&path, &ImportOptions::default()).unwrap().graph();
    assert!(matches!(load().unwrap_err(), ImportError::ExternalData { .. }));
    std::fs::write(folder.path().join("weights.bin"), [0, 0, 128, 63, 0, 0, 0, 64]).unwrap();
    let sum = evaluate(&load().unwrap(), &[array(&[2], &[10.0, 20.0])]);
    assert_eq!(sum, array(&[2], &[11.0, 22.0]));
}

#[test]
fn a_file_that_is_not_there() {
    let error = Model::load("no/such/model.onnx", &ImportOptions::default()).unwrap_err();
    assert_says(&error.to_string(), &["cannot read", "no/such/model.onnx"]);
}

#[test]
fn malformed_tensors() {
    let with = |tensor: TensorProto| {
        let builder = Builder::new(17).input("x", &[2]).stored(tensor);
        builder.node("Add", &["x", "w"], &["y"]).output("y").import().unwrap_err()
    };
    let float = |dims: &[i64], raw_data: Vec<u8>| TensorProto {
        name: "w".into(),
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        raw_data,
        ..TensorProto::default()
    };
    for tensor in [
        float(&[2], vec![0; 7]),
        float(&[2], vec![]),
        float(&[-2], vec![0; 8]),
        TensorProto { data_type: 99, ..float(&[2], vec![0; 8]) },
    ] {
        let error = with(tensor);
        assert!(matches!(&error, ImportError::Tensor { tensor, .. } if tensor == "w"), "{error}");
    }
    for dims in [&[1 << 40][..], &[1 << 32, 1 << 32], &[1; 9]] {
        let error = with(float(dims, vec![0; 8]));
        assert!(matches!(error, ImportError::Limit { .. }), "{error}");
    }
}

#[test]
fn graphs_that_do_not_fit_together() {
    let late = Builder::new(17)
        .input("x", &[2])
        .node("Relu", &["a"], &["y"])
        .node("Relu", &["x"], &["a"])
        .output("y");
    assert_says(&refusal(&late), &["`a`", "before any node computes it"]);
    let twice = relu().node("Relu", &["x"], &["y"]);
    assert_says(&refusal(&twice), &["`y`", "twice"]);
    let nowhere = relu().output("z");
    assert_says(&refusal(&nowhere), &["`z`", "no node computes"]);
    let constant = relu().floats("w", &[1], &[1.0]).output("w");
    assert_says(&refusal(&constant), &["`w`", "always the same"]);
}

#[test]
fn inputs_of_types_without_a_meaning() {
    let input = |kind| {
        let builder = Builder::new(17).typed_input("x", kind, vec![Extent::DimValue(2)]);
        builder.node("Relu", &["x"], &["y"]).output("y")
    };
    assert_says(&refusal(&input(DataType::Int64)), &["`x`", "INT64"]);
    assert_says(&refusal(&input(DataType::Int8)), &["n_y", "integers", "DequantizeLinear"]);
    let moved = Builder::new(17)
        .typed_input("x", DataType::Uint8, vec![Extent::DimValue(2), Extent::DimValue(3)])
        .node("Transpose", &["x"], &["y"])
        .output("y");
    assert_says(&refusal(&moved), &["`x`", "holds integers", "scale"]);
}

#[test]
fn geometry_that_no_kernel_has() {
    let conv = |input: &[i64], weights: &[i64]| {
        let count: i64 = weights.iter().product();
        Builder::new(17)
            .input("x", input)
            .floats("w", weights, &vec![0.5; count as usize])
            .node("Conv", &["x", "w"], &["y"])
            .output("y")
    };
    assert_says(&refusal(&conv(&[1, 1, 4, 4, 4], &[1, 1, 3, 3, 3])), &["3 spatial axes"]);
    assert_says(&refusal(&conv(&[2, 1, 4, 4], &[1, 1, 3, 3])), &["batch of 2", "batch 1"]);
    assert_says(&refusal(&conv(&[1, 1, 4, 4], &[1, 1, 5, 5])), &["spans 5 positions of 4"]);
    assert_says(&refusal(&conv(&[1, 3, 4, 4], &[1, 2, 3, 3])), &["[1, 2, 3, 3]", "[1, 3, 4, 4]"]);
    let pads = |operator: &str, pads: &[i64]| {
        let attributes = vec![ints("kernel_shape", &[2, 2]), ints("pads", pads)];
        let builder = Builder::new(17).input("x", &[1, 1, 4, 4]);
        builder.node_with(operator, &["x"], &["y"], attributes).output("y")
    };
    assert_says(&refusal(&pads("MaxPool", &[2, 2, 2, 2])), &["padding alone"]);
    assert_says(&refusal(&pads("MaxPool", &[-1, 0, 0, 0])), &["cut"]);
}

#[test]
fn a_folded_constant_that_would_fill_the_memory() {
    let builder = Builder::new(17)
        .input("x", &[1])
        .longs("shape", &[1 << 20, 1 << 20])
        .node("ConstantOfShape", &["shape"], &["huge"])
        .node("Add", &["x", "huge"], &["y"])
        .output("y");
    assert_says(&refusal(&builder), &["n_huge", "limit"]);
}

#[test]
fn a_graph_inside_a_graph_inside_a_graph() {
    let mut inner = relu().proto.graph.unwrap();
    for depth in 0..200 {
        let body = AttributeProto {
            name: "body".into(),
            r#type: AttributeType::Graph as i32,
            g: Some(inner),
            ..AttributeProto::default()
        };
        let mut builder = Builder::new(17).input("x", &[1]);
        let name = format!("y{depth}");
        builder = builder.node_with("Loop", &["x"], &[&name], vec![body]).output(&name);
        inner = builder.proto.graph.unwrap();
    }
    let proto = ModelProto { graph: Some(inner), ..Builder::new(17).proto };
    let error = load(&proto.encode_to_vec(), &ImportOptions::default()).unwrap_err();
    assert!(matches!(error, ImportError::NotOnnx { .. }), "{error}");
}

#[test]
fn a_model_that_fits_is_executed_only_on_inputs_that_fit() {
    let reference = relu().model().unwrap().reference().unwrap();
    assert_says(&reference.run(&[]).unwrap_err().to_string(), &["1 inputs", "0 arrays"]);
    let error = reference.run(&[array(&[2, 2], &[0.0; 4])]).unwrap_err();
    assert_says(&error.to_string(), &["`x`", "[1, 4]", "[2, 2]"]);
    let result = reference.run(&[array(&[1, 4], &[-1.0, 2.0, -3.0, 4.0])]).unwrap();
    assert_eq!(result[0], array(&[1, 4], &[0.0, 2.0, 0.0, 4.0]));
}
