//! Executes a graph in floating point, with the plainest loops there are.
//!
//! It says what every operator of the graph means, and is what passes and kernels are tested
//! against. Sums run in double precision; values between nodes are single precision, as in the
//! ONNX model.

mod elementwise;
mod movement;
mod patches;
mod window;

use std::collections::HashMap;

use ndarray::ArrayD;

pub(crate) use patches::Patches;

use super::{Graph, Node, Op, TensorId};

/// The real values of all activations, inputs included, for one set of inputs.
///
/// A tensor's quantisation plays no part, but for [`Op::Quantize`]: its output is rounded to the
/// integers of the tensor and read back.
///
/// # Panics
///
/// If the graph is not [valid](Graph::validate), or `inputs` does not hold one array of the right
/// shape for each input of the graph.
pub fn eval(graph: &Graph, inputs: &[ArrayD<f32>]) -> HashMap<TensorId, ArrayD<f32>> {
    assert_eq!(inputs.len(), graph.inputs.len(), "one array for each input");
    let mut values = HashMap::new();
    for (&id, array) in graph.inputs.iter().zip(inputs) {
        assert_eq!(array.shape(), graph.tensor(id).shape, "input `{}`", graph.tensor(id).name);
        values.insert(id, array.clone());
    }
    for node in &graph.nodes {
        let executable = Executable::new(graph, node);
        let output = clamped(node, execute(graph, node, &executable.operands(&values)));
        assert_eq!(output.shape(), graph.tensor(node.output).shape, "node `{}`", node.name);
        values.insert(node.output, output);
    }
    values
}

/// One node, to be executed for many samples in single precision: the real values of its constants are
/// at hand.
pub(crate) struct Executable<'a> {
    graph: &'a Graph,
    node: &'a Node,
    constants: HashMap<TensorId, ArrayD<f32>>,
}

impl<'a> Executable<'a> {
    pub fn new(graph: &'a Graph, node: &'a Node) -> Self {
        let constant = |&id: &TensorId| Some((id, graph.tensor(id).real_values()?));
        Self { graph, node, constants: node.inputs.iter().filter_map(constant).collect() }
    }

    /// The node's output, from the values of what it reads.
    pub fn run(&self, values: &HashMap<TensorId, ArrayD<f32>>) -> ArrayD<f32> {
        let operands = self.operands(values);
        let shape = &self.graph.tensor(self.node.output).shape;
        let product = patches::product(&self.node.op, &operands, shape);
        clamped(self.node, product.unwrap_or_else(|| execute(self.graph, self.node, &operands)))
    }

    fn operands<'v>(&'v self, values: &'v HashMap<TensorId, ArrayD<f32>>) -> Vec<&'v ArrayD<f32>> {
        let operand = |id: &TensorId| {
            let value = values.get(id).or_else(|| self.constants.get(id));
            let name = &self.graph.tensor(*id).name;
            value.unwrap_or_else(|| panic!("tensor `{name}` is read before it is computed"))
        };
        self.node.inputs.iter().map(operand).collect()
    }
}

/// The values of all activations, as [`eval`] gives them, in single precision.
pub(crate) fn eval_all(graph: &Graph, inputs: &[ArrayD<f32>]) -> HashMap<TensorId, ArrayD<f32>> {
    let mut values: HashMap<_, _> =
        graph.inputs.iter().copied().zip(inputs.iter().cloned()).collect();
    for node in &graph.nodes {
        let output = Executable::new(graph, node).run(&values);
        values.insert(node.output, output);
    }
    values
}

fn clamped(node: &Node, mut output: ArrayD<f32>) -> ArrayD<f32> {
    if let Some((low, high)) = node.clamp {
        output.mapv_inplace(|x| x.max(low).min(high));
    }
    output
}

fn execute(graph: &Graph, node: &Node, operands: &[&ArrayD<f32>]) -> ArrayD<f32> {
    let x = operands[0];
    let output = graph.tensor(node.output);
    match &node.op {
        Op::Conv(conv) => {
            window::conv(conv, x, operands[1], operands.get(2).copied(), &output.shape)
        }
        Op::Dense => window::dense(x, operands[1], operands.get(2).copied()),
        Op::MaxPool(pool) => window::max_pool(pool, x, &output.shape),
        Op::AvgPool { pool, count_padding } => {
            window::average_pool(pool, *count_padding, x, &output.shape)
        }
        Op::Mean { axes } => elementwise::mean(x, axes, &output.shape),
        Op::Add => elementwise::binary(x, operands[1], |a, b| a + b),
        Op::Sub => elementwise::binary(x, operands[1], |a, b| a - b),
        Op::Mul => elementwise::binary(x, operands[1], |a, b| a * b),
        Op::Unary(unary) => x.mapv(|x| unary.eval(x.into()) as f32),
        Op::PRelu => elementwise::binary(x, operands[1], |x, s| if x < 0.0 { x * s } else { x }),
        Op::Softmax { axis } => elementwise::softmax(x, *axis),
        Op::Concat { axis } => movement::concat(operands, *axis),
        Op::Slice(axes) => movement::slice(x, axes),
        Op::Pad { before, mode, .. } => movement::pad(x, before, *mode, &output.shape),
        Op::Reshape => movement::reshape(x, &output.shape),
        Op::Transpose { perm } => movement::transpose(x, perm),
        Op::Resize(resize) => movement::resize(x, resize),
        Op::ArgMax { axis, last } => elementwise::arg_max(x, *axis, *last, &output.shape),
        Op::BatchNorm { epsilon } => elementwise::batch_norm(operands, *epsilon),
        Op::Quantize => match &output.quant {
            Some(quant) => x.mapv(|x| quant.dequantize(quant.quantize(x.into(), 0), 0) as f32),
            None => panic!("tensor `{}` has no scale", output.name),
        },
        Op::Dequantize => x.clone(),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{ArrayD, IxDyn};

    use super::super::{Graph, Node, Op, Quant, Unary};
    use super::*;

    fn single(op: Op, shape: &[usize], clamp: Option<(f32, f32)>) -> Graph {
        let mut graph = Graph::default();
        let x = graph.add_activation("x", shape);
        let y = graph.add_activation("y", shape);
        graph.nodes.push(Node { name: "n".into(), op, inputs: vec![x], output: y, clamp });
        (graph.inputs, graph.outputs) = (vec![x], vec![y]);
        graph
    }

    fn array(values: &[f32]) -> ArrayD<f32> {
        ArrayD::from_shape_vec(IxDyn(&[values.len()]), values.to_vec()).unwrap()
    }

    fn run(graph: &Graph, x: &[f32]) -> Vec<f32> {
        eval(graph, &[array(x)])[&graph.outputs[0]].iter().copied().collect()
    }

    #[test]
    fn clamps_come_last() {
        let op = Op::Unary(Unary::Affine { scale: 2.0, offset: 1.0 });
        let graph = single(op, &[3], Some((0.0, 4.0)));
        assert_eq!(run(&graph, &[-2.0, 1.0, 3.0]), [0.0, 3.0, 4.0]);
    }

    #[test]
    fn quantize_rounds_halves_to_even_and_saturates() {
        let mut graph = single(Op::Quantize, &[4], None);
        let y = graph.outputs[0];
        graph.tensor_mut(y).quant = Some(Quant::per_tensor(0.5, 10));
        assert_eq!(run(&graph, &[0.25, 0.75, -0.75, 1000.0]), [0.0, 1.0, -1.0, 58.5]);
    }
}
