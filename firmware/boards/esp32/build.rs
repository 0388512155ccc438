//! Where the linker scripts are, this crate's and defmt's.

fn main() {
    println!("cargo::rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    println!("cargo::rustc-link-arg-bins=-Tdefmt.x");
    println!("cargo::rerun-if-changed={}", env!("CARGO_MANIFEST_DIR"));
}
