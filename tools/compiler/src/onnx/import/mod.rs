//! From nodes of the message to nodes of the graph, one file per family of operators.

mod activation;
mod constant;
mod convolution;
mod dense;
mod elementwise;
mod emit;
mod finish;
mod importer;
mod integers;
mod join;
mod layout;
mod normalization;
mod operands;
mod pad;
mod pool;
mod quantization;
mod reduction;
mod reshape;
mod resize;
mod slice;
mod softmax;
mod weights;
mod window;

use self::importer::Importer;
use super::error::{ImportError, Stop};
use super::model::Model;
use super::node::NodeView;
use crate::ir::Graph;

/// Turns a node into nodes of the graph, or into an alias or a constant.
type Rule = for<'m> fn(&mut Importer<'m>, &NodeView<'m>) -> Result<(), Stop>;

/// The rule of an operator.
fn rule(domain: &str, operator: &str) -> Option<Rule> {
    let own = matches!(domain, "" | "ai.onnx");
    // ONNX Runtime writes these two into its own domain for types that older opsets lack.
    let borrowed =
        domain == "com.microsoft" && matches!(operator, "DequantizeLinear" | "QuantizeLinear");
    if !own && !borrowed {
        return None;
    }
    let rule: Rule = match operator {
        "Add" => elementwise::add,
        "ArgMax" => reduction::arg_max,
        "AveragePool" => pool::average_pool,
        "BatchNormalization" => normalization::batch_normalization,
        "Cast" => constant::cast,
        "Clip" => activation::clip,
        "Concat" => join::concat,
        "Constant" => constant::constant,
        "Conv" => convolution::conv,
        "DequantizeLinear" => quantization::dequantize,
        "Div" => elementwise::div,
        "Dropout" => reshape::dropout,
        "Expand" => reshape::expand,
        "Flatten" => reshape::flatten,
        "Gather" => slice::gather,
        "Gemm" => dense::gemm,
        "GlobalAveragePool" => pool::global_average_pool,
        "GlobalMaxPool" => pool::global_max_pool,
        "HardSigmoid" => activation::hard_sigmoid,
        "HardSwish" => activation::hard_swish,
        "Identity" => reshape::identity,
        "LeakyRelu" => activation::leaky_relu,
        "MatMul" => dense::matmul,
        "Max" => elementwise::max,
        "MaxPool" => pool::max_pool,
        "Min" => elementwise::min,
        "Mul" => elementwise::mul,
        "Neg" => elementwise::neg,
        "PRelu" => activation::prelu,
        "Pad" => pad::pad,
        "QuantizeLinear" => quantization::quantize,
        "ReduceMean" => reduction::reduce_mean,
        "Relu" => activation::relu,
        "Reshape" => reshape::reshape,
        "Resize" => resize::resize,
        "Shape" => constant::shape,
        "Sigmoid" => activation::sigmoid,
        "Size" => constant::size,
        "Slice" => slice::slice,
        "Softmax" => softmax::softmax,
        "Split" => slice::split,
        "Squeeze" => reshape::squeeze,
        "Sub" => elementwise::sub,
        "Sum" => elementwise::sum,
        "Swish" => activation::swish,
        "Tanh" => activation::tanh,
        "Transpose" => layout::transpose,
        "Unsqueeze" => reshape::unsqueeze,
        _ => return None,
    };
    Some(rule)
}

/// Imports a model.
///
/// # Errors
///
/// All nodes without a rule or against one together as [`ImportError::Nodes`]; the first error of
/// the model as a whole.
pub(super) fn import(model: &Model) -> Result<Graph, ImportError> {
    let mut importer = Importer::new(model)?;
    importer.nodes()?;
    importer.finish()
}
