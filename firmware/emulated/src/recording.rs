//! The sensor's stand-in: samples of a host file, by semihosting.

use core::cell::RefCell;

use bytemuck::Pod;
use critical_section::Mutex;
use heapless::spsc::Producer;
use semihosting::fs::File;
use semihosting::io::Read;

/// Most samples that an interrupt delivers.
pub const MAX_BLOCK: usize = 16;

/// A recording that a timer interrupt moves into a queue, as a sensor's would.
pub struct Recording<T: 'static>(Mutex<RefCell<Option<Player<T>>>>);

struct Player<T: 'static> {
    file: File,
    queue: Producer<'static, T>,
    /// Samples that one interrupt delivers.
    block: usize,
    progress: Progress,
}

/// How far a recording is.
#[derive(Clone, Copy, Default)]
pub struct Progress {
    /// Samples that were due, in the queue or not.
    pub samples: u64,
    /// Samples that found the queue full and are lost.
    pub missed: u64,
    /// The fullest that the queue was.
    pub queued: usize,
    /// Whether the recording has ended.
    pub is_over: bool,
}

impl<T: Pod> Recording<T> {
    /// A recording that is not played yet.
    pub const fn new() -> Self {
        Self(Mutex::new(RefCell::new(None)))
    }

    /// Opens the file and gets ready to deliver `block` samples, at most [`MAX_BLOCK`], at a time.
    ///
    /// # Errors
    ///
    /// The host's, if there is no such file.
    pub fn open(&self, queue: Producer<'static, T>, block: usize) -> semihosting::io::Result<()> {
        let file = File::open(c"input.bin")?;
        let block = block.min(MAX_BLOCK);
        let player = Player { file, queue, block, progress: Progress::default() };
        critical_section::with(|token| self.0.borrow(token).replace(Some(player)));
        Ok(())
    }

    /// Delivers the next samples: what the interrupt calls.
    pub fn deliver(&self) {
        critical_section::with(|token| {
            if let Some(player) = self.0.borrow(token).borrow_mut().as_mut() {
                player.deliver();
            }
        });
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        critical_section::with(|token| {
            self.0.borrow(token).borrow().as_ref().map_or_else(Progress::default, |p| p.progress)
        })
    }
}

impl<T: Pod> Default for Recording<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Pod> Player<T> {
    fn deliver(&mut self) {
        let mut block = [T::zeroed(); MAX_BLOCK];
        let block = block.get_mut(..self.block).unwrap_or_default();
        // A file is read whole unless it ends; what is not a whole sample at its end is no sample.
        let len_bytes = self.file.read(bytemuck::cast_slice_mut(block)).unwrap_or(0);
        let count = len_bytes / size_of::<T>();
        self.progress.is_over |= count < self.block;
        for sample in block.iter().take(count) {
            self.progress.samples += 1;
            self.progress.missed += u64::from(self.queue.enqueue(*sample).is_err());
        }
        self.progress.queued = self.progress.queued.max(self.queue.len());
    }
}
