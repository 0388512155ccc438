//! Which operators to execute depth first, and which in tiles.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use fixie_format::Opcode;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::place::Effort;
use super::schedule::{Choice, Group, is_group, most_channels};
use super::{arrange, cost};
use crate::choice::UnknownName;
use crate::lower::program::{Params, Program, ProgramOp};

/// What a plan may spend instructions on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimize {
    /// Nothing: every operator runs whole.
    Latency,
    /// A smaller arena, where a percent of memory costs at most a third of a percent of instructions.
    #[default]
    Balanced,
    /// The smallest arena.
    Ram,
    /// As much as brings the arena under this many bytes, and no more.
    Within(usize),
    /// The smallest image; memory as balanced.
    Size,
}

impl FromStr for Optimize {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        match name {
            "latency" => Ok(Self::Latency),
            "balanced" => Ok(Self::Balanced),
            "ram" => Ok(Self::Ram),
            "size" => Ok(Self::Size),
            _ => Err(UnknownName::new("goal", name, "latency, balanced, ram or size")),
        }
    }
}

impl fmt::Display for Optimize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency => f.write_str("latency"),
            Self::Balanced => f.write_str("balanced"),
            Self::Ram => f.write_str("ram"),
            Self::Within(bytes) => write!(f, "within {bytes} bytes"),
            Self::Size => f.write_str("size"),
        }
    }
}

/// The longest group that is tried.
const MAX_GROUP: usize = 12;
/// Rows per round that are tried.
const ROWS: [usize; 4] = [1, 2, 4, 8];
/// Limits of the rows per step that are tried.
const STEP_ROWS: [usize; 4] = [1, 2, 4, usize::MAX];
/// Added to the score of a plan that does not fit; others stay far below.
const MISFIT: f64 = 1000.0;
/// Into how many tiles depthwise layers are cut that need scratch memory for their rows.
const TILES: [usize; 3] = [1, 2, 4];
/// Kernels do so many channels at a time.
const PART_UNIT: usize = 4;
/// Bytes of constants that layers decode at a time, if they need scratch memory for their channels.
const PARTS: [usize; 4] = [usize::MAX, 8192, 4096, 1024];

/// The order of execution that pays.
pub fn choice(program: &Program, optimize: Optimize) -> Choice {
    let whole = Choice::default();
    if optimize == Optimize::Latency {
        return whole;
    }
    let search = Search { program, optimize, whole: cost::instructions(program, &whole) };
    let candidates = candidates(program);
    let mut parts: Vec<_> = PARTS.iter().map(|&bytes| cut_channels(program, bytes)).collect();
    parts.dedup();
    let cuts = TILES.iter().flat_map(|&tiles| parts.iter().map(move |parts| (tiles, parts)));
    let found = cuts.map(|(tiles, parts)| {
        let tiles = cut(program, tiles);
        let choice = Choice { tiles, parts: parts.clone(), ..Choice::default() };
        let improved = search.improve(&candidates, search.judge(choice, Effort::Quick));
        search.judge(improved.choice, Effort::Full)
    });
    let best = found.min_by(|a, b| a.score.total_cmp(&b.score));
    let best = best.map(|best| search.without_needless_groups(best));
    best.map_or(whole, |best| search.without_needless_cuts(best).choice)
}

/// A choice and how good it is: the lower the better.
struct Judged {
    choice: Choice,
    score: f64,
}

/// What choices are compared by.
struct Search<'p> {
    program: &'p Program,
    optimize: Optimize,
    /// Instructions if every operator runs whole.
    whole: f64,
}

impl Search<'_> {
    fn judge(&self, choice: Choice, effort: Effort) -> Judged {
        let arena_len = arrange(self.program, &choice, effort).arena_len as f64;
        let spent = cost::instructions(self.program, &choice) / self.whole;
        let score = match self.optimize {
            Optimize::Balanced | Optimize::Size => arena_len.ln() + 3.0 * spent.ln(),
            Optimize::Ram => arena_len.ln() + 0.001 * spent.ln(),
            // What does not fit is worse than all that fits.
            Optimize::Within(bytes) if arena_len > bytes as f64 => MISFIT + arena_len.ln(),
            Optimize::Latency | Optimize::Within(_) => spent.ln(),
        };
        Judged { choice, score }
    }

    /// Greedy: of all groups the one that helps most is added, instead of those that it meets, as
    /// long as one helps.
    fn improve(&self, candidates: &[Group], mut best: Judged) -> Judged {
        loop {
            let with = |group: &Group| {
                let mut choice = best.choice.clone();
                let apart = |other: &Group| {
                    other.ops.end <= group.ops.start || group.ops.end <= other.ops.start
                };
                choice.groups.retain(apart);
                choice.groups.push(group.clone());
                choice.groups.sort_by_key(|group| group.ops.start);
                self.judge(choice, Effort::Quick)
            };
            let tried: Vec<Judged> = candidates.par_iter().map(with).collect();
            match tried.into_iter().min_by(|a, b| a.score.total_cmp(&b.score)) {
                Some(better) if better.score < best.score => best = better,
                _ => return best,
            }
        }
    }

    /// Executes groups operator by operator again where the others do without them.
    fn without_needless_groups(&self, mut best: Judged) -> Judged {
        for group in best.choice.groups.clone() {
            let mut choice = best.choice.clone();
            choice.groups.retain(|other| *other != group);
            let other = self.judge(choice, Effort::Full);
            if other.score < best.score {
                best = other;
            }
        }
        best
    }

    /// Gives layers that are cut memory for all their rows, or channels, where that is better.
    fn without_needless_cuts(&self, mut best: Judged) -> Judged {
        let Choice { tiles, parts, .. } = best.choice.clone();
        for op in tiles.into_keys().chain(parts.into_keys()) {
            let mut choice = best.choice.clone();
            choice.tiles.remove(&op);
            choice.parts.remove(&op);
            let other = self.judge(choice, Effort::Full);
            if other.score < best.score {
                best = other;
            }
        }
        best
    }
}

/// All groups that are possible.
fn candidates(program: &Program) -> Vec<Group> {
    let count = program.ops.len();
    let ranges = (0..count)
        .flat_map(|start| (start + 2..=count.min(start + MAX_GROUP)).map(move |end| start..end))
        .filter(|ops: &Range<usize>| is_group(program, ops));
    let rows = ROWS.iter().flat_map(|&rows| STEP_ROWS.map(|step_rows| (rows, step_rows)));
    let rows: Vec<_> = rows.collect();
    ranges
        .flat_map(|ops| {
            let group = |&(rows, step_rows)| Group { ops: ops.clone(), rows, step_rows };
            rows.iter().map(group).collect::<Vec<_>>()
        })
        .filter(|group| group.rows < usize::from(program.ops[group.ops.end - 1].rows))
        .collect()
}

/// Cuts all layers that need scratch memory for their rows into tiles.
fn cut(program: &Program, tiles: usize) -> BTreeMap<usize, usize> {
    let by_rows = |op: &ProgramOp| op.opcode == Opcode::DepthwisePlanar && tiles > 1;
    let ops = program.ops.iter().enumerate().filter(|(_, op)| by_rows(op));
    ops.map(|(index, op)| (index, usize::from(op.rows).div_ceil(tiles))).collect()
}

/// Cuts all layers that need more scratch memory for their channels into parts of about so many
/// `bytes`.
fn cut_channels(program: &Program, bytes: usize) -> BTreeMap<usize, usize> {
    let part = |(index, op): (usize, &ProgramOp)| {
        let (Params::Conv(conv), most) = (&op.params, most_channels(op)?) else { return None };
        let inputs = usize::from(conv.window.in_c / conv.groups.max(1));
        let taps = usize::from(conv.window.kernel_h) * usize::from(conv.window.kernel_w) * inputs;
        let part = (bytes / taps.max(1)).clamp(1, most.max(1)).next_multiple_of(PART_UNIT);
        (part < most)
            .then(|| (index, most.div_ceil(most.div_ceil(part)).next_multiple_of(PART_UNIT)))
    };
    program.ops.iter().enumerate().filter_map(part).collect()
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

    #[test]
    fn a_budget_is_met_by_the_cheapest_plan() {
        let program = conv_chain(32, 6);
        let [whole, least] =
            [Optimize::Latency, Optimize::Ram].map(|goal| plan(&program, goal).arena_len);
        let cost = |bytes| {
            let optimize = Optimize::Within(bytes);
            assert!(plan(&program, optimize).arena_len <= bytes, "{bytes}");
            cost::instructions(&program, &choice(&program, optimize))
        };
        let costs = [least, usize::midpoint(least, whole), whole].map(cost);
        assert!(costs[0] >= costs[1] && costs[1] >= costs[2], "{costs:?}");
        assert_eq!(costs[2], cost::instructions(&program, &Choice::default()));
        assert!(plan(&program, Optimize::Within(least / 2)).arena_len > least / 2);
    }
}
