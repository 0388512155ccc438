//! Region marks for the instruction counter.

use core::sync::atomic::{Ordering, compiler_fence};

/// Marks a point in time for the profiler, which takes a snapshot of its counters here.
///
/// Costs a call and a return; two marks in a row measure that cost. The fence keeps the compiler
/// from removing the call and from moving work across it.
// SAFETY: no other item of the program is called `fixie_mark`, which is where the profiler looks.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn fixie_mark() {
    compiler_fence(Ordering::SeqCst);
}
