//! When every row is computed, and where every buffer lies in the arena.
//!
//! Buffers live from the step that first writes them to the last that reads them. Two that are
//! never alive together may share bytes; an operator that allows it writes its output over its
//! input, or trailing it. Where that lowers the peak, runs of operators are executed depth first,
//! row by row, so that only a few rows of the tensors between them exist at a time. The peak is
//! compared with a lower bound: the most bytes alive at one moment.

mod columns;
pub(crate) mod cost;
mod lifetime;
mod place;
mod rows;
mod schedule;
mod search;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::HashMap;

pub use columns::turn;
use lifetime::{Lifetime, lifetimes, trails};
use schedule::Choice;
pub use schedule::{Group, Step};
pub use search::Optimize;
use serde::{Deserialize, Serialize};

use crate::lower::program::{BufferId, Program};

/// Offsets in the arena are multiples of this, so that every element type is aligned.
pub const BUFFER_ALIGNMENT: usize = 4;

/// The order of execution and where buffers lie.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The schedule.
    pub steps: Vec<Step>,
    /// Rows that are held of buffers which never exist whole.
    pub rings: HashMap<BufferId, usize>,
    /// Offset in the arena per buffer; 0 for constants.
    pub offsets: Vec<usize>,
    /// Bytes per buffer: less than its length for rings.
    pub held_bytes: Vec<usize>,
    /// Bytes of the whole arena, a multiple of the format's alignment.
    pub arena_len: usize,
    /// No arrangement of these lifetimes needs fewer bytes.
    pub floor_len: usize,
    /// The buffers in the arena, in the order in which they come to life.
    pub entries: Vec<PlanEntry>,
}

/// One buffer of the plan, for reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanEntry {
    /// Name of the tensor.
    pub name: String,
    /// Bytes from the start of the arena.
    pub offset: usize,
    /// Length in bytes.
    pub bytes: usize,
    /// First operator during which it is alive.
    pub first_step: usize,
    /// Last operator during which it is alive.
    pub last_step: usize,
}

/// Plans a program.
pub fn plan(program: &Program, optimize: Optimize) -> Plan {
    arrange(program, &search::choice(program, optimize), place::Effort::Full)
}

/// Schedules a program as chosen and places its buffers.
fn arrange(program: &Program, choice: &Choice, effort: place::Effort) -> Plan {
    let schedule = schedule::schedule(program, choice);
    let lifetimes = lifetimes(program, &schedule, &choice.groups);
    let trails = trails(program, &schedule, &lifetimes);
    let blocks: Vec<place::Block> = lifetimes.iter().map(Lifetime::block).collect();
    let block_offsets = place::place(&blocks, &trails, effort);
    let mut offsets = vec![0; program.buffers.len()];
    for (lifetime, &offset) in lifetimes.iter().zip(&block_offsets) {
        lifetime.buffers.iter().for_each(|buffer| offsets[buffer.0 as usize] = offset);
    }
    let held = |index: usize| lifetime::held_bytes(program, &schedule, BufferId(index as u16));
    Plan {
        held_bytes: (0..program.buffers.len()).map(held).collect(),
        offsets,
        arena_len: place::peak(&blocks, &block_offsets).next_multiple_of(fixie_format::ALIGNMENT),
        floor_len: place::floor(&blocks, &trails),
        entries: entries(program, &schedule, &lifetimes, &block_offsets),
        steps: schedule.steps,
        rings: schedule.rings,
    }
}

/// The lifetimes in numbers of operators, for people.
fn entries(
    program: &Program,
    schedule: &schedule::Schedule,
    lifetimes: &[Lifetime],
    offsets: &[usize],
) -> Vec<PlanEntry> {
    let last_op = program.ops.len().saturating_sub(1);
    let op = |step: usize| schedule.steps.get(step).map_or(last_op, |step| step.op);
    let entry = |(lifetime, &offset): (&Lifetime, &usize)| {
        // Within a group the steps of several operators alternate.
        let ops = (lifetime.first..=lifetime.last).map(op);
        PlanEntry {
            name: lifetime.name(program),
            offset,
            bytes: lifetime.len_bytes,
            first_step: ops.clone().min().unwrap_or(0),
            last_step: ops.max().unwrap_or(0),
        }
    };
    let mut entries: Vec<PlanEntry> = lifetimes.iter().zip(offsets).map(entry).collect();
    entries.sort_by_key(|entry| (entry.first_step, entry.offset));
    entries
}
