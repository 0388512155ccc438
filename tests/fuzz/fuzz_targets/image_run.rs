//! `fixie_tests::harness::image_run` under libFuzzer.
#![no_main]

use fixie_tests::harness;
use libfuzzer_sys::{Corpus, fuzz_target};

// Images that do not run teach the fuzzer nothing: `image_bind` has them.
fuzz_target!(|bytes: &[u8]| -> Corpus {
    if harness::image_run(bytes) { Corpus::Keep } else { Corpus::Reject }
});
