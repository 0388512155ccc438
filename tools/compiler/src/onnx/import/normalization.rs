//! Batch normalisation.

use super::super::error::{Problem, Stop};
use super::super::node::NodeView;
use super::importer::Importer;
use super::weights::Arrangement;
use crate::ir::Op;

/// `BatchNormalization` as in inference: x `[N, C, ..]`, scale, bias, mean and variance `[C]`.
pub(super) fn batch_normalization<'m>(
    importer: &mut Importer<'m>,
    node: &NodeView<'m>,
) -> Result<(), Stop> {
    let in_training = node.flag("training_mode", false)? || !node.flag("spatial", true)?;
    if in_training {
        return Err(Problem::new(
            "it uses the statistics of the batch",
            "export the model in inference mode",
        )
        .into());
    }
    let x = importer.activation(node, 0)?;
    let shape = importer.shape(x).to_vec();
    let mut inputs = vec![x];
    for index in 1..5 {
        let parameter = importer.weights_shape(node, index)?;
        if shape.get(1) != Some(&parameter.iter().product()) {
            let reason = format!("its input {index} {parameter:?} does not fit x {shape:?}");
            return Err(Problem::invalid(reason).into());
        }
        let flat = Arrangement::Reshaped(vec![shape[1]]);
        inputs.push(importer.weights(node, index, &flat, 1.0)?);
    }
    let op = Op::BatchNorm { epsilon: node.float_or("epsilon", 1e-5)? };
    importer.emit(node, op, &inputs, &shape)?;
    Ok(())
}
