//! The trait by which an application takes samples.

use core::convert::Infallible;

use heapless::spsc::Consumer;

/// Something that has samples: a sensor with a FIFO, or the queue behind an interrupt.
///
/// A sample is what belongs to one moment: an `i16` of a microphone, the `[i16; 3]` of an
/// accelerometer, a row `[u8; W]` of a camera. Taking never waits: an application takes what is
/// there between two steps of its inference.
///
/// ```
/// use fixie_sensors::SampleSource;
///
/// let mut queue = heapless::spsc::Queue::<i16, 8>::new();
/// let (mut interrupt, mut application) = queue.split();
/// (1..=3).for_each(|sample| interrupt.enqueue(sample).unwrap());
/// let mut samples = [0; 2];
/// assert_eq!(application.take(&mut samples), Ok(2));
/// assert_eq!(samples, [1, 2]);
/// assert_eq!(application.take(&mut samples), Ok(1));
/// assert_eq!(samples[0], 3);
/// ```
pub trait SampleSource {
    /// One sample.
    type Sample: Copy;
    /// Why samples could not be read, or that some were lost.
    type Error;

    /// Moves samples that are ready to the front of `samples`, oldest first, and gives their
    /// number: 0 if there are none.
    ///
    /// # Errors
    ///
    /// The source's own. What it had written to `samples` by then is lost.
    fn take(&mut self, samples: &mut [Self::Sample]) -> Result<usize, Self::Error>;
}

/// The receiving end of a queue that an interrupt fills. It is the interrupt that notices when the
/// queue is full and counts what is lost.
impl<T: Copy> SampleSource for Consumer<'_, T> {
    type Sample = T;
    type Error = Infallible;

    fn take(&mut self, samples: &mut [T]) -> Result<usize, Infallible> {
        let mut taken = 0;
        for place in samples {
            let Some(sample) = self.dequeue() else { break };
            *place = sample;
            taken += 1;
        }
        Ok(taken)
    }
}
