//! From an opcode to its kernel: the one place that knows both.

use core::ops::Range;

use fixie_format::table::OpEntry;
use fixie_format::{Image, OpSet, Opcode};
use fixie_kernels::{Memory, Operator, Rule, ops};

/// Declares `check` and `run` for a list of operators. An operator outside `OPS` is dead code.
macro_rules! dispatch {
    ($($name:ident),* $(,)?) => {
        /// Checks an operator's parameters.
        pub fn check<const OPS: u64>(
            opcode: Opcode,
            entry: OpEntry,
            image: &Image<'_>,
        ) -> Result<(), Rule> {
            match opcode {
                $(Opcode::$name if linked::<OPS>(Opcode::$name) => {
                    check_one::<ops::$name>(entry, image)
                })*
                _ => Err(Rule::Params),
            }
        }

        /// Runs some rows of an operator.
        pub fn run<const OPS: u64>(
            opcode: Opcode,
            entry: OpEntry,
            rows: Range<usize>,
            memory: &mut Memory<'_>,
        ) -> Option<()> {
            match opcode {
                $(Opcode::$name if linked::<OPS>(Opcode::$name) => {
                    run_one::<ops::$name>(entry, rows, memory)
                })*
                _ => None,
            }
        }

        #[cfg(test)]
        const LISTED: &[Opcode] = &[$(Opcode::$name),*];
    };
}

dispatch! {
    Conv, ConvPaired, Depthwise, DepthwisePlanar, MaxPool, AvgPool, Mean, Add, Mul, Lut, PRelu,
    Softmax, Copy, Fill, Resize, ArgMax, ConvBlocked, Feed, ConvVectors,
}

/// Whether an engine of the operator set `OPS` contains a kernel: known at compile time.
const fn linked<const OPS: u64>(opcode: Opcode) -> bool {
    OpSet::from_bits(OPS).contains(opcode)
}

fn check_one<O: Operator>(entry: OpEntry, image: &Image<'_>) -> Result<(), Rule> {
    let params = image.params(&entry).ok_or(Rule::Params)?;
    O::check(&params, entry.rows, image)
}

fn run_one<O: Operator>(entry: OpEntry, rows: Range<usize>, memory: &mut Memory<'_>) -> Option<()> {
    // Not moved out of the option, which would be a copy.
    let params: Option<O::Params> = memory.image().params(&entry);
    O::run(params.as_ref()?, rows, memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_of_the_format_is_dispatched() {
        assert_eq!(LISTED, Opcode::ALL);
    }
}
