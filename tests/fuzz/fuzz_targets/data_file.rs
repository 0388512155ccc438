//! `fixie_tests::harness::data_file` under libFuzzer.
#![no_main]

use fixie_tests::harness;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| harness::data_file(bytes));
