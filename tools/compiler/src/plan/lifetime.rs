//! When each buffer is alive, and which buffers are one and the same memory.

use super::BUFFER_ALIGNMENT;
use super::place::{Block, Trail};
use crate::lower::program::{BufferId, Overlap, Program};

/// A span of memory that one buffer, or a chain of buffers updated in place, occupies.
#[derive(Clone, Debug)]
pub struct Lifetime {
    /// The buffers, in the order in which they take the memory over.
    pub buffers: Vec<BufferId>,
    /// Bytes, aligned.
    pub len_bytes: usize,
    /// First operator during which it is alive.
    pub first: usize,
    /// Last operator during which it is alive.
    pub last: usize,
}

impl Lifetime {
    /// What placement needs to know.
    pub fn block(&self) -> Block {
        Block { len_bytes: self.len_bytes, first: self.first, last: self.last }
    }

    /// The names of its buffers, joined.
    pub fn name(&self, program: &Program) -> String {
        let name = |buffer: &BufferId| program.buffers[buffer.0 as usize].name.as_str();
        let mut names: Vec<&str> = self.buffers.iter().map(name).collect();
        names.dedup();
        names.join(" → ")
    }
}

/// The lifetimes of all buffers in the arena.
pub fn lifetimes(program: &Program) -> Vec<Lifetime> {
    let spans = spans(program);
    let mut lifetimes: Vec<Lifetime> = Vec::new();
    // The lifetime that currently holds each buffer.
    let mut holder: Vec<Option<usize>> = vec![None; program.buffers.len()];
    let mut order: Vec<usize> = (0..spans.len()).filter(|&b| spans[b].is_some()).collect();
    order.sort_by_key(|&buffer| spans[buffer]);
    for buffer in order {
        let Some((first, last)) = spans[buffer] else { continue };
        let len_bytes =
            program.buffers[buffer].len_bytes.next_multiple_of(BUFFER_ALIGNMENT);
        let id = BufferId(buffer as u16);
        let taken_over = overwritten(program, &spans, id).and_then(|input| holder[input.0 as usize]);
        let index = match taken_over {
            Some(index) => {
                lifetimes[index].buffers.push(id);
                lifetimes[index].last = last;
                index
            }
            None => {
                lifetimes.push(Lifetime { buffers: vec![id], len_bytes, first, last });
                lifetimes.len() - 1
            }
        };
        holder[buffer] = Some(index);
    }
    lifetimes
}

/// Which lifetimes may overlap in memory although they meet in time: an operator's output may
/// trail the input that dies there.
pub fn trails(program: &Program, lifetimes: &[Lifetime]) -> Vec<Trail> {
    let holder = |buffer: BufferId| lifetimes.iter().position(|l| l.buffers.contains(&buffer));
    let mut trails = Vec::new();
    for (at, op) in program.ops.iter().enumerate() {
        let Some(Overlap::Trailing { input, lead }) = op.overlap else { continue };
        let (Some(input), Some(output)) = (holder(input), holder(op.writes)) else { continue };
        let meets_only_here = lifetimes[input].last == at && lifetimes[output].first == at;
        if meets_only_here && input != output {
            trails.push(Trail { input, output, lead: lead.next_multiple_of(BUFFER_ALIGNMENT) });
        }
    }
    trails
}

/// First and last operator during which each buffer is alive; `None` for constants.
fn spans(program: &Program) -> Vec<Option<(usize, usize)>> {
    let mut spans: Vec<Option<(usize, usize)>> = vec![None; program.buffers.len()];
    // Outputs and states outlive the last operator: nothing may be written over them.
    let end = program.ops.len();
    let mut alive = |buffer: u16, at: usize| {
        let span = spans[buffer as usize].get_or_insert((at, at));
        *span = (span.0.min(at), span.1.max(at));
    };
    for port in &program.inputs {
        alive(port.tensor, 0);
    }
    for (at, op) in program.ops.iter().enumerate() {
        let touched = op.reads.iter().chain([&op.writes]).chain(&op.scratch);
        touched.for_each(|buffer| alive(buffer.0, at));
    }
    for port in &program.outputs {
        alive(port.tensor, end);
    }
    for state in &program.states {
        alive(state.buffer.0, 0);
        alive(state.buffer.0, end);
    }
    spans
}

/// The input which the operator that writes `buffer` may overwrite: it dies there, has the same
/// length, and nothing else wrote to the output before.
fn overwritten(
    program: &Program,
    spans: &[Option<(usize, usize)>],
    buffer: BufferId,
) -> Option<BufferId> {
    let (first, _) = spans[buffer.0 as usize]?;
    let op = program.ops.get(first).filter(|op| op.writes == buffer)?;
    let Some(Overlap::InPlace(input)) = op.overlap else { return None };
    let (_, last) = spans[input.0 as usize]?;
    let len = |id: BufferId| program.buffers[id.0 as usize].len_bytes;
    let others = op.reads.iter().filter(|&&read| read == input).count();
    (last == first && len(input) == len(buffer) && others == 1 && input != buffer).then_some(input)
}
