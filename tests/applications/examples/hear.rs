//! What the keyword application hears in a long recording, on the host: `hear IMAGE TALK.npz`, with
//! a recording by `tools/models/talk.py`.
#![expect(clippy::large_stack_arrays, reason = "the stack of a host has room for them")]

use std::env;
use std::error::Error;
use std::fs::File;
use std::path::Path;

use fixie::{ALL_OPS, Aligned};
use fixie_applications::keyword::{KeywordSpotter, SAMPLE_RATE_HZ, SHIPPED};
use fixie_applications::{Application, Decision, Status};
use fixie_compiler::session::Network;
use ndarray::Array1;
use ndarray_npy::NpzReader;

/// A word counts as heard if it is told within so many samples from its beginning.
const PATIENCE: u64 = 3 * SAMPLE_RATE_HZ as u64 / 2;

fn main() -> Result<(), Box<dyn Error>> {
    let [image, talk] = <[String; 2]>::try_from(env::args().skip(1).collect::<Vec<_>>())
        .map_err(|_| "usage: hear IMAGE TALK.npz")?;
    let mut file = NpzReader::new(File::open(talk)?)?;
    let sound: Array1<i16> = file.by_name("sound.npy")?;
    let starts: Array1<i64> = file.by_name("start.npy")?;
    let classes: Array1<i64> = file.by_name("y.npy")?;
    let mut decisions = listen(Network::load(Path::new(&image))?.bytes(), &sound.to_vec())?;

    let labels = SHIPPED.labels;
    let (mut right, mut keywords) = (labels.map(|_| 0), labels.map(|_| 0));
    for (&start, &class) in starts.iter().zip(&classes) {
        let (start, class) = (start as u64, class as usize);
        keywords[class] += 1;
        let found = decisions.iter().position(|decision| {
            decision.detection.class == class
                && (start..start + PATIENCE).contains(&decision.sample)
        });
        if let Some(found) = found {
            decisions.remove(found);
            right[class] += 1;
        }
    }
    for class in 1..labels.len() {
        println!("{:<6} heard {} of {}", labels[class], right[class], keywords[class]);
    }
    let minutes = sound.len() as f64 / f64::from(SAMPLE_RATE_HZ) / 60.0;
    println!(
        "{} false alarms in {minutes:.0} minutes with {} other words",
        decisions.len(),
        keywords[0]
    );
    Ok(())
}

/// All decisions on a recording.
fn listen(image: &[u8], sound: &[i16]) -> Result<Vec<Decision>, Box<dyn Error>> {
    let mut arena = Box::new(Aligned([0_u8; 1 << 20]));
    let mut spotter = KeywordSpotter::<ALL_OPS, _>::new(image, &mut arena.0, &SHIPPED)?;
    let mut decisions = Vec::new();
    for block in sound.chunks(160) {
        spotter.push_samples(block);
        loop {
            match spotter.poll()? {
                Status::Idle => break,
                Status::Busy => {}
                Status::Inferred(decision) => decisions.extend(decision),
            }
        }
    }
    Ok(decisions)
}
