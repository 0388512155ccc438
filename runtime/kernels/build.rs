//! Tells the crate which instruction sets the target has, where stable Rust does not.
//!
//! `cfg(fixie_dsp)` is set for cores with the DSP extension: those of Armv7E-M by their target
//! triple, those of Armv8-M by `-C target-cpu` or `-C target-feature=+dsp` in the rustflags.
//! `cfg(fixie_armv8m)` is set for all of Armv8-M's main line, `cfg(fixie_helium)` for its cores with
//! Helium, by `-C target-cpu` or `-C target-feature=+mve`; `cfg(fixie_armv7m)` for Cortex-M3,
//! `cfg(fixie_armv6m)` for Cortex-M0 and M0+, `cfg(fixie_dual_issue)` for cores with the DSP extension
//! that issue two instructions at a time, by `-C target-cpu`.

use std::env;

/// Armv8-M cores whose `-C target-cpu` name implies the DSP extension, as for LLVM.
const DSP_CORES: [&str; 6] =
    ["cortex-m33", "cortex-m35p", "cortex-m52", "cortex-m55", "cortex-m85", "star-mc1"];

/// Armv8-M cores whose `-C target-cpu` name implies Helium, as for LLVM.
const HELIUM_CORES: [&str; 3] = ["cortex-m52", "cortex-m55", "cortex-m85"];

/// Cores that issue most pairs of instructions at a time.
const DUAL_ISSUE_CORES: [&str; 1] = ["cortex-m7"];

fn main() {
    println!("cargo::rustc-check-cfg=cfg(fixie_dual_issue)");
    println!("cargo::rustc-check-cfg=cfg(fixie_dsp)");
    println!("cargo::rustc-check-cfg=cfg(fixie_armv8m)");
    println!("cargo::rustc-check-cfg=cfg(fixie_helium)");
    println!("cargo::rustc-check-cfg=cfg(fixie_armv7m)");
    println!("cargo::rustc-check-cfg=cfg(fixie_armv6m)");
    println!("cargo::rerun-if-changed=build.rs");
    let target = env::var("TARGET").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if target.starts_with("thumbv7m-") {
        println!("cargo::rustc-cfg=fixie_armv7m");
    }
    if target.starts_with("thumbv6m-") {
        println!("cargo::rustc-cfg=fixie_armv6m");
    }
    let armv8m = target.starts_with("thumbv8m.main");
    if armv8m {
        println!("cargo::rustc-cfg=fixie_armv8m");
    }
    if target.starts_with("thumbv7em") || (armv8m && chooses(&flags, &DSP_CORES, Some("+dsp"))) {
        println!("cargo::rustc-cfg=fixie_dsp");
    }
    if chooses(&flags, &DUAL_ISSUE_CORES, None) {
        println!("cargo::rustc-cfg=fixie_dual_issue");
    }
    if armv8m && chooses(&flags, &HELIUM_CORES, Some("+mve")) {
        println!("cargo::rustc-cfg=fixie_helium");
    }
}

/// Whether rustflags, separated by 0x1f, choose one of `cores` or the feature `feature`.
fn chooses(flags: &str, cores: &[&str], feature: Option<&str>) -> bool {
    flags.split('\x1f').any(|flag| {
        let flag = flag.trim_start_matches("-C");
        match flag.split_once('=') {
            Some(("target-cpu", core)) => cores.contains(&core),
            Some(("target-feature", features)) => features.split(',').any(|f| Some(f) == feature),
            _ => false,
        }
    })
}
