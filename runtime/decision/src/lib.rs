//! From the scores of a network to decisions.
//!
//! A network that looks at overlapping windows of a signal gives a result many times a second, and
//! the same word or gesture shows up in several of them, more or less clearly. [`Decider`] makes one
//! [`Detection`] of that; [`Alarm`] does the same for a single score that tells the normal from the
//! unusual.
//!
//! ```
//! use fixie_decision::{Decider, Settings};
//!
//! // Scores of background and two words, averaged over 3 results.
//! let mut decider = Decider::<3, 3>::new(Settings {
//!     threshold: 64,
//!     release: 0,
//!     min_count: 1,
//!     refractory: 4,
//!     background: 0b001,
//! });
//! let results = [[90, -90, 0], [-90, 80, 0], [-90, 127, 0], [-90, 127, 0], [-90, 127, 0]];
//! let detections = results.map(|scores| decider.push(&scores).map(|detection| detection.class));
//! assert_eq!(detections, [None, None, None, Some(1), None]);
//! ```
//!
//! Times are counted in results: an application that makes a result every 100 ms and wants to be
//! quiet for a second after a detection sets `refractory` to 10. One that leaves results out calls
//! [`Decider::reset`], since what it averages would not belong together.
//!
//! No floats, no heap, no panic; a [`Decider::push`] takes a few instructions for each class.
#![no_std]
#![forbid(unsafe_code)]

mod alarm;
mod decider;

pub use alarm::{Alarm, AlarmSettings, Change};
pub use decider::{Decider, Detection, Settings};
