//! A node of the protobuf message with typed access to its attributes.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};

use super::error::{NodeError, Problem};

/// A node, read by the rules of an operator set.
#[derive(Clone, Copy)]
pub(super) struct NodeView<'a> {
    pub(super) proto: &'a NodeProto,
    pub(super) opset: i64,
}

impl<'a> NodeView<'a> {
    /// The node's name, or that of its first output where it has none.
    pub(super) fn name(&self) -> &'a str {
        let first = || self.proto.output.iter().find(|name| !name.is_empty());
        match self.proto.name.as_str() {
            "" => first().map_or("?", String::as_str),
            name => name,
        }
    }

    /// The operator, behind its domain where that is not ONNX's own.
    pub(super) fn operator(&self) -> String {
        match self.proto.domain.as_str() {
            "" | "ai.onnx" => self.proto.op_type.clone(),
            domain => format!("{domain}.{}", self.proto.op_type),
        }
    }

    pub(super) fn error(&self, problem: Problem) -> NodeError {
        NodeError {
            node: self.name().into(),
            operator: self.operator(),
            reason: problem.reason,
            remedy: problem.remedy,
        }
    }

    /// The name of an input; `None` where it is left out.
    pub(super) fn input(&self, index: usize) -> Option<&'a str> {
        self.proto.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The name of an output; `None` where nobody wants it.
    pub(super) fn output(&self, index: usize) -> Option<&'a str> {
        self.proto.output.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The attribute of that name, if its type is the expected one.
    fn attribute(
        &self,
        name: &str,
        expected: AttributeType,
    ) -> Result<Option<&'a AttributeProto>, Problem> {
        let Some(attribute) = self.proto.attribute.iter().find(|a| a.name == name) else {
            return Ok(None);
        };
        // Some old exporters leave the type out.
        if attribute.r#type != expected as i32
            && attribute.r#type != AttributeType::Undefined as i32
        {
            return Err(Problem::invalid(format!(
                "attribute `{name}` is not of the type {}",
                expected.as_str_name()
            )));
        }
        Ok(Some(attribute))
    }

    pub(super) fn int(&self, name: &str) -> Result<Option<i64>, Problem> {
        Ok(self.attribute(name, AttributeType::Int)?.map(|a| a.i))
    }

    pub(super) fn int_or(&self, name: &str, default: i64) -> Result<i64, Problem> {
        Ok(self.int(name)?.unwrap_or(default))
    }

    /// An attribute that is 0 or 1.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Problem> {
        Ok(self.int(name)?.map_or(default, |value| value != 0))
    }

    pub(super) fn ints(&self, name: &str) -> Result<Option<&'a [i64]>, Problem> {
        Ok(self.attribute(name, AttributeType::Ints)?.map(|a| a.ints.as_slice()))
    }

    pub(super) fn float(&self, name: &str) -> Result<Option<f32>, Problem> {
        Ok(self.attribute(name, AttributeType::Float)?.map(|a| a.f))
    }

    pub(super) fn float_or(&self, name: &str, default: f32) -> Result<f32, Problem> {
        Ok(self.float(name)?.unwrap_or(default))
    }

    pub(super) fn floats(&self, name: &str) -> Result<Option<&'a [f32]>, Problem> {
        Ok(self.attribute(name, AttributeType::Floats)?.map(|a| a.floats.as_slice()))
    }

    pub(super) fn string(&self, name: &str) -> Result<Option<&'a str>, Problem> {
        let Some(attribute) = self.attribute(name, AttributeType::String)? else {
            return Ok(None);
        };
        str::from_utf8(&attribute.s)
            .map(Some)
            .map_err(|_| Problem::invalid(format!("attribute `{name}` is not UTF-8")))
    }

    pub(super) fn string_or(&self, name: &str, default: &'a str) -> Result<&'a str, Problem> {
        Ok(self.string(name)?.unwrap_or(default))
    }

    /// The attribute `perm` of a transposition; without one the axes are reversed.
    pub(super) fn permutation(&self, rank: usize) -> Result<Vec<usize>, Problem> {
        let Some(perm) = self.ints("perm")? else { return Ok((0..rank).rev().collect()) };
        if axes(perm, rank)?.len() != rank {
            return Err(Problem::invalid(format!("perm {perm:?} of a tensor with {rank} axes")));
        }
        perm.iter().map(|&value| axis(value, rank)).collect()
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<&'a TensorProto>, Problem> {
        Ok(self.attribute(name, AttributeType::Tensor)?.and_then(|a| a.t.as_ref()))
    }
}

/// An axis that counts from the end when negative, as an index.
pub(super) fn axis(value: i64, rank: usize) -> Result<usize, Problem> {
    let from_start = if value < 0 { value + rank as i64 } else { value };
    usize::try_from(from_start)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| Problem::invalid(format!("axis {value} of a tensor with {rank} axes")))
}

/// Several axes, ascending; an axis named twice is an error.
pub(super) fn axes(values: &[i64], rank: usize) -> Result<Vec<usize>, Problem> {
    let mut axes = values.iter().map(|&value| axis(value, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    if axes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Problem::invalid(format!("axes {values:?} name one twice")));
    }
    Ok(axes)
}

/// Sizes that may be 0 but not negative.
pub(super) fn sizes(what: &str, values: &[i64]) -> Result<Vec<usize>, Problem> {
    let size = |&value: &i64| usize::try_from(value).ok();
    values
        .iter()
        .map(size)
        .collect::<Option<_>>()
        .ok_or_else(|| Problem::invalid(format!("{what} {values:?} has a negative entry")))
}

/// Whether a factor changes nothing.
#[expect(clippy::float_cmp, reason = "only exactly 1 changes nothing")]
pub(super) fn is_one(factor: f32) -> bool {
    factor == 1.0
}
