//! `cargo xtask size`: what firmware takes in flash beyond its image, and the proof that nothing in
//! it can panic or allocate.

use std::fs;

use anyhow::{Context, Result, bail};
use fixie_emulator::elf::Elf;
use fixie_emulator::firmware::{BARE, Firmware};
use fixie_emulator::{BOARDS, Board, EmulatorError};
use rayon::prelude::*;
use tempfile::TempDir;

use crate::models::{self, Model, fixie};

/// Builds the bare firmware of each model for each board and looks at its symbols.
pub fn check() -> Result<()> {
    let (models, _) = models::available()?;
    fixie()?; // built before the boards compete for the cores
    let directory = TempDir::new()?;
    let offences: usize = BOARDS
        .par_iter()
        .map(|board| check_board(board, &models, &directory))
        .sum::<Result<usize>>()?;
    if offences > 0 {
        bail!("{offences} symbols of panicking or allocating code are linked");
    }
    Ok(())
}

fn check_board(board: &'static Board, models: &[Model], directory: &TempDir) -> Result<usize> {
    let mut offences = 0;
    for model in models {
        let path = model.convert(board, directory)?;
        let image = fs::read(&path).with_context(|| path.display().to_string())?;
        let firmware = match Firmware::build(board, BARE, Some(&image), &|_| {}) {
            Err(EmulatorError::DoesNotFit { problem, .. }) => {
                println!("{:<14} {:<12} does not fit: {problem}", board.name, model.name);
                continue;
            }
            other => other?,
        };
        let elf = Elf::parse(&firmware.elf)?;
        let symbols = elf.panics_and_allocations();
        let code = elf.flash_bytes() - image.len() as u64;
        println!(
            "{:<14} {:<12} {code:>7} B of code and constants, {} panicking symbols",
            board.name,
            model.name,
            symbols.len()
        );
        for symbol in &symbols {
            println!("    {symbol}");
        }
        offences += symbols.len();
    }
    Ok(offences)
}
