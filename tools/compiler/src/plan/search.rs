//! Which operators to execute depth first.
//!
//! Greedy: of all runs of operators that can be interleaved, the one that lowers the peak most for
//! what it costs is taken, as long as one pays.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use fixie_format::Opcode;
use fixie_format::op::{self, planar};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::place::Effort;
use super::schedule::{Group, is_group};
use super::{Plan, arrange};
use crate::lower::program::{Params, Program, ProgramOp};

/// What a plan may spend instructions on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimize {
    /// Nothing: every operator runs whole.
    Latency,
    /// A smaller arena, where a percent of memory costs at most a quarter percent of instructions.
    #[default]
    Balanced,
    /// The smallest arena.
    Ram,
}

/// A name that is no [`Optimize`]'s.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown goal `{0}`: choose latency, balanced or ram")]
pub struct UnknownGoal(String);

impl FromStr for Optimize {
    type Err = UnknownGoal;

    fn from_str(name: &str) -> Result<Self, UnknownGoal> {
        match name {
            "latency" => Ok(Self::Latency),
            "balanced" => Ok(Self::Balanced),
            "ram" => Ok(Self::Ram),
            _ => Err(UnknownGoal(name.to_owned())),
        }
    }
}

impl fmt::Display for Optimize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Latency => "latency",
            Self::Balanced => "balanced",
            Self::Ram => "ram",
        })
    }
}

/// The longest group that is tried.
const MAX_GROUP: usize = 12;
/// Rows per round that are tried.
const ROWS: [usize; 4] = [1, 2, 4, 8];

/// Instructions around each step, roughly.
const CALL: f64 = 400.0;

/// The groups that pay.
pub fn groups(program: &Program, optimize: Optimize) -> Vec<Group> {
    let mut chosen: Vec<Group> = Vec::new();
    if optimize == Optimize::Latency {
        return chosen;
    }
    let candidates = candidates(program);
    let instructions: f64 = program.ops.iter().map(|op| op.macs as f64 + CALL).sum();
    let mut arena_len = arrange(program, &chosen, Effort::Quick).arena_len;
    loop {
        let apart = |group: &&Group| {
            chosen
                .iter()
                .all(|other| other.ops.end <= group.ops.start || group.ops.end <= other.ops.start)
        };
        let gain = |group: &Group| {
            let groups = with(&chosen, group);
            let Plan { arena_len: smaller, .. } = arrange(program, &groups, Effort::Quick);
            let saved = 1.0 - smaller as f64 / arena_len as f64;
            let spent = cost(program, group) / instructions;
            let worth = match optimize {
                Optimize::Ram => saved - spent / 1000.0,
                _ => saved - 4.0 * spent,
            };
            (worth, smaller, groups)
        };
        let tried: Vec<_> =
            candidates.iter().filter(apart).collect::<Vec<_>>().into_par_iter().map(gain).collect();
        let best = tried.into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
        match best {
            Some((worth, smaller, groups)) if worth > 0.0 && smaller < arena_len => {
                arena_len = smaller;
                chosen = groups;
            }
            _ => return chosen,
        }
    }
}

/// All groups that are possible.
fn candidates(program: &Program) -> Vec<Group> {
    let count = program.ops.len();
    let ranges = (0..count)
        .flat_map(|start| (start + 2..=count.min(start + MAX_GROUP)).map(move |end| start..end))
        .filter(|ops: &Range<usize>| is_group(program, ops));
    ranges
        .flat_map(|ops| ROWS.map(|rows| Group { ops: ops.clone(), rows }))
        .filter(|group| group.rows < usize::from(program.ops[group.ops.end - 1].rows))
        .collect()
}

fn with(chosen: &[Group], group: &Group) -> Vec<Group> {
    let mut groups = chosen.to_vec();
    groups.push(group.clone());
    groups.sort_by_key(|group| group.ops.start);
    groups
}

/// Instructions that interleaving costs, roughly: each step is a call and ends its rows with a block
/// that is not full.
fn cost(program: &Program, group: &Group) -> f64 {
    let rounds = f64::from(program.ops[group.ops.end - 1].rows) / group.rows as f64;
    let of_op = |op: &ProgramOp| {
        let steps = rounds.min(op.rows.into());
        let Params::Conv(op::Conv { window, .. }) = op.params else { return CALL * steps };
        let rows = f64::from(op.rows) / steps;
        let more = match op.opcode {
            Opcode::DepthwisePlanar => {
                // For every few channels the kernels are unpacked, and the rows around expanded,
                // anew.
                const GROUP: f64 = 1600.0;
                let groups = f64::from(window.in_c) / planar::CHANNELS as f64;
                let rows_per_block = if window.stride_h == 1 { 2.0 } else { 1.0 };
                GROUP * groups * steps + waste(rows, rows_per_block) * 2.0 * op.macs as f64
            }
            _ => waste(rows * f64::from(window.out_w), 3.0) * op.macs as f64,
        };
        CALL * steps + more
    };
    program.ops[group.ops.clone()].iter().map(of_op).sum()
}

/// What is computed in vain if `count` things are computed in whole blocks, as a share of them.
fn waste(count: f64, block: f64) -> f64 {
    (count / block).ceil() * block / count - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::plan;
    use crate::plan::testing::{conv_chain, residual};

    #[test]
    fn depth_first_plans_need_less_memory() {
        for program in [conv_chain(32, 4), residual(32)] {
            let whole = plan(&program, Optimize::Latency);
            let least = plan(&program, Optimize::Ram);
            assert!(least.arena_len < whole.arena_len, "{} {}", least.arena_len, whole.arena_len);
            assert!(whole.rings.is_empty() && !least.rings.is_empty());
        }
    }
}
