//! Constant operands become integers.

use ndarray::ArrayD;

use super::activations::affine;
use super::share::shares;
use crate::calibrate::Range;
use crate::ir::{Constant, Graph, Op, Quant, Tensor, TensorId};

/// Quantises the constants that a node (no convolution or matrix product) reads.
pub(super) fn quantize(graph: &mut Graph, index: usize) {
    let node = &graph.nodes[index];
    let shared = shares(&node.op).then(|| graph.tensor(node.output).quant.clone()).flatten();
    let slope = node.op == Op::PRelu;
    for (place, id) in node.inputs.clone().into_iter().enumerate() {
        let tensor = graph.tensor(id);
        let Some(reals) = tensor.real_values() else {
            continue;
        };
        let converted = match (&shared, slope) {
            (_, true) => real(graph, id, reals),
            (Some(quant), _) => integer(graph, id, &reals, quant.clone()),
            (None, _) if is_byte(tensor) => continue,
            (None, _) => {
                let quant = affine(range(&reals));
                integer(graph, id, &reals, quant)
            }
        };
        graph.nodes[index].inputs[place] = converted;
    }
}

/// Whether the model's own integers can be used as they are.
fn is_byte(tensor: &Tensor) -> bool {
    let quant = tensor.quant.as_ref().filter(|quant| quant.bits == 8 && quant.scales.len() == 1);
    quant.is_some() && matches!(tensor.constant, Some(Constant::Integer(_)))
}

fn range(reals: &ArrayD<f32>) -> Range {
    reals.iter().fold(Range::default(), |range, &x| range.union(Range::new(x, x)))
}

fn real(graph: &mut Graph, id: TensorId, reals: ArrayD<f32>) -> TensorId {
    let name = graph.tensor(id).name.clone();
    graph.add_constant(name, reals)
}

fn integer(graph: &mut Graph, id: TensorId, reals: &ArrayD<f32>, quant: Quant) -> TensorId {
    let Tensor { name, shape, .. } = graph.tensor(id).clone();
    let integers = reals.mapv(|real| quant.quantize(real.into(), 0));
    let constant = Some(Constant::Integer(integers));
    graph.add_tensor(Tensor { name, shape, constant, quant: Some(quant) })
}
