//! Which chip it is, and where its linker scripts and defmt's are.

use std::env;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(rp2040)");
    if env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv6m")) {
        println!("cargo::rustc-cfg=rp2040");
    }
    println!("cargo::rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    println!("cargo::rustc-link-arg-bins=-Tdefmt.x");
    println!("cargo::rerun-if-changed={}", env!("CARGO_MANIFEST_DIR"));
}
