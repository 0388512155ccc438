//! What the whole-system tests share: where models lie, damaged variants of them, how far images may
//! be from real numbers, and the bodies of the fuzz targets.
#![expect(clippy::missing_panics_doc, reason = "test helpers panic where a check fails")]
#![forbid(unsafe_code)]

pub mod bounds;
pub mod damage;
pub mod figures;
pub mod harness;
pub mod layers;
pub mod pictures;
pub mod propagation;
pub mod random;
pub mod score;

use std::env;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of the models that the repository ships, such as `digits/digits.onnx`.
pub fn shipped(path: &str) -> PathBuf {
    repository().join("tools/models").join(path)
}

/// The benchmark models and evaluation data beside the repository, which are not part of it.
///
/// Where they are missing, the test named `test` has nothing to work on: it says so and is left out,
/// except in CI (`CI=true`).
///
/// # Panics
///
/// In CI, if they are missing: a test that did not run must not look like one that passed.
pub fn shared_models(test: &str) -> Option<PathBuf> {
    let path = repository().join("../shared/models");
    if path.is_dir() {
        return Some(path);
    }
    assert!(
        env::var("CI").as_deref() != Ok("true"),
        "{test} needs the benchmark models in {}",
        path.display()
    );
    eprintln!("NOT RUN: {test}: there are no benchmark models in {}", path.display());
    None
}
