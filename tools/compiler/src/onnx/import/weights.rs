//! Constants in the arrangement that the graph wants: transposed, reshaped, symmetric.

use ndarray::{ArrayD, IxDyn};

use super::super::error::{Problem, Stop};
use super::super::node::{self, NodeView};
use super::importer::{Importer, Value};
use super::operands::{absent, not_constant, reals};
use crate::ir::{Constant, Quant, Tensor, TensorId};

/// How a constant is to be arranged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Arrangement {
    /// As it is.
    Plain,
    /// `out.shape[i] = in.shape[perm[i]]`.
    Transposed(Vec<usize>),
    /// Same elements in the same order.
    Reshaped(Vec<usize>),
}

impl<'m> Importer<'m> {
    /// The shape of a constant input of real numbers.
    pub(super) fn weights_shape(
        &self,
        node: &NodeView<'_>,
        index: usize,
    ) -> Result<Vec<usize>, Problem> {
        match self.value(node, index) {
            Some(Value::Constant(values)) => Ok(values.shape().to_vec()),
            Some(&Value::Weights(id)) => Ok(self.shape(id).to_vec()),
            Some(_) => Err(not_constant(node, index)),
            None => Err(absent(index)),
        }
    }

    /// A constant input of real numbers as a tensor of the graph, times `factor`. Where the model
    /// holds it as integers it stays so, with the zero point made 0.
    pub(super) fn weights(
        &mut self,
        node: &NodeView<'m>,
        index: usize,
        arrangement: &Arrangement,
        factor: f32,
    ) -> Result<TensorId, Stop> {
        let name = node.input(index).ok_or_else(|| absent(index))?;
        let key = (name.to_string(), format!("{arrangement:?}·{factor}"));
        if let Some(&id) = self.arranged.get(&key) {
            return Ok(id);
        }
        let id = match self.value(node, index) {
            Some(Value::Constant(values)) => {
                let values = arrange(&reals(name, values)?, arrangement)?;
                let values = if node::is_one(factor) { values } else { values * factor };
                let name = self.arranged_name(name, arrangement, factor);
                self.add_constant(name, values)?
            }
            Some(&Value::Weights(id)) => self.integer_weights(id, arrangement, factor)?,
            _ => return Err(not_constant(node, index).into()),
        };
        self.arranged.insert(key, id);
        Ok(id)
    }

    /// Makes the first output of `node` the quantised weights `id` in another arrangement.
    pub(super) fn define_weights(
        &mut self,
        node: &NodeView<'m>,
        id: TensorId,
        arrangement: &Arrangement,
    ) -> Result<(), Stop> {
        let name = node.output(0).ok_or_else(|| Problem::invalid("its output has no name"))?;
        let arranged = self.weights_as(id, arrangement)?;
        Ok(self.define(name, Value::Weights(arranged))?)
    }

    /// Constant weights of the graph in another arrangement.
    pub(super) fn weights_as(
        &mut self,
        id: TensorId,
        arrangement: &Arrangement,
    ) -> Result<TensorId, Stop> {
        let tensor = self.graph.tensor(id);
        let Some(Constant::Real(values)) = &tensor.constant else {
            return self.integer_weights(id, arrangement, 1.0);
        };
        let values = arrange(values, arrangement)?;
        let name = self.derived_name(&tensor.name, "arranged");
        Ok(self.add_constant(name, values)?)
    }

    /// Checks that weights which are quantised along an axis are so along the first: their output
    /// channels.
    pub(super) fn check_channels(&self, id: TensorId) -> Result<(), Problem> {
        let tensor = self.graph.tensor(id);
        match tensor.quant.as_ref().and_then(|quant| quant.axis) {
            None | Some(0) => Ok(()),
            Some(_) => Err(Problem::new(
                format!(
                    "its weights `{}` are not quantised along their output channels",
                    tensor.name
                ),
                "quantise them per tensor or per output channel",
            )),
        }
    }

    fn arranged_name(&self, name: &str, arrangement: &Arrangement, factor: f32) -> String {
        if *arrangement == Arrangement::Plain && node::is_one(factor) {
            name.into()
        } else {
            self.derived_name(name, "arranged")
        }
    }

    fn integer_weights(
        &mut self,
        id: TensorId,
        arrangement: &Arrangement,
        factor: f32,
    ) -> Result<TensorId, Stop> {
        let tensor = self.graph.tensor(id);
        let (Some(Constant::Integer(values)), Some(quant)) = (&tensor.constant, &tensor.quant)
        else {
            return Ok(id);
        };
        if *arrangement == Arrangement::Plain && node::is_one(factor) && quant.zero_point == 0 {
            return Ok(id);
        }
        self.budget.spend(values.len())?;
        let values = symmetric(&tensor.name, values, quant)?;
        let axis = moved_axis(quant.axis, values.shape(), arrangement).ok_or_else(|| {
            Problem::new(
                format!("`{}` is quantised along an axis that its consumer splits", tensor.name),
                "quantise it per tensor, or along its output channels",
            )
        })?;
        let scales: Vec<_> = quant.scales.iter().map(|scale| scale * factor).collect();
        if !scales.iter().all(|scale| scale.is_finite() && *scale > 0.0) {
            let reason = format!("times {factor}, the scales of `{}` are no scales", tensor.name);
            return Err(Problem::new(reason, "export the model with factors of 1").into());
        }
        let quant = Quant { scales, zero_point: 0, axis, bits: quant.bits };
        let values = arrange(&values, arrangement)?;
        let name = self.derived_name(&tensor.name, "arranged");
        Ok(self.graph.add_tensor(Tensor {
            name,
            shape: values.shape().to_vec(),
            constant: Some(Constant::Integer(values)),
            quant: Some(quant),
        }))
    }
}

/// The integers less their zero point, where they still fit.
fn symmetric(name: &str, values: &ArrayD<i32>, quant: &Quant) -> Result<ArrayD<i32>, Problem> {
    let (min, max) = quant.range();
    let shifted = values.mapv(|value| value.saturating_sub(quant.zero_point));
    if shifted.iter().all(|value| (min..=max).contains(value)) {
        return Ok(shifted);
    }
    Err(Problem::new(
        format!(
            "the weights `{name}` have the zero point {}, so that they do not fit {} bits around 0",
            quant.zero_point, quant.bits
        ),
        "quantise the weights symmetrically (zero point 0)",
    ))
}

fn arrange<T: Clone>(values: &ArrayD<T>, arrangement: &Arrangement) -> Result<ArrayD<T>, Problem> {
    let arranged = match arrangement {
        Arrangement::Plain => Some(values.clone()),
        Arrangement::Transposed(perm) => {
            let transposed = values.view().permuted_axes(IxDyn(perm));
            Some(transposed.as_standard_layout().into_owned())
        }
        Arrangement::Reshaped(shape) => {
            let standard = values.as_standard_layout().into_owned();
            standard.into_shape_with_order(IxDyn(shape)).ok()
        }
    };
    arranged.ok_or_else(|| {
        Problem::invalid(format!("{:?} values cannot become {arrangement:?}", values.shape()))
    })
}

/// Where the axis that scales run along ends up; `None` if the arrangement splits or joins it.
#[expect(clippy::option_option, reason = "no axis at all is one of the answers")]
pub(super) fn moved_axis(
    axis: Option<usize>,
    shape: &[usize],
    arrangement: &Arrangement,
) -> Option<Option<usize>> {
    let Some(axis) = axis else { return Some(None) };
    match arrangement {
        Arrangement::Plain => Some(Some(axis)),
        Arrangement::Transposed(perm) => Some(Some(perm.iter().position(|&from| from == axis)?)),
        Arrangement::Reshaped(target) => {
            let before: usize = shape[..axis].iter().product();
            let same = |&at: &usize| {
                target[at] == shape[axis] && target[..at].iter().product::<usize>() == before
            };
            Some(Some((0..target.len()).find(same)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_follow_their_axis() {
        let turned = Arrangement::Transposed(vec![2, 0, 1]);
        assert_eq!(moved_axis(Some(0), &[4, 2, 3], &turned), Some(Some(1)));
        let flat = Arrangement::Reshaped(vec![4, 6]);
        assert_eq!(moved_axis(Some(0), &[4, 2, 3], &flat), Some(Some(0)));
        assert_eq!(moved_axis(Some(1), &[4, 2, 3], &flat), None);
        assert_eq!(moved_axis(None, &[4, 2, 3], &flat), Some(None));
        let unit = Arrangement::Reshaped(vec![1, 4, 6]);
        assert_eq!(moved_axis(Some(0), &[4, 6], &unit), Some(Some(1)));
    }

    #[test]
    fn only_weights_that_fit_lose_their_zero_point() {
        let values = ArrayD::from_shape_vec(vec![2], vec![-100, 27]).unwrap();
        let quant = Quant::per_tensor(0.1, -100);
        assert_eq!(symmetric("w", &values, &quant).unwrap().as_slice(), Some(&[0, 127][..]));
        let wide = Quant::per_tensor(0.1, -101);
        let problem = symmetric("w", &values, &wide).unwrap_err();
        assert!(problem.remedy.contains("symmetrically"), "{}", problem.remedy);
    }
}
