//! Where every buffer lies in the arena.
//!
//! Buffers live from the operator that first writes them to the last that reads them. Two that are
//! never alive together may share bytes; an operator that allows it writes its output over its
//! input. The peak is compared with a lower bound: the most bytes alive at one moment.

mod lifetime;
mod place;

use lifetime::{Lifetime, lifetimes, trails};
use serde::{Deserialize, Serialize};

use crate::lower::program::Program;

/// Offsets in the arena are multiples of this, so that every element type is aligned.
pub const BUFFER_ALIGNMENT: usize = 4;

/// Where buffers lie.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Offset in the arena per buffer; 0 for constants.
    pub offsets: Vec<usize>,
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

/// Plans the arena of a program.
pub fn plan(program: &Program) -> Plan {
    let lifetimes = lifetimes(program);
    let blocks: Vec<place::Block> = lifetimes.iter().map(Lifetime::block).collect();
    let trails = trails(program, &lifetimes);
    let block_offsets = place::place(&blocks, &trails);
    let mut offsets = vec![0; program.buffers.len()];
    for (lifetime, &offset) in lifetimes.iter().zip(&block_offsets) {
        lifetime.buffers.iter().for_each(|buffer| offsets[buffer.0 as usize] = offset);
    }
    let mut entries: Vec<PlanEntry> = lifetimes
        .iter()
        .zip(&block_offsets)
        .map(|(lifetime, &offset)| PlanEntry {
            name: lifetime.name(program),
            offset,
            bytes: lifetime.len_bytes,
            first_step: lifetime.first,
            last_step: lifetime.last,
        })
        .collect();
    entries.sort_by_key(|entry| (entry.first_step, entry.offset));
    Plan {
        offsets,
        arena_len: place::peak(&blocks, &block_offsets)
            .next_multiple_of(fixie_format::ALIGNMENT),
        floor_len: place::floor(&blocks, &trails),
        entries,
    }
}
