//! A serial line with a buffer that its interrupt fills.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embedded_io_async::Read;
use fixie_sensors::SampleSource;

/// What a buffered receiver has, as a source that never waits.
pub struct Serial<R>(R);

impl<R: Read> Serial<R> {
    /// The bytes of a receiver whose `read` gives what is there and can be dropped while it waits.
    pub const fn new(receiver: R) -> Self {
        Self(receiver)
    }
}

impl<R: Read> SampleSource for Serial<R> {
    type Sample = u8;
    type Error = R::Error;

    fn take(&mut self, bytes: &mut [u8]) -> Result<usize, R::Error> {
        match pin!(self.0.read(bytes)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(count) => count,
            Poll::Pending => Ok(0),
        }
    }
}
