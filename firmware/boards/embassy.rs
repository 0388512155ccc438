//! What the boards with embassy have in common: part of each of their crates.

use embassy_executor::{SendSpawner, SpawnError, SpawnToken, task};
use embassy_time::{Duration, Ticker};
use fixie_session::MAX_SLEEP_MS;

/// Wakes the application from time to time.
#[task]
pub async fn tick() {
    let mut ticker = Ticker::every(Duration::from_millis(MAX_SLEEP_MS.into()));
    loop {
        ticker.next().await;
    }
}

/// Starts a task, of which there is one each.
pub fn spawn<S: Send>(spawner: SendSpawner, task: Result<SpawnToken<S>, SpawnError>) {
    match task {
        Ok(token) => spawner.spawn(token),
        Err(error) => defmt::error!("a task cannot start: {}", defmt::Debug2Format(&error)),
    }
}
