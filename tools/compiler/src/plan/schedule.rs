//! In which order the rows of all operators are computed.
//!
//! A *group* is a run of consecutive operators that are executed depth first: just the rows that
//! the last one needs next are computed, so that of the tensors between them only a ring of rows
//! exists at a time. Nothing is computed twice.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use fixie_format::Opcode;
use fixie_kernels::coded::is_coded;
use fixie_kernels::layout::{self, Portion};

use super::rows::needed;
use crate::lower::program::{BufferId, Overlap, Params, Program, ProgramOp};

/// What can be decided about a program's execution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Operators that are executed depth first: in order, disjoint, each [`is_group`].
    pub groups: Vec<Group>,
    /// For how many rows at a time operators get scratch memory, if not for those of their steps.
    pub tiles: BTreeMap<usize, usize>,
    /// For how many output channels at a time operators with coded constants get scratch memory, if
    /// not for [`most_channels`].
    pub parts: BTreeMap<usize, usize>,
}

/// Output pixels below which all of a layer's weights are used about once: then it is no use to have
/// many of them decoded at a time.
const FEW_PIXELS: u32 = 3;
/// Channels of such a layer that are decoded at a time: the kernels do four at a time.
const FEW_CHANNELS: usize = 4;

/// The most output channels that an operator with coded constants should decode at a time; `None` if
/// it has none, or if it always decodes as many as it must.
pub fn most_channels(op: &ProgramOp) -> Option<usize> {
    let Params::Conv(conv) = &op.params else { return None };
    let in_parts = matches!(op.opcode, Opcode::Conv | Opcode::ConvPaired | Opcode::ConvBlocked);
    let pixels = u32::from(conv.window.out_h) * u32::from(conv.window.out_w);
    let all = usize::from(conv.window.out_c);
    let most = if pixels < FEW_PIXELS { FEW_CHANNELS.min(all) } else { all };
    (in_parts && is_coded(conv)).then_some(most)
}

impl Choice {
    /// How many output channels an operator decodes at a time; `None` as for [`most_channels`].
    fn channels(&self, program: &Program, op: usize) -> Option<usize> {
        let most = most_channels(&program.ops[op])?;
        Some(self.parts.get(&op).map_or(most, |&part| part.min(most)))
    }
}

/// Consecutive operators that are interleaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The operators.
    pub ops: Range<usize>,
    /// Rows of the last operator's output per round.
    pub rows: usize,
    /// The most rows of any operator's output per step.
    pub step_rows: usize,
}

/// Some rows of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Index of the operator.
    pub op: usize,
    /// Its output rows.
    pub rows: Range<usize>,
}

/// The order of execution.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    /// Steps in order.
    pub steps: Vec<Step>,
    /// Rows that the rings hold.
    pub rings: HashMap<BufferId, usize>,
    /// Bytes of scratch memory that operators get.
    pub scratch_len: HashMap<BufferId, usize>,
    /// How many output channels operators with coded constants decode at a time, where that is not
    /// their own affair.
    pub channels: HashMap<usize, usize>,
}

impl Schedule {
    /// How the output of an operator may lie over an input. If it computes all pixels of some
    /// channels before the next channels it may not trail.
    pub fn overlap(&self, program: &Program, op: usize) -> Option<Overlap> {
        let Params::Conv(conv) = &program.ops[op].params else { return program.ops[op].overlap };
        let all = usize::from(conv.window.out_c);
        let in_parts = self.channels.get(&op).is_some_and(|&channels| channels < all);
        program.ops[op].overlap.filter(|_| !in_parts)
    }
}

/// Schedules a program; operators outside the groups run whole.
pub fn schedule(program: &Program, choice: &Choice) -> Schedule {
    let mut schedule = Schedule::default();
    let mut groups = choice.groups.iter().peekable();
    let mut next = 0;
    while next < program.ops.len() {
        if let Some(group) = groups.next_if(|group| group.ops.start == next) {
            next = group.ops.end;
            interleave(program, group, &mut schedule);
        } else {
            let rows = 0..usize::from(program.ops[next].rows);
            push_steps(program, next, rows, &mut schedule.steps);
            next += 1;
        }
    }
    let channels = |op| Some((op, choice.channels(program, op)?));
    schedule.channels = (0..program.ops.len()).filter_map(channels).collect();
    schedule.scratch_len = scratch_lens(program, &schedule, &choice.tiles);
    schedule
}

/// Appends a step, or one for each row where the application gives them.
fn push_steps(program: &Program, op: usize, rows: Range<usize>, steps: &mut Vec<Step>) {
    match program.ops[op].params {
        Params::Feed(_) => steps.extend(rows.map(|y| Step { op, rows: y..y + 1 })),
        _ => steps.push(Step { op, rows }),
    }
}

/// Scratch memory for the rows of the longest step of each convolution, or of a tile of them, and for
/// the channels that it decodes at a time.
fn scratch_lens(
    program: &Program,
    schedule: &Schedule,
    tiles: &BTreeMap<usize, usize>,
) -> HashMap<BufferId, usize> {
    let mut longest = vec![1; program.ops.len()];
    for step in &schedule.steps {
        longest[step.op] = longest[step.op].max(step.rows.len());
    }
    let of_op = |(index, op): (usize, &ProgramOp)| {
        let Params::Conv(conv) = &op.params else { return None };
        let rows = tiles.get(&index).copied().unwrap_or(usize::MAX).min(longest[index]);
        let channels = schedule.channels.get(&index).copied().unwrap_or(usize::MAX);
        let portion = Portion { rows, channels };
        Some((op.scratch?, layout::scratch_len(conv, op.opcode, portion)?))
    };
    program.ops.iter().enumerate().filter_map(of_op).collect()
}

/// Whether operators can be interleaved: each of them works row by row, and only the last one's
/// output is used elsewhere.
pub fn is_group(program: &Program, ops: &Range<usize>) -> bool {
    let inside = &program.ops[ops.clone()];
    let Some((_, before_last)) = inside.split_last() else { return false };
    let kept = |op: &ProgramOp| {
        let ports = program.inputs.iter().filter(|port| port.rows == 0).chain(&program.outputs);
        let ports = ports.map(|port| port.tensor);
        let states = program.states.iter().map(|state| state.buffer.0);
        ports.chain(states).any(|tensor| tensor == op.writes.0)
    };
    inside.len() > 1
        && before_last.iter().all(|op| {
            let uses = |(_, other): &(usize, &ProgramOp)| other.reads.contains(&op.writes);
            let users: Vec<usize> =
                program.ops.iter().enumerate().filter(uses).map(|(index, _)| index).collect();
            let writers = program.ops.iter().filter(|other| other.writes == op.writes).count();
            op.rows > 1
                && writers == 1
                && !kept(op)
                && !users.is_empty()
                && users.iter().all(|&user| {
                    ops.contains(&user) && needed(&program.ops[user], op.writes, &(0..1)).is_some()
                })
        })
}

/// Emits the steps of a group and the rings between its operators.
fn interleave(program: &Program, group: &Group, schedule: &mut Schedule) {
    let start = schedule.steps.len();
    let mut round = Round { program, group, done: HashMap::new(), steps: Vec::new() };
    let last = group.ops.end - 1;
    let total = usize::from(program.ops[last].rows);
    for end in (0..total).step_by(group.rows.max(1)).map(|y| (y + group.rows.max(1)).min(total)) {
        round.compute(last, end);
    }
    schedule.steps.append(&mut round.steps);
    let steps = &schedule.steps[start..];
    for op in group.ops.start..last {
        let buffer = program.ops[op].writes;
        schedule.rings.insert(buffer, ring_rows(program, steps, op));
    }
}

/// The state of interleaving one group.
struct Round<'p> {
    program: &'p Program,
    group: &'p Group,
    /// How many rows of each operator are computed.
    done: HashMap<usize, usize>,
    steps: Vec<Step>,
}

impl Round<'_> {
    /// Computes rows of an operator up to `end`, after what they need.
    fn compute(&mut self, op: usize, end: usize) {
        let done = self.done.get(&op).copied().unwrap_or(0);
        let step_rows = self.group.step_rows.max(1);
        for first in (done..end).step_by(step_rows) {
            let rows = first..end.min(first.saturating_add(step_rows));
            for producer in self.group.ops.start..op {
                let written = self.program.ops[producer].writes;
                if let Some(needed) = needed(&self.program.ops[op], written, &rows) {
                    self.compute(producer, needed.end);
                }
            }
            self.done.insert(op, rows.end);
            push_steps(self.program, op, rows, &mut self.steps);
        }
    }
}

/// The most rows of an operator's output that are needed at one time.
fn ring_rows(program: &Program, steps: &[Step], producer: usize) -> usize {
    let buffer = program.ops[producer].writes;
    let mut most = 1;
    let mut computed = 0;
    for (at, step) in steps.iter().enumerate() {
        if step.op == producer {
            computed = step.rows.end;
            let later = steps[at..].iter();
            let first = later.filter_map(|s| needed(&program.ops[s.op], buffer, &s.rows));
            let oldest = first.map(|rows| rows.start).min().unwrap_or(computed);
            most = most.max(computed - oldest.min(step.rows.start));
        }
    }
    most.min(computed.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::{conv_chain, residual};

    #[test]
    fn a_chain_needs_one_window_of_rows() {
        let program = conv_chain(8, 3);
        assert!(is_group(&program, &(0..3)));
        let schedule = schedule(&program, &one_group(0..3, 1, usize::MAX));
        let rings: Vec<usize> = (0..2).map(|op| schedule.rings[&program.ops[op].writes]).collect();
        assert_eq!(rings, [3, 3]);
        for op in 0..3 {
            let mut next = 0;
            for step in schedule.steps.iter().filter(|step| step.op == op) {
                assert_eq!(step.rows.start, next, "rows of operator {op} come in order");
                next = step.rows.end;
            }
            assert_eq!(next, 8, "operator {op} is complete");
        }
    }

    #[test]
    fn every_row_is_there_when_it_is_needed() {
        let program = residual(9);
        assert!(is_group(&program, &(0..program.ops.len())));
        for step_rows in [1, 2, 3, usize::MAX] {
            let choice = one_group(0..program.ops.len(), 2, step_rows);
            assert_rows_are_there(&program, &schedule(&program, &choice), step_rows);
        }
    }

    fn one_group(ops: Range<usize>, rows: usize, step_rows: usize) -> Choice {
        let groups = vec![Group { ops, rows, step_rows }];
        Choice { groups, ..Choice::default() }
    }

    fn assert_rows_are_there(program: &Program, schedule: &Schedule, step_rows: usize) {
        let mut computed: HashMap<BufferId, usize> = HashMap::new();
        for step in &schedule.steps {
            assert!(step.rows.len() <= step_rows, "{step:?}");
            let op = &program.ops[step.op];
            for read in &op.reads {
                let Some(&ring) = schedule.rings.get(read) else { continue };
                let needed = needed(op, *read, &step.rows).unwrap();
                let there = computed[read].saturating_sub(ring)..computed[read];
                assert!(there.start <= needed.start && needed.end <= there.end, "{step:?}");
            }
            computed.insert(op.writes, step.rows.end);
        }
    }

    #[test]
    fn what_is_used_elsewhere_is_no_ring() {
        let program = residual(9);
        assert!(!is_group(&program, &(0..2)), "the first output is also read by the addition");
        assert!(!is_group(&program, &(0..1)));
    }
}
