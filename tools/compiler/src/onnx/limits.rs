//! How large a model may be. The limits lie far above what a microcontroller can hold; they keep a
//! hostile file from asking for more memory or time than a host has.

use super::error::ImportError;

/// Bytes of the ONNX file.
pub const MAX_FILE_BYTES: usize = 1 << 28;
/// Nodes of the graph.
pub const MAX_NODES: usize = 1 << 16;
/// Axes of a tensor.
pub const MAX_RANK: usize = 8;
/// Elements of one activation.
pub const MAX_ELEMENTS: usize = 1 << 28;
/// Elements of all constants that the import reads and makes: rewritten weights, and what nodes that
/// are folded read and give.
pub const MAX_CONSTANT_ELEMENTS: usize = 1 << 27;
/// Elements of one folded constant.
pub const MAX_FOLDED_ELEMENTS: usize = 1 << 24;
/// Elements of a constant that holds axes, sizes or positions.
pub const MAX_LIST: usize = 1 << 16;
/// Multiply-adds of one matrix product that is folded into a constant.
pub const MAX_FOLD_WORK: usize = 1 << 30;
/// Positions along one axis of a resized tensor.
pub const MAX_RESIZED: usize = 1 << 16;

/// Checks that `found` is not above `limit`.
pub(super) fn check(
    what: impl Into<String>,
    found: usize,
    limit: usize,
) -> Result<(), ImportError> {
    if found > limit {
        return Err(ImportError::Limit { what: what.into(), found, limit });
    }
    Ok(())
}

/// Number of elements of a shape, within the limits on rank and size.
pub(super) fn elements(tensor: &str, shape: &[usize]) -> Result<usize, ImportError> {
    check(format!("axes of tensor `{tensor}`"), shape.len(), MAX_RANK)?;
    let product = shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent));
    let elements = product.unwrap_or(usize::MAX);
    check(format!("elements of tensor `{tensor}`"), elements, MAX_ELEMENTS)?;
    Ok(elements)
}

/// What is left of [`MAX_CONSTANT_ELEMENTS`].
#[derive(Debug)]
pub(super) struct Budget {
    spent: usize,
}

impl Budget {
    /// Nothing spent yet.
    pub(super) const fn new() -> Self {
        Self { spent: 0 }
    }

    /// Takes the elements of one more constant.
    pub(super) fn spend(&mut self, elements: usize) -> Result<(), ImportError> {
        let spent = self.spent.saturating_add(elements);
        check("elements of all constants together", spent, MAX_CONSTANT_ELEMENTS)?;
        self.spent = spent;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_that_overflow_are_over_the_limit() {
        let huge = [usize::MAX, 2];
        assert!(matches!(elements("t", &huge), Err(ImportError::Limit { .. })));
        assert_eq!(elements("t", &[2, 3, 4]), Ok(24));
        assert_eq!(elements("t", &[usize::MAX, 0]), Ok(0));
        assert!(elements("t", &[1; MAX_RANK + 1]).is_err());
    }

    #[test]
    fn the_budget_adds_up() {
        let mut budget = Budget::new();
        assert!(budget.spend(MAX_CONSTANT_ELEMENTS - 1).is_ok());
        assert!(budget.spend(1).is_ok());
        assert!(budget.spend(1).is_err());
    }
}
