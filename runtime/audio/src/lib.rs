//! Audio features for keyword spotting, in integers: for cores without floating point.
//!
//! ```text
//! i16 samples ─ Hann window ─ real FFT ─ |X|² ─ mel filters ─ log2 ─▶ [i32; MELS], 16 fraction bits
//!                                            ─ Dct (optional, MFCC) ─ Quantizer ─▶ i8 of a model
//! ```
//!
//! All tables are constants, computed by the compiler from a [`Config`]; a frame needs no heap, no
//! float and no branch on the data, and gives the same bits on the host and on every core.
//!
//! ```
//! use fixie_audio::{Config, FrontEnd, Log, Quantizer, Tables};
//!
//! // 30 ms windows every 20 ms at 16 kHz, 40 mel filters from 20 Hz to 4 kHz.
//! static TABLES: Tables<512, 257, 40> = Tables::new(&Config {
//!     sample_rate_hz: 16_000,
//!     window_len: 480,
//!     hop_len: 320,
//!     low_hz: 20.0,
//!     high_hz: 4000.0,
//!     offset: 1,
//! });
//! let quantizer = Quantizer::new(Log::Natural, 0.1, -20); // the model's input
//! let mut front_end = FrontEnd::new(&TABLES);
//!
//! let mut samples: &[i16] = &[0; 1000]; // as many as the microphone has ready
//! let mut frames = 0;
//! while let Some(features) = front_end.advance(&mut samples) {
//!     let _input: [i8; 40] = features.map(|value| quantizer.quantize(value));
//!     frames += 1;
//! }
//! assert_eq!(frames, 2); // after 480 and after 800 samples
//! ```
//!
//! # How exact it is
//!
//! | step | at most |
//! |---|---|
//! | window | 2⁻¹⁶ of each sample |
//! | FFT of `N` points | `N² / 2¹⁴` per bin and `7 √(N/2) / 2^(15 − log2 N)` RMS, in sample steps |
//! | power | 1 by truncation, in sample steps squared, besides what the spectrum's error does |
//! | mel | 2⁻¹⁶ of the power in the filter's support, and 1 |
//! | log2 | 2⁻¹³ |
//! | DCT | 2⁻¹⁶ `Σ│log2│`, and 2⁻¹⁷ |
//!
//! Each module derives its line. The per-bin figure assumes that all roundings conspire; the tests
//! hold every step to its bound against a computation by definition in `f64`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod dct;
mod fft;
mod front_end;
mod log;
mod math;
mod quantize;
mod tables;

pub use dct::Dct;
pub use front_end::FrontEnd;
pub use log::{LOG_FRACTION_BITS, log2};
pub use quantize::{Log, Quantizer};
pub use tables::{Config, Tables};
