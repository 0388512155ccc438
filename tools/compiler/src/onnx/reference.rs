//! The model's own execution in floating point, by tract.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use ndarray::ArrayD;
use thiserror::Error;
use tract_onnx::model::{ParseResult, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::{InferenceOp, TDim, TractErrorContext, ensure};

use super::dequantize;
use super::error::ImportError;
use super::guard::guarded;
use super::model::{Model, Port};
use crate::ir::Quant;

/// Why an execution failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReferenceError {
    /// Not one array for each input.
    #[error("the model has {expected} inputs, but {found} arrays were given")]
    InputCount {
        /// Inputs of the model.
        expected: usize,
        /// Arrays given.
        found: usize,
    },
    /// An array has another shape than its input.
    #[error("input `{input}` has the shape {expected:?}, but the array has {found:?}")]
    InputShape {
        /// The input.
        input: String,
        /// Its shape.
        expected: Vec<usize>,
        /// The array's.
        found: Vec<usize>,
    },
    /// tract cannot execute the model.
    #[error("the model cannot be executed in floating point: {reason}")]
    Execution {
        /// What tract says.
        reason: String,
    },
}

type Plan = Arc<TypedRunnableModel>;

/// Executes a model in floating point.
///
/// Values go in and come out as real numbers, also where the model has integer inputs or outputs:
/// they are rounded to the integers of the tensor and read back through its scale.
pub struct Reference {
    inputs: Vec<Port>,
    parsed: InferenceModel,
    /// The tensors that nodes compute, by name, and the inputs.
    outlets: Vec<(String, OutletId)>,
    outputs: Vec<String>,
    /// Scales of the integer tensors.
    quants: HashMap<String, Quant>,
    plan: Plan,
    full_plan: OnceLock<Result<Full, ReferenceError>>,
}

/// A plan that gives the value of every tensor.
struct Full {
    names: Vec<String>,
    plan: Plan,
}

impl Reference {
    pub(super) fn new(model: &Model) -> Result<Self, ImportError> {
        let failed = |reason: String| ImportError::Reference { reason };
        let parsed = guarded(|| parse(model)).map_err(failed)?;
        let graph = model.proto().graph.as_ref().ok_or(ImportError::Empty { what: "graph" })?;
        let computed = graph.node.iter().flat_map(|node| &node.output);
        let names = computed.chain(model.inputs().iter().map(|input| &input.name));
        let outlets = names
            .filter_map(|name| Some((name.clone(), *parsed.outlets_by_name.get(name)?)))
            .collect();
        let plan = guarded(|| optimised(parsed.model.clone())).map_err(failed)?;
        let mut reference = Self {
            inputs: model.inputs().to_vec(),
            parsed: parsed.model,
            outlets,
            outputs: graph.output.iter().map(|output| output.name.clone()).collect(),
            quants: HashMap::new(),
            plan,
            full_plan: OnceLock::new(),
        };
        reference.quants = reference.read_quants(model)?;
        Ok(reference)
    }

    /// Scales of the integer tensors: only the compiler's graph knows them all. A model that it
    /// cannot take on is executed nevertheless, if its inputs and outputs are real.
    fn read_quants(&self, model: &Model) -> Result<HashMap<String, Quant>, ImportError> {
        let executed = self.plan.model();
        let ports = executed.inputs.iter().chain(&executed.outputs);
        let types = ports.filter_map(|&outlet| executed.outlet_fact(outlet).ok());
        let integers = types.map(|fact| fact.datum_type).any(is_byte);
        let graph = match model.graph() {
            Ok(graph) => graph,
            Err(error) if integers => return Err(error),
            Err(_) => return Ok(HashMap::new()),
        };
        let quantised = graph.tensors.into_iter().filter(|tensor| tensor.constant.is_none());
        Ok(quantised.filter_map(|tensor| Some((tensor.name, tensor.quant?))).collect())
    }

    /// The model's outputs for one set of inputs, in the model's order.
    ///
    /// # Errors
    ///
    /// If the inputs do not fit the model, or tract fails on them.
    pub fn run(&self, inputs: &[ArrayD<f32>]) -> Result<Vec<ArrayD<f32>>, ReferenceError> {
        let values = self.execute(&self.plan, inputs)?;
        let real = |(name, value): (&String, TValue)| {
            self.real(name, &value).ok_or_else(|| ReferenceError::Execution {
                reason: format!("output `{name}` holds integers without a scale"),
            })
        };
        self.outputs.iter().zip(values).map(real).collect()
    }

    /// The values of the inputs and of every tensor that a node computes, by ONNX name.
    ///
    /// # Errors
    ///
    /// If the inputs do not fit the model, or tract fails on them.
    pub fn run_all(
        &self,
        inputs: &[ArrayD<f32>],
    ) -> Result<HashMap<String, ArrayD<f32>>, ReferenceError> {
        let full = self.full_plan.get_or_init(|| self.full()).as_ref().map_err(Clone::clone)?;
        let values = self.execute(&full.plan, inputs)?;
        let named = full.names.iter().zip(values);
        Ok(named
            .filter_map(|(name, value)| Some((name.clone(), self.real(name, &value)?)))
            .collect())
    }

    fn full(&self) -> Result<Full, ReferenceError> {
        let build = || {
            let mut model = self.parsed.clone();
            let outlets: Vec<_> = self.outlets.iter().map(|&(_, outlet)| outlet).collect();
            model.select_output_outlets(&outlets)?;
            let mut model = model.into_typed()?;
            let mut names = Vec::new();
            let mut varying = Vec::new();
            for ((name, _), &outlet) in self.outlets.iter().zip(&model.outputs) {
                if model.outlet_fact(outlet)?.konst.is_none() {
                    names.push(name.clone());
                    varying.push(outlet);
                }
            }
            model.select_output_outlets(&varying)?;
            Ok(Full { names, plan: model.into_optimized()?.into_runnable()? })
        };
        guarded(build).map_err(|reason| ReferenceError::Execution { reason })
    }

    fn execute(&self, plan: &Plan, inputs: &[ArrayD<f32>]) -> Result<TVec<TValue>, ReferenceError> {
        if inputs.len() != self.inputs.len() {
            let (expected, found) = (self.inputs.len(), inputs.len());
            return Err(ReferenceError::InputCount { expected, found });
        }
        for (port, array) in self.inputs.iter().zip(inputs) {
            if port.shape != array.shape() {
                return Err(ReferenceError::InputShape {
                    input: port.name.clone(),
                    expected: port.shape.clone(),
                    found: array.shape().to_vec(),
                });
            }
        }
        let run = || {
            let values = self.inputs.iter().zip(inputs).enumerate();
            let values = values.map(|(index, (port, array))| {
                let outlet = plan.model().inputs[index];
                self.value(&port.name, array, plan.model().outlet_fact(outlet)?.datum_type)
            });
            plan.run(values.collect::<TractResult<_>>()?)
        };
        guarded(run).map_err(|reason| ReferenceError::Execution { reason })
    }

    /// A tensor of type `kind` from real values.
    fn value(&self, name: &str, array: &ArrayD<f32>, kind: DatumType) -> TractResult<TValue> {
        let reals = || Tensor::from(array.as_standard_layout().into_owned());
        let Some(quant) = self.quants.get(name) else {
            return Ok(reals().cast_to_dt(kind)?.into_owned().into_tvalue());
        };
        let offset = byte_offset(kind);
        let integers = array.mapv(|real| quant.quantize(real.into(), 0) + offset);
        let integers = Tensor::from(integers.as_standard_layout().into_owned());
        Ok(integers.cast_to_dt(kind)?.into_owned().into_tvalue())
    }

    /// The real values of a tensor; `None` for integers without a scale that are no indices.
    fn real(&self, name: &str, value: &TValue) -> Option<ArrayD<f32>> {
        let kind = value.datum_type();
        let array = |tensor: &Tensor| {
            let reals = tensor.cast_to::<f32>().ok()?.into_owned();
            reals.into_plain_array::<f32>().ok()
        };
        if is_byte(kind) {
            let quant = self.quants.get(name)?;
            let offset = byte_offset(kind);
            return Some(array(value)?.mapv(|q| quant.dequantize(q as i32 - offset, 0) as f32));
        }
        if kind == TDim::datum_type() {
            return array(value.cast_to::<i64>().ok()?.as_ref());
        }
        array(value)
    }
}

fn is_byte(kind: DatumType) -> bool {
    [u8::datum_type(), i8::datum_type()].contains(&kind)
}

/// What to add to the compiler's signed integers to get those of the tensor.
fn byte_offset(kind: DatumType) -> i32 {
    if kind == u8::datum_type() { 128 } else { 0 }
}

fn parse(model: &Model) -> TractResult<ParseResult> {
    let mut framework = onnx().with_ignore_value_info(true);
    let register = &mut framework.op_register;
    if let Some(&resize) = register.0.get("Resize") {
        register.insert(NEWER_RESIZE, resize);
        register.insert("Resize", old_resize);
    }
    let directory = model.directory().and_then(Path::to_str);
    let parsed = framework.parse(&dequantize::spelled_out(model.proto()), directory)?;
    ensure!(parsed.unresolved_inputs.is_empty(), "undefined: {:?}", parsed.unresolved_inputs);
    Ok(parsed)
}

/// Where tract's own reading of `Resize` is kept.
const NEWER_RESIZE: &str = "fixie.Resize";

/// `Resize` in a model of opset 7 to 9, which had `Upsample` there: as of opset 10.
fn old_resize(
    context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let mut context = context.clone();
    context.onnx_operator_set_version = context.onnx_operator_set_version.max(10);
    let build = context.framework.op_register.0.get(NEWER_RESIZE);
    build.context("Resize is unknown")?(&context, node)
}

fn optimised(model: InferenceModel) -> TractResult<Plan> {
    model.into_optimized()?.into_runnable()
}
