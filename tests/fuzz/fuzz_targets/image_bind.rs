//! `fixie_tests::harness::image_bind` under libFuzzer.
#![no_main]

use fixie_tests::harness;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| harness::image_bind(bytes));
