//! `fixie_tests::harness::onnx_import` under libFuzzer.
#![no_main]

use fixie_tests::harness;
use libfuzzer_sys::fuzz_target;

// tract panics on some malformed models, which the compiler turns into errors: libFuzzer's hook,
// which ends the process at every panic, would not let it.
fuzz_target!(
    init: std::panic::set_hook(Box::new(|_| {})),
    |bytes: &[u8]| harness::onnx_import(bytes)
);
