//! A queue from an interrupt to the application, which counts what it had no room for.

use core::sync::atomic::{AtomicU32, Ordering};

use fixie_sensors::SampleSource;
use heapless::spsc::{Consumer, Producer, Queue};

/// The queue: room for `N - 1` samples.
pub struct Channel<T, const N: usize> {
    queue: Queue<T, N>,
    /// Samples that were lost so far; only the sender writes it.
    lost: AtomicU32,
}

/// The interrupt's end.
pub struct Sender<T: 'static> {
    queue: Producer<'static, T>,
    lost: &'static AtomicU32,
}

/// The application's end.
pub struct Receiver<T: 'static> {
    queue: Consumer<'static, T>,
    lost: &'static AtomicU32,
    /// Lost samples that are reported already.
    reported: u32,
}

/// So many samples found the queue full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost(pub u32);

impl<T, const N: usize> Channel<T, N> {
    /// An empty one.
    pub const fn new() -> Self {
        Self { queue: Queue::new(), lost: AtomicU32::new(0) }
    }

    /// Its two ends.
    pub fn split(&'static mut self) -> (Sender<T>, Receiver<T>) {
        let (producer, consumer) = self.queue.split();
        let lost = &self.lost;
        (Sender { queue: producer, lost }, Receiver { queue: consumer, lost, reported: 0 })
    }
}

impl<T, const N: usize> Default for Channel<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Sender<T> {
    /// Sends a sample, or counts it as lost.
    pub fn send(&mut self, sample: T) {
        if self.queue.enqueue(sample).is_err() {
            self.lose();
        }
    }

    /// Whether the next sample will not be lost.
    pub fn has_room(&self) -> bool {
        self.queue.ready()
    }

    /// Counts a sample that was lost on its way here.
    pub fn lose(&mut self) {
        // No read-modify-write, which not every core has: nobody else writes it.
        self.lost.store(self.lost.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

impl<T: Copy> SampleSource for Receiver<T> {
    type Sample = T;
    type Error = Lost;

    fn take(&mut self, samples: &mut [T]) -> Result<usize, Lost> {
        let lost = self.lost.load(Ordering::Relaxed);
        if lost != self.reported {
            let since = lost.wrapping_sub(self.reported);
            self.reported = lost;
            return Err(Lost(since));
        }
        self.queue.take(samples).map_err(|error| match error {})
    }
}
