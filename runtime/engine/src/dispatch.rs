//! From an opcode to its kernel: the one place that knows both.

use core::ops::Range;

use fixie_format::table::OpEntry;
use fixie_format::{Image, OpSet, Opcode};
use fixie_kernels::arch::Native;
use fixie_kernels::coded::Storage;
use fixie_kernels::{Memory, Operator, Rule, ops};

/// Declares `check` and `run` for a list of operators, of which the first have weights that may be
/// coded. An operator outside `OPS` is dead code, and so is a decoder of constants that `OPS` has not.
macro_rules! dispatch {
    (weighted: $($weighted:ident),*; others: $($name:ident),* $(,)?) => {
        /// Checks an operator's parameters.
        pub fn check<const OPS: u64>(
            opcode: Opcode,
            entry: OpEntry,
            image: &Image<'_>,
        ) -> Result<(), Rule> {
            match opcode {
                $(Opcode::$weighted if linked::<OPS>(Opcode::$weighted) => {
                    check_one::<ops::$weighted<Native, Linked<OPS>>>(entry, image)
                })*
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
                $(Opcode::$weighted if linked::<OPS>(Opcode::$weighted) => {
                    run_one::<ops::$weighted<Native, Linked<OPS>>>(entry, rows, memory)
                })*
                $(Opcode::$name if linked::<OPS>(Opcode::$name) => {
                    run_one::<ops::$name>(entry, rows, memory)
                })*
                _ => None,
            }
        }

        #[cfg(test)]
        const LISTED: &[Opcode] = &[$(Opcode::$weighted,)* $(Opcode::$name),*];
    };
}

dispatch! {
    weighted: Conv, ConvPaired, ConvBlocked, Depthwise, DepthwisePlanar;
    others: MaxPool, AvgPool, Mean, Add, Mul, Lut, PRelu, Softmax, Copy, Fill, Resize, ArgMax, Feed,
    ConvVectors, ConvWide, Rescale, ConvSparse,
}

/// Whether an engine of the operator set `OPS` contains a kernel: known at compile time.
const fn linked<const OPS: u64>(opcode: Opcode) -> bool {
    OpSet::from_bits(OPS).contains(opcode)
}

/// The constants that an engine of the operator set `OPS` can decode.
struct Linked<const OPS: u64>;

impl<const OPS: u64> Storage for Linked<OPS> {
    const CODED: bool = OpSet::from_bits(OPS).has_coded();
    const PACKED: bool = OpSet::from_bits(OPS).has_packed();
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
        assert_eq!(LISTED.len(), Opcode::ALL.len());
        assert!(Opcode::ALL.iter().all(|opcode| LISTED.contains(opcode)));
    }
}
