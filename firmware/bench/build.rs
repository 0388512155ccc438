//! Links the strings of defmt where there are any.

fn main() {
    println!("cargo:rustc-link-arg-bin=device=-Tdefmt.x");
    println!("cargo:rerun-if-changed=build.rs");
}
