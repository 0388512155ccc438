//! Calls into tract, whose panics become errors.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tract_onnx::prelude::TractResult;

/// Runs `call`; an error or a panic becomes the text of what went wrong.
///
/// tract checks less than a file from an unknown source needs: some malformed attributes make it
/// panic. The models it works on live in the call, so nothing broken outlives a panic. (The panic
/// hook still runs: a fuzzer that aborts in its hook has to replace it.)
pub(super) fn guarded<T>(call: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(panic) => Err(format!("tract gave up: {}", message(panic.as_ref()))),
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        let result: Result<(), _> = guarded(|| panic!("index {}", 7));
        assert_eq!(result, Err("tract gave up: index 7".into()));
    }
}
