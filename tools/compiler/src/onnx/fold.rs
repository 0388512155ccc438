//! Constant folding: a node whose inputs are all known is executed by tract, on its own.

use std::sync::Arc;

use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::{InletId, TDim, TractErrorContext, ensure};

use super::error::Problem;
use super::guard::guarded;
use super::limits;
use super::node::{self, NodeView};

/// The values of a node's inputs; `None` where an optional one is left out.
pub(super) type Inputs = [Option<Arc<Tensor>>];

/// Executes single nodes.
pub(super) struct Folder<'m> {
    framework: Onnx,
    model: &'m ModelProto,
    opset: i64,
}

impl<'m> Folder<'m> {
    pub(super) fn new(model: &'m ModelProto, opset: i64) -> Self {
        Self { framework: onnx(), model, opset }
    }

    /// The values of all outputs of `node`, in its order, those left out included as `None`.
    pub(super) fn fold(
        &self,
        node: &NodeView<'_>,
        inputs: &Inputs,
    ) -> Result<Vec<Option<Arc<Tensor>>>, Problem> {
        let unfoldable = |reason: String| {
            Problem::new(
                format!("its inputs are constant, but it cannot be computed ahead: {reason}"),
                "simplify the model before the export",
            )
        };
        let elements = output_elements(node, inputs)?
            .ok_or_else(|| unfoldable("the compiler does not fold this operator".into()))?;
        limits::check("elements of its output", elements, limits::MAX_FOLDED_ELEMENTS)
            .map_err(|error| unfoldable(error.to_string()))?;
        let values = guarded(|| self.execute(node, inputs)).map_err(unfoldable)?;
        let mut values = values.into_iter();
        let outputs = node.proto.output.iter();
        Ok(outputs.map(|name| if name.is_empty() { None } else { values.next() }).collect())
    }

    fn execute(&self, node: &NodeView<'_>, inputs: &Inputs) -> TractResult<Vec<Arc<Tensor>>> {
        let context = ParsingContext {
            framework: &self.framework,
            model: self.model,
            onnx_operator_set_version: self.opset,
            parent_graphs: vec![],
            model_dir: None,
            template: InferenceModel::default(),
        };
        let mut model = InferenceModel::default();
        let build = self.framework.op_register.0.get(&node.proto.op_type);
        let build = build.context("tract does not know the operator")?;
        let (op, closures) = build(&context, node.proto)?;
        ensure!(closures.is_empty(), "it has a body");
        let sources = inputs
            .iter()
            .flatten()
            .enumerate()
            .map(|(index, value)| model.add_const(format!("input{index}"), value.clone()))
            .collect::<TractResult<Vec<_>>>()?;
        let count = node.proto.output.iter().filter(|name| !name.is_empty()).count();
        let id =
            model.add_node("node", op, (0..count).map(|_| InferenceFact::default()).collect())?;
        for (index, source) in sources.into_iter().enumerate() {
            model.add_edge(source, InletId::new(id, index))?;
        }
        let outlets: Vec<_> = (0..count).map(|slot| OutletId::new(id, slot)).collect();
        model.select_output_outlets(&outlets)?;
        let values = model.into_typed()?.into_runnable()?.run(tvec!())?;
        values.into_iter().map(plain).collect()
    }
}

/// tract computes shapes with dimensions of its own; here they are plain integers.
fn plain(value: TValue) -> TractResult<Arc<Tensor>> {
    let tensor = value.into_arc_tensor();
    if tensor.datum_type() == TDim::datum_type() {
        return Ok(tensor.cast_to::<i64>()?.into_owned().into());
    }
    Ok(tensor)
}

/// Whether nodes of this operator can be computed ahead.
pub(super) fn knows(node: &NodeView<'_>) -> bool {
    matches!(node.proto.domain.as_str(), "" | "ai.onnx")
        && !matches!(output_elements(node, &[]), Ok(None))
}

/// An upper bound on the elements of a node's output, so that nothing absurd is computed; `None`
/// for operators that are not folded. Refuses what makes tract take for ever.
fn output_elements(node: &NodeView<'_>, inputs: &Inputs) -> Result<Option<usize>, Problem> {
    let shape = |index: usize| inputs.get(index)?.as_ref().map(|value| value.shape());
    let length = |index: usize| shape(index).map_or(0, |shape| shape.iter().product());
    let first = shape(0).unwrap_or_default();
    let elements = match node.proto.op_type.as_str() {
        "Abs" | "ArgMax" | "ArgMin" | "Cast" | "Ceil" | "Clip" | "Cos" | "Erf" | "Exp"
        | "Flatten" | "Floor" | "HardSigmoid" | "HardSwish" | "Identity" | "LeakyRelu" | "Log"
        | "Neg" | "Not" | "QuantizeLinear" | "Reciprocal" | "ReduceMax" | "ReduceMean"
        | "ReduceMin" | "ReduceProd" | "ReduceSum" | "Relu" | "Round" | "Sigmoid" | "Sign"
        | "Sin" | "Softmax" | "Softplus" | "Split" | "Sqrt" | "Tanh" => length(0),
        "Shape" | "Size" => limits::MAX_RANK,
        "Reshape" | "Slice" | "Squeeze" | "Unsqueeze" => {
            let attribute = node.ints("axes")?.map_or(0, <[i64]>::len);
            let longest = (1..inputs.len()).map(length).fold(attribute, usize::max);
            if longest > limits::MAX_RANK { usize::MAX } else { length(0) }
        }
        // tract looks for ever for the moves that make up a permutation which is none.
        "Transpose" => node.permutation(first.len()).map(|_| length(0))?,
        "Add" | "And" | "Div" | "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual"
        | "Max" | "Mean" | "Min" | "Mod" | "Mul" | "Or" | "PRelu" | "Pow" | "Sub" | "Sum"
        | "Where" => broadcast((0..inputs.len()).filter_map(shape)),
        "Concat" => (0..inputs.len()).map(length).fold(0, usize::saturating_add),
        "ConstantOfShape" => list(inputs, 0).map_or(usize::MAX, product),
        "Expand" => {
            list(inputs, 1).map_or(usize::MAX, |target| broadcast([first, &target].into_iter()))
        }
        "Gather" => {
            let axis = node::axis(node.int_or("axis", 0)?, first.len())?;
            (length(0) / first[axis].max(1)).saturating_mul(length(1))
        }
        "Range" => range(inputs),
        "Tile" => list(inputs, 1)
            .map_or(usize::MAX, |repeats| product(first.iter().copied().chain(repeats))),
        "MatMul" => matmul(first, shape(1).unwrap_or_default())?,
        _ => return Ok(None),
    };
    Ok(Some(elements))
}

/// Elements of the shape that `shapes` broadcast to, or more where they do not.
fn broadcast<'a>(shapes: impl Iterator<Item = &'a [usize]>) -> usize {
    let mut extents = [1; limits::MAX_RANK];
    for shape in shapes {
        if shape.len() > limits::MAX_RANK {
            return usize::MAX;
        }
        for (extent, &other) in extents.iter_mut().zip(shape.iter().rev()) {
            *extent = other.max(*extent);
        }
    }
    product(extents)
}

fn product(extents: impl IntoIterator<Item = usize>) -> usize {
    extents.into_iter().fold(1, usize::saturating_mul)
}

/// Elements of `Range`: from start to limit in steps of delta.
fn range(inputs: &Inputs) -> usize {
    let scalar = |index: usize| {
        let value = inputs.get(index)?.as_ref()?;
        // tract reads the first element without looking whether there is one.
        if value.len() == 1 { value.cast_to_scalar::<f64>().ok() } else { None }
    };
    let [Some(start), Some(limit), Some(delta)] = [scalar(0), scalar(1), scalar(2)] else {
        return usize::MAX;
    };
    // A NaN or an infinity saturates as well.
    let steps = (limit - start) / delta;
    if steps.is_finite() { steps.max(0.0).ceil() as usize } else { usize::MAX }
}

/// Elements of a matrix product, if computing it is not too much work.
fn matmul(a: &[usize], b: &[usize]) -> Result<usize, Problem> {
    let inner = a.last().copied().unwrap_or(1);
    let rows = product(a.iter().copied().rev().skip(1));
    let batches_and_columns = product(b.iter().copied()) / inner.max(1);
    let elements = rows.saturating_mul(batches_and_columns);
    limits::check("multiply-adds", elements.saturating_mul(inner), limits::MAX_FOLD_WORK).map_err(
        |error| Problem::new(error.to_string(), "compute the constant product before the export"),
    )?;
    Ok(elements)
}

/// The values of an input that gives one number for each axis, negative ones as 0; `None` where it
/// is too long for that.
fn list(inputs: &Inputs, index: usize) -> Option<Vec<usize>> {
    let Some(value) = inputs.get(index).and_then(Option::as_ref) else { return Some(Vec::new()) };
    if value.len() > limits::MAX_RANK {
        return None;
    }
    let values = value.cast_to::<i64>().ok()?;
    let view = values.to_plain_array_view::<i64>().ok()?;
    Some(view.iter().map(|&value| usize::try_from(value).unwrap_or(0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::pb::{AttributeProto, NodeProto};

    fn node(op: &str, inputs: usize) -> NodeProto {
        NodeProto {
            op_type: op.into(),
            name: op.to_lowercase(),
            input: (0..inputs).map(|index| format!("in{index}")).collect(),
            output: vec!["out".into()],
            ..NodeProto::default()
        }
    }

    fn fold(proto: &NodeProto, inputs: &[Tensor]) -> Result<Arc<Tensor>, Problem> {
        let model = ModelProto::default();
        let inputs: Vec<_> = inputs.iter().map(|value| Some(Arc::new(value.clone()))).collect();
        let view = NodeView { proto, opset: 17 };
        let values = Folder::new(&model, 17).fold(&view, &inputs)?;
        Ok(values[0].clone().unwrap())
    }

    #[test]
    fn arithmetic_on_shapes() {
        let sum = fold(&node("Add", 2), &[tensor1(&[2i64, 3]), tensor1(&[10i64, -1])]).unwrap();
        assert_eq!(*sum, tensor1(&[12i64, 2]));
        let mut gather = node("Gather", 2);
        let axis = AttributeProto { name: "axis".into(), r#type: 2, i: 0, ..Default::default() };
        gather.attribute.push(axis);
        let picked = fold(&gather, &[tensor1(&[5i64, 6, 7]), tensor0(1i64)]).unwrap();
        assert_eq!(*picked, tensor0(6i64));
        let joined =
            fold(&node("Where", 3), &[tensor1(&[true, false]), tensor0(1i64), tensor0(2i64)]);
        assert_eq!(*joined.unwrap(), tensor1(&[1i64, 2]));
    }

    #[test]
    fn absurd_sizes_are_refused_before_memory_is_taken() {
        let shape = tensor1(&[1i64 << 40, 1 << 40]);
        assert!(fold(&node("ConstantOfShape", 1), &[shape]).is_err());
        let [start, limit, delta] = [tensor0(0f32), tensor0(1e30f32), tensor0(1e-30f32)];
        assert!(fold(&node("Range", 3), &[start, limit, delta]).is_err());
        let nothing = Tensor::zero::<f32>(&[0]).unwrap();
        assert!(fold(&node("Range", 3), &[tensor0(0f32), nothing, tensor0(1f32)]).is_err());
        let axes = tensor1(&(0..1000i64).collect::<Vec<_>>());
        assert!(fold(&node("Unsqueeze", 2), &[tensor0(0f32), axes]).is_err());
        let deep = tensor1(&[1 << 20; 10]);
        assert!(fold(&node("Expand", 2), &[tensor0(0f32), deep]).is_err());
        let column = Tensor::zero::<f32>(&[1 << 14, 1]).unwrap();
        let row = Tensor::zero::<f32>(&[1, 1 << 14]).unwrap();
        assert!(fold(&node("Add", 2), &[column, row]).is_err());
    }

    #[test]
    fn a_permutation_that_is_none() {
        let mut transpose = node("Transpose", 1);
        let perm = AttributeProto {
            name: "perm".into(),
            r#type: 7,
            ints: vec![0, 2, 0],
            ..Default::default()
        };
        transpose.attribute.push(perm);
        assert!(fold(&transpose, &[Tensor::zero::<f32>(&[3, 1, 1]).unwrap()]).is_err());
    }

    #[test]
    fn unknown_operators_are_not_folded() {
        let problem = fold(&node("Einsum", 1), &[tensor0(1f32)]).unwrap_err();
        assert!(problem.reason.contains("does not fold"), "{}", problem.reason);
    }

    #[test]
    fn what_tract_rejects_is_a_problem_of_the_node() {
        let [a, b] = [tensor1(&[1f32, 2.0]), tensor1(&[1f32, 2.0, 3.0])];
        assert!(fold(&node("Add", 2), &[a, b]).is_err());
    }
}
