//! Progress on standard error, for work that takes long enough to wonder.

use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work of less than this passes without a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar or spinner that appears after a second, on terminals only, and goes when it is dropped.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Work of a known number of parts.
    pub fn bar(what: &'static str, parts: usize) -> Self {
        let progress = Self::new(what, "{msg} {wide_bar} {human_pos}/{human_len} {eta}");
        progress.0.set_length(parts as u64);
        progress
    }

    /// Work of unknown extent.
    pub fn spinner(what: &'static str) -> Self {
        Self::new(what, "{spinner} {msg} {elapsed}")
    }

    fn new(what: &'static str, template: &str) -> Self {
        let style = ProgressStyle::with_template(template).expect("the template is well-formed");
        let bar = ProgressBar::hidden().with_style(style).with_message(what);
        let late = bar.clone();
        thread::spawn(move || {
            thread::sleep(PATIENCE);
            if !late.is_finished() {
                // Stays hidden where standard error is no terminal.
                late.set_draw_target(ProgressDrawTarget::stderr());
                late.enable_steady_tick(Duration::from_millis(100));
            }
        });
        Self(bar)
    }

    /// Some more parts are done.
    pub fn advance(&self, parts: usize) {
        self.0.inc(parts as u64);
    }

    /// So many parts are done in all.
    pub fn reach(&self, parts: usize) {
        self.0.set_position(parts as u64);
    }

    /// So many parts are done, of a number that is known only now.
    pub fn reach_of(&self, parts: usize, all: usize) {
        self.0.set_length(all as u64);
        self.reach(parts);
    }

    /// The work goes on with something else.
    pub fn now(&self, what: String) {
        self.0.set_message(what);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
