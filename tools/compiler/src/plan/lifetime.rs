//! When each buffer is alive, and which buffers share memory.

use std::ops::Range;

use super::BUFFER_ALIGNMENT;
use super::place::{Block, Trail};
use super::rows::needed;
use super::schedule::{Group, Schedule};
use crate::lower::program::{BufferId, Overlap, Program};

/// A span of memory that one buffer, a chain of buffers updated in place, or the scratch memory of
/// a group occupies.
#[derive(Clone, Debug)]
pub struct Lifetime {
    /// The buffers, in the order in which they take the memory over.
    pub buffers: Vec<BufferId>,
    /// Bytes, aligned.
    pub len_bytes: usize,
    /// First step during which it is alive.
    pub first: usize,
    /// Last step during which it is alive.
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

/// Bytes that a buffer occupies: all of it, or its ring, or as much scratch memory as is needed.
pub fn held_bytes(program: &Program, schedule: &Schedule, buffer: BufferId) -> usize {
    if let Some(&scratch_len) = schedule.scratch_len.get(&buffer) {
        return scratch_len;
    }
    let len_bytes = program.buffers[buffer.0 as usize].len_bytes;
    match (schedule.rings.get(&buffer), writer(program, buffer)) {
        (Some(ring), Some(op)) => {
            let rows = usize::from(program.ops[op].rows).max(1);
            ring * (len_bytes / rows)
        }
        _ => len_bytes,
    }
}

/// The lifetimes of all buffers in the arena.
pub fn lifetimes(program: &Program, schedule: &Schedule, groups: &[Group]) -> Vec<Lifetime> {
    let spans = spans(program, schedule);
    let mut lifetimes: Vec<Lifetime> = Vec::new();
    // The lifetime that currently holds each buffer.
    let mut holder: Vec<Option<usize>> = vec![None; program.buffers.len()];
    let mut order: Vec<usize> = (0..spans.len()).filter(|&b| spans[b].is_some()).collect();
    order.sort_by_key(|&buffer| spans[buffer]);
    for buffer in order {
        let Some((first, last)) = spans[buffer] else { continue };
        let id = BufferId(buffer as u16);
        let len_bytes = held_bytes(program, schedule, id).next_multiple_of(BUFFER_ALIGNMENT);
        let shared = overwritten(program, schedule, &spans, id)
            .or_else(|| same_scratch(program, groups, id))
            .and_then(|other| holder[other.0 as usize]);
        let index = if let Some(index) = shared {
            let lifetime = &mut lifetimes[index];
            lifetime.buffers.push(id);
            lifetime.last = lifetime.last.max(last);
            lifetime.len_bytes = lifetime.len_bytes.max(len_bytes);
            index
        } else {
            lifetimes.push(Lifetime { buffers: vec![id], len_bytes, first, last });
            lifetimes.len() - 1
        };
        holder[buffer] = Some(index);
    }
    lifetimes
}

/// The only operator that writes a buffer.
fn writer(program: &Program, buffer: BufferId) -> Option<usize> {
    let mut writers = (0..program.ops.len()).filter(|&op| program.ops[op].writes == buffer);
    let first = writers.next()?;
    writers.next().is_none().then_some(first)
}

/// First and last step during which each buffer is alive; `None` for constants.
fn spans(program: &Program, schedule: &Schedule) -> Vec<Option<(usize, usize)>> {
    let mut spans: Vec<Option<(usize, usize)>> = vec![None; program.buffers.len()];
    // Outputs and states outlive the last step: nothing may be written over them.
    let end = schedule.steps.len();
    let mut alive = |buffer: u16, at: usize| {
        let span = spans[buffer as usize].get_or_insert((at, at));
        *span = (span.0.min(at), span.1.max(at));
    };
    // Those that are given by rows are written by an operator.
    for port in program.inputs.iter().filter(|port| port.rows == 0) {
        alive(port.tensor, 0);
    }
    for (at, step) in schedule.steps.iter().enumerate() {
        let op = &program.ops[step.op];
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
    schedule: &Schedule,
    spans: &[Option<(usize, usize)>],
    buffer: BufferId,
) -> Option<BufferId> {
    let (first, _) = spans[buffer.0 as usize]?;
    let step = schedule.steps.get(first)?;
    let op = &program.ops[step.op];
    let Some(Overlap::InPlace(input)) = schedule.overlap(program, step.op) else { return None };
    let whole = step.rows.len() == usize::from(op.rows) && op.writes == buffer;
    let (_, last) = spans[input.0 as usize]?;
    let len = |id: BufferId| held_bytes(program, schedule, id);
    let others = op.reads.iter().filter(|&&read| read == input).count();
    let dies = last == first && len(input) == len(buffer) && others == 1 && input != buffer;
    (whole && dies).then_some(input)
}

/// The scratch memory of an earlier operator of the same group: only one of them works at a time.
fn same_scratch(program: &Program, groups: &[Group], buffer: BufferId) -> Option<BufferId> {
    let owner = program.ops.iter().position(|op| op.scratch == Some(buffer))?;
    let group = groups.iter().find(|group| group.ops.contains(&owner))?;
    let mut scratches = group.ops.clone().filter_map(|op| program.ops[op].scratch);
    scratches.find(|&scratch| scratch != buffer)
}

/// Which lifetimes may overlap in memory although they meet in time: an output may trail an input
/// if it never gets ahead of what is still to be read.
pub fn trails(program: &Program, schedule: &Schedule, lifetimes: &[Lifetime]) -> Vec<Trail> {
    let mut trails = Vec::new();
    for (output, written) in lifetimes.iter().enumerate() {
        for (input, read) in lifetimes.iter().enumerate() {
            let meet = read.first < written.first && written.first <= read.last;
            if input == output || !meet || read.last >= schedule.steps.len() {
                continue;
            }
            let steps = written.first..read.last + 1;
            if let Some(lead) = lead(program, schedule, steps, &read.buffers, &written.buffers) {
                let lead = lead.next_multiple_of(BUFFER_ALIGNMENT);
                trails.push(Trail { input, output, lead });
            }
        }
    }
    trails
}

/// How many bytes before the memory of `inputs` that of `outputs` must start so that, during
/// `steps`, nothing of the one is overwritten by the other before it is read; `None` if that cannot
/// be said.
fn lead(
    program: &Program,
    schedule: &Schedule,
    steps: Range<usize>,
    inputs: &[BufferId],
    outputs: &[BufferId],
) -> Option<usize> {
    let is_scratch = |buffer: &BufferId| program.ops.iter().any(|op| op.scratch == Some(*buffer));
    let excluded = |buffer: &BufferId| schedule.rings.contains_key(buffer) || is_scratch(buffer);
    if inputs.iter().chain(outputs).any(excluded) {
        return None;
    }
    if steps.len() == 1 {
        let step = &schedule.steps[steps.start];
        let op = &program.ops[step.op];
        let whole = step.rows.len() == usize::from(op.rows);
        if op.reads.iter().any(|read| inputs.contains(read)) && outputs.contains(&op.writes) {
            // One step reads and writes: its kernel says how far it may lag behind itself.
            return match schedule.overlap(program, step.op) {
                Some(Overlap::Trailing { input, lead }) if whole && inputs.contains(&input) => {
                    Some(lead)
                }
                _ => None,
            };
        }
    }
    let (mut written, mut lead) = (0, 0);
    for at in steps.clone() {
        let step = &schedule.steps[at];
        let op = &program.ops[step.op];
        if outputs.contains(&op.writes) {
            let row_bytes =
                program.buffers[op.writes.0 as usize].len_bytes / usize::from(op.rows).max(1);
            written = step.rows.end * row_bytes;
        }
        for &input in inputs {
            let needed = first_needed(program, schedule, at..steps.end, input)?;
            lead = lead.max(written.saturating_sub(needed));
        }
    }
    Some(lead)
}

/// The first byte of a buffer that some steps still need; the length of the buffer if none does.
fn first_needed(
    program: &Program,
    schedule: &Schedule,
    steps: Range<usize>,
    buffer: BufferId,
) -> Option<usize> {
    let len_bytes = program.buffers[buffer.0 as usize].len_bytes;
    let mut first = len_bytes;
    for step in &schedule.steps[steps] {
        let op = &program.ops[step.op];
        if op.reads.contains(&buffer) {
            let rows = needed(op, buffer, &step.rows)?;
            let height = input_rows(program, buffer, step.op)?;
            first = first.min(rows.start * (len_bytes / height));
        }
    }
    Some(first)
}

/// The number of rows that an operator sees in a buffer.
fn input_rows(program: &Program, buffer: BufferId, op: usize) -> Option<usize> {
    let op = &program.ops[op];
    let all = needed(op, buffer, &(0..usize::from(op.rows)))?;
    // Windows may not reach the last rows: those are of the same length.
    Some(op.params.window().map_or(all.end, |window| window.in_h.into()))
}
