//! The memory plan as a picture: which buffer is alive when, and how full the arena is.

use fixie_compiler::plan::PlanEntry;

use crate::table;

/// Most columns of the picture: longer schedules are drawn several steps to the column.
const MAX_COLUMNS: usize = 48;

/// Eighths of a character cell, empty to full.
const LEVELS: [char; 9] = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws one row per buffer, and below them the bytes in use against the arena's length.
pub fn draw(plan: &[PlanEntry], steps: usize, arena_bytes: usize) -> String {
    let columns = steps.clamp(1, MAX_COLUMNS);
    // The steps that a column stands for: at least one, all of them together every step once.
    let steps_of = |column: usize| column * steps / columns..(column + 1) * steps / columns;
    let alive = |entry: &PlanEntry, column: usize| {
        let steps = steps_of(column);
        entry.first_step < steps.end && steps.start <= entry.last_step
    };
    let mut rows: Vec<[String; 4]> = plan
        .iter()
        .filter(|entry| entry.bytes > 0)
        .map(|entry| {
            let bar = (0..columns).map(|column| if alive(entry, column) { '█' } else { '·' });
            [
                table::name(&entry.name),
                table::count(entry.offset as u64),
                table::count(entry.bytes as u64),
                bar.collect(),
            ]
        })
        .collect();
    let used = |step: usize| -> usize {
        let alive = plan.iter().filter(|e| (e.first_step..=e.last_step).contains(&step));
        alive.map(|entry| entry.bytes).sum()
    };
    let levels = (0..columns).map(|column| {
        let used = steps_of(column).map(used).max().unwrap_or(0);
        // Rounded up, so that a full cell means a full arena and an empty one an empty arena.
        LEVELS[(used * 8).div_ceil(arena_bytes.max(1)).min(8)]
    });
    let levels = levels.collect();
    rows.push(["bytes in use".to_owned(), String::new(), table::count(arena_bytes as u64), levels]);
    let heading = format!("steps 0 to {}", steps.saturating_sub(1));
    table::table(["buffer", "#offset", "#bytes", &heading], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, offset: usize, bytes: usize, steps: (usize, usize)) -> PlanEntry {
        PlanEntry { name: name.to_owned(), offset, bytes, first_step: steps.0, last_step: steps.1 }
    }

    /// The last word of each row.
    fn bars(text: &str) -> Vec<&str> {
        text.lines().skip(2).filter_map(|line| line.split_whitespace().last()).collect()
    }

    #[test]
    fn bars_span_lifetimes() {
        let plan =
            [entry("x", 0, 40, (0, 1)), entry("h", 40, 40, (1, 2)), entry("y", 0, 10, (2, 3))];
        let text = draw(&plan, 4, 80);
        assert_eq!(bars(&text), ["██··", "·██·", "··██", "▄█▅▁"], "\n{text}");
    }

    #[test]
    fn long_schedules_are_condensed() {
        let plan = [entry("x", 0, 8, (0, 499)), entry("brief", 8, 8, (999, 999))];
        let text = draw(&plan, 1000, 16);
        let bars = bars(&text);
        assert!(bars.iter().all(|bar| bar.chars().count() == MAX_COLUMNS), "\n{text}");
        assert_eq!(bars[0].matches('█').count(), MAX_COLUMNS / 2);
        assert!(bars[1].ends_with("·█"));
    }

    #[test]
    fn nothing_to_draw_is_no_reason_to_fail() {
        assert!(draw(&[], 0, 0).contains("bytes in use"));
    }
}
