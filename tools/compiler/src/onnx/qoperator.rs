//! Rewrites operators on quantised tensors (`QLinearConv` and its kin) as the operator on real
//! numbers between `DequantizeLinear` and `QuantizeLinear`, the only form that the rest knows.
//!
//! ```text
//! y = QLinearAdd(a, sa, za, b, sb, zb, sy, zy)
//!
//! a' = DequantizeLinear(a, sa, za)      y' = Add(a', b')
//! b' = DequantizeLinear(b, sb, zb)      y  = QuantizeLinear(y', sy, zy)
//! ```

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto};

use super::error::Problem;
use super::node::{self, NodeView};

/// Replaces every such node of the graph. One that has no such form stays: see [`problem`].
pub(super) fn rewrite(graph: &mut GraphProto, opset: i64) {
    let mut nodes = Vec::with_capacity(graph.node.len());
    for proto in std::mem::take(&mut graph.node) {
        match replacement(&NodeView { proto: &proto, opset }) {
            Some(Ok(replacement)) => nodes.extend(replacement),
            Some(Err(_)) | None => nodes.push(proto),
        }
    }
    graph.node = nodes;
}

/// Why a node on quantised tensors has no other form; `None` for other nodes.
pub(super) fn problem(node: &NodeView<'_>) -> Option<Problem> {
    replacement(node)?.err()
}

/// The nodes that take the place of one on quantised tensors; `None` for other nodes.
fn replacement(node: &NodeView<'_>) -> Option<Result<Vec<NodeProto>, Problem>> {
    let form = form(node.proto)?;
    Some(Rewrite::new(node).and_then(|rewrite| rewrite.run(form)))
}

/// How an operator's inputs are laid out.
#[derive(Clone, Copy)]
enum Form {
    /// x, w, optional bias: `QLinearConv`.
    Conv,
    /// a, b: `QLinearMatMul`.
    MatMul,
    /// a, b, optional bias, optional output scale: `QGemm`.
    Gemm,
    /// `count` operands, then the output's scale: name of the operator on real numbers.
    Plain(&'static str, usize),
    /// The output's scale, then any number of operands: `QLinearConcat`.
    Concat,
}

fn form(node: &NodeProto) -> Option<Form> {
    let own = matches!(node.domain.as_str(), "" | "ai.onnx");
    let form = match node.op_type.as_str() {
        "QLinearConv" => Form::Conv,
        "QLinearMatMul" => Form::MatMul,
        _ if own || node.domain != "com.microsoft" => return None,
        "QGemm" => Form::Gemm,
        "QLinearAdd" => Form::Plain("Add", 2),
        "QLinearMul" => Form::Plain("Mul", 2),
        "QLinearAveragePool" => Form::Plain("AveragePool", 1),
        "QLinearGlobalAveragePool" => Form::Plain("GlobalAveragePool", 1),
        "QLinearLeakyRelu" => Form::Plain("LeakyRelu", 1),
        "QLinearReduceMean" => Form::Plain("ReduceMean", 1),
        "QLinearSigmoid" => Form::Plain("Sigmoid", 1),
        "QLinearSoftmax" => Form::Plain("Softmax", 1),
        "QLinearConcat" => Form::Concat,
        _ => return None,
    };
    Some(form)
}

/// The nodes that one node becomes.
struct Rewrite<'a> {
    node: NodeView<'a>,
    output: &'a str,
    nodes: Vec<NodeProto>,
}

impl<'a> Rewrite<'a> {
    fn new(node: &NodeView<'a>) -> Result<Self, Problem> {
        let output = node.output(0).ok_or_else(|| Problem::invalid("its output has no name"))?;
        if node.flag("channels_last", false)? {
            return Err(Problem::new(
                "its channels come last",
                "export the model without a runtime's layout optimisation",
            ));
        }
        Ok(Self { node: *node, output, nodes: Vec::new() })
    }

    fn run(mut self, form: Form) -> Result<Vec<NodeProto>, Problem> {
        match form {
            Form::Conv => {
                let mut operands = vec![self.dequantize(0, None)?, self.dequantize(3, Some(0))?];
                operands.extend(self.bias(8, 1, 4, None)?);
                self.finish("Conv", operands, Some(6))?;
            }
            Form::MatMul => {
                let operands = vec![self.dequantize(0, None)?, self.dequantize(3, Some(-1))?];
                self.finish("MatMul", operands, Some(6))?;
            }
            Form::Gemm => {
                let columns = i64::from(!self.node.flag("transB", false)?);
                let mut operands =
                    vec![self.dequantize(0, None)?, self.dequantize(3, Some(columns))?];
                let alpha = self.node.float_or("alpha", 1.0)?;
                operands.extend(self.bias(6, 1, 4, Some(alpha))?);
                let scale = self.node.input(7).map(|_| 7);
                self.finish("Gemm", operands, scale)?;
            }
            Form::Plain(operator, count) => {
                let operands =
                    (0..count).map(|i| self.dequantize(3 * i, None)).collect::<Result<_, _>>()?;
                self.finish(operator, operands, Some(3 * count))?;
            }
            Form::Concat => {
                let count = self.node.proto.input.len().saturating_sub(2) / 3;
                let operands = (0..count)
                    .map(|i| self.dequantize(2 + 3 * i, None))
                    .collect::<Result<_, _>>()?;
                self.finish("Concat", operands, Some(0))?;
            }
        }
        Ok(self.nodes)
    }

    /// The real values of the operand at `index`, whose scale and zero point follow it.
    fn dequantize(&mut self, index: usize, axis: Option<i64>) -> Result<String, Problem> {
        let inputs = [index, index + 1, index + 2].map(|i| self.node.input(i).unwrap_or_default());
        if inputs[0].is_empty() || inputs[1].is_empty() {
            return Err(Problem::invalid(format!("its input {index} or the scale is missing")));
        }
        let name = format!("{}/input{index}", self.output);
        let attributes = axis.map(|axis| int("axis", axis)).into_iter().collect();
        self.push("DequantizeLinear", &inputs, &name, attributes);
        Ok(name)
    }

    /// The real values of a bias of 32 bits, whose scale is the product of the operands'.
    fn bias(
        &mut self,
        index: usize,
        first_scale: usize,
        second_scale: usize,
        alpha: Option<f32>,
    ) -> Result<Option<String>, Problem> {
        let Some(bias) = self.node.input(index) else { return Ok(None) };
        let scale = |index: usize| {
            self.node
                .input(index)
                .ok_or_else(|| Problem::invalid(format!("its input {index} is missing")))
        };
        let (first, second) = (scale(first_scale)?, scale(second_scale)?);
        let mut product = format!("{}/bias_scale", self.output);
        self.push("Mul", &[first, second], &product, vec![]);
        if let Some(alpha) = alpha.filter(|&alpha| !node::is_one(alpha)) {
            let (constant, scaled) = (format!("{product}/alpha"), format!("{product}/scaled"));
            self.push("Constant", &[], &constant, vec![float("value_float", alpha)]);
            self.push("Mul", &[&product, &constant], &scaled, vec![]);
            product = scaled;
        }
        let name = format!("{}/bias", self.output);
        self.push("DequantizeLinear", &[bias, &product], &name, vec![int("axis", 0)]);
        Ok(Some(name))
    }

    /// The operator itself, and its output's integers if they have a scale.
    fn finish(
        &mut self,
        operator: &str,
        operands: Vec<String>,
        scale: Option<usize>,
    ) -> Result<(), Problem> {
        let internal = ["channels_last", "opset"];
        let attributes = self.node.proto.attribute.iter();
        let attributes = attributes.filter(|a| !internal.contains(&a.name.as_str())).cloned();
        let real = format!("{}/real", self.output);
        let node = NodeProto {
            input: operands,
            output: vec![if scale.is_some() { real.clone() } else { self.output.into() }],
            name: self.node.proto.name.clone(),
            op_type: operator.into(),
            attribute: attributes.collect(),
            ..NodeProto::default()
        };
        self.nodes.push(node);
        let Some(scale) = scale else { return Ok(()) };
        let inputs = [scale, scale + 1].map(|i| self.node.input(i).unwrap_or_default());
        if inputs[0].is_empty() {
            return Err(Problem::invalid("the scale of its output is missing"));
        }
        let output = self.output.to_string();
        self.push("QuantizeLinear", &[&real, inputs[0], inputs[1]], &output, vec![]);
        Ok(())
    }

    /// Adds a node named after its output.
    fn push(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attribute: Vec<AttributeProto>,
    ) {
        // A zero point that is left out at the end must not be there at all.
        let given = inputs.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
        self.nodes.push(NodeProto {
            input: inputs[..given].iter().map(ToString::to_string).collect(),
            output: vec![output.into()],
            name: format!("{output}/{operator}"),
            op_type: operator.into(),
            attribute,
            ..NodeProto::default()
        });
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int as i32,
        i: value,
        ..AttributeProto::default()
    }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Float as i32,
        f: value,
        ..AttributeProto::default()
    }
}
