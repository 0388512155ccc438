//! The table of latencies in `firmware/emulated/README.md`, which the tests compare with what they
//! measure.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use fixie_emulator::Board;
use fixie_emulator::toolchain::Toolchain;
use fixie_tests::repository;

use crate::{FAST_INSTRUCTION_NS, Session};

const OPENING: &str = "<!-- latencies -->\n";
const CLOSING: &str = "<!-- end of latencies -->\n";
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
    let fresh = [latency, session.longest_turn_ns / FAST_INSTRUCTION_NS];
    let compiler = Toolchain::find(board.target).unwrap().release().to_owned();

    let _guard = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let page = fs::read_to_string(path()).unwrap();
    let (before, rest) = page.split_once(OPENING).unwrap();
    let (table, after) = rest.split_once(CLOSING).unwrap();
    let mut rows: BTreeMap<_, _> = table.lines().filter_map(row).collect();
    let key = (application.to_owned(), board.name.to_owned());
    if env::var_os("FIXIE_BLESS").is_some() {
        rows.insert(key, fresh);
        let rows = rows.iter().fold(String::new(), |text, ((application, board), row)| {
            text + &format!("| {application} | `{board}` | {} | {} |\n", row[0], row[1])
        });
        let table = format!("Instructions, by {compiler}:\n\n{HEADER}{rows}");
        fs::write(path(), [before, OPENING, &table, CLOSING, after].concat()).unwrap();
    } else if table.contains(&compiler) {
        let written = rows.get(&key);
        let is_same = |(fresh, written): (&u64, &u64)| fresh.abs_diff(*written) <= written / 50;
        assert!(
            written.is_some_and(|written| fresh.iter().zip(written).all(is_same)),
            "{key:?} takes {fresh:?} instructions, the table says {written:?}; if that is meant, run \
             this test with FIXIE_BLESS=1"
        );
    } else {
        println!("NOT COMPARED: the latencies, which are of another compiler");
    }
}

/// Application and board, and their figures.
fn row(line: &str) -> Option<((String, String), [u64; 2])> {
    let cells: Vec<_> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
    let ["", application, board, latency, turn, ""] = cells[..] else { return None };
    let figures = [latency.parse().ok()?, turn.parse().ok()?];
    Some(((application.to_owned(), board.to_owned()), figures))
}

fn path() -> PathBuf {
    repository().join("firmware/emulated/README.md")
}
