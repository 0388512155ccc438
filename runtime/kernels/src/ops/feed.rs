//! `Feed`: an input that the application gives row by row.
//!
//! There is nothing to compute: the engine stops before each of its steps until the application has
//! written the row.

use core::ops::Range;

use fixie_format::Image;
use fixie_format::op;

use crate::memory::Memory;
use crate::ops::Operator;
use crate::rule::{Rule, check_output, check_row_tensor, check_rows, check_that, product};

/// [`Opcode::Feed`](fixie_format::Opcode::Feed).
pub struct Feed;

impl Operator for Feed {
    type Params = op::Feed;

    fn check(params: &op::Feed, rows: u16, image: &Image<'_>) -> Result<(), Rule> {
        let port = image.input(params.port.into()).filter(|port| port.tensor == params.output);
        let port = port.ok_or(Rule::Parameter("port"))?;
        check_that(rows > 0, "rows")?;
        check_rows(rows, port.rows)?;
        let len_bytes = product(&port.dims).filter(|len| len.is_multiple_of(rows.into()));
        let row_bytes = len_bytes.map(|len| len / usize::from(rows));
        check_row_tensor(image, params.output, rows, row_bytes)?;
        check_output(image, params.output, &[], &[])
    }

    fn run(_params: &op::Feed, _rows: Range<usize>, _memory: &mut Memory<'_>) -> Option<()> {
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use fixie_format::table::Port;

    use super::*;
    use crate::testing::Bench;

    const PORT: Port = Port {
        tensor: 0,
        rank: 2,
        dtype: 0,
        scale: 1.0,
        zero_point: 0,
        dims: [3, 4, 1, 1, 1, 1],
        order: [0, 1, 0, 0, 0, 0],
        rows: 3,
    };

    #[test]
    fn the_rows_are_those_of_the_port() {
        let mut bench = Bench::new();
        let output = bench.output(12);
        let ring = bench.alias(output, |tensor| (tensor.ring_rows, tensor.len_bytes) = (2, 8));
        let short = bench.alias(output, |tensor| tensor.len_bytes = 11);
        let ports = [output, ring, short].map(|tensor| bench.port(Port { tensor, ..PORT }));
        let uneven = bench.port(Port { tensor: output, rows: 5, ..PORT });
        let whole = bench.port(Port { tensor: output, rows: 0, ..PORT });
        let check = |output, port, rows| bench.check::<Feed>(&op::Feed { output, port }, rows);
        assert_eq!(check(output, ports[0], 3), Ok(()));
        assert_eq!(check(ring, ports[1], 3), Ok(()));
        assert!(matches!(check(short, ports[2], 3), Err(Rule::Length { .. })));
        assert!(matches!(check(output, uneven, 5), Err(Rule::Length { .. })));
        assert_eq!(check(output, whole, 0), Err(Rule::Parameter("rows")));
        assert_eq!(check(output, ports[0], 2), Err(Rule::Rows));
        assert_eq!(check(output, ports[1], 3), Err(Rule::Parameter("port")));
        assert_eq!(check(output, 9, 3), Err(Rule::Parameter("port")));
    }
}
