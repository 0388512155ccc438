//! Where defmt's strings go: into a section that is not loaded.

fn main() {
    println!("cargo::rustc-link-arg-bins=-Tdefmt.x");
}
