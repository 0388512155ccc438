//! The table of latencies in `firmware/emulated/README.md`, which the tests compare with what they
//! measure.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use fixie_emulator::Board;
use fixie_emulator::toolchain::Toolchain;
use fixie_tests::{figures, repository};

use crate::{FAST_INSTRUCTION_NS, Session};

const HEADER: &str =
    "| application | board | to the decision | longest turn |\n|---|---|--:|--:|\n";

/// The tests of one application run at the same time.
static PAGE: Mutex<()> = Mutex::new(());

/// Compares what a session took with the row of the table; writes it with `FIXIE_BLESS=1`.
///
/// In another folder functions may lie in another order, and calls between them take another way: a
/// fiftieth more or less is the same.
pub fn check(board: &'static Board, application: &str, session: &Session) {
    let decisions = session.decisions.iter().map(|decision| decision.latency_ns);
    let latency = decisions.max().expect("a decision") / FAST_INSTRUCTION_NS;
    let measured = [latency, session.longest_turn_ns / FAST_INSTRUCTION_NS];
    let compiler = Toolchain::find(board.target).unwrap().release().to_owned();
    let fresh = |table: &str| {
        let mut rows: BTreeMap<_, _> = table.lines().filter_map(row).collect();
        rows.insert((application.to_owned(), board.name.to_owned()), measured);
        let rows = rows.iter().fold(String::new(), |text, ((application, board), row)| {
            text + &format!("| {application} | `{board}` | {} | {} |\n", row[0], row[1])
        });
        format!("Instructions, by {compiler}:\n\n{HEADER}{rows}")
    };
    let is_same = |fresh: u64, written: u64| fresh.abs_diff(written) <= written / 50;
    let page = repository().join("firmware/emulated/README.md");
    let _guard = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
    figures::check(&page, "latencies", &compiler, fresh, is_same);
}

/// Application and board, and their figures.
fn row(line: &str) -> Option<((String, String), [u64; 2])> {
    let cells: Vec<_> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
    let ["", application, board, latency, turn, ""] = cells[..] else { return None };
    let figures = [latency.parse().ok()?, turn.parse().ok()?];
    Some(((application.to_owned(), board.to_owned()), figures))
}
