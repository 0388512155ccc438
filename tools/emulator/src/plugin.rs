//! Building the profiler plugin.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::firmware::artifact;
use crate::workspace::Workspace;
use crate::{EmulatorError, Stage};

/// The plugin's path; it is compiled unless it is there and current.
pub(crate) fn build(progress: &dyn Fn(Stage)) -> Result<PathBuf, EmulatorError> {
    let workspace = Workspace::locate()?;
    progress(Stage::Profiler);
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(&cargo)
        .current_dir(&workspace.root)
        .args(["build", "--release", "--package", "fixie-profiler", "--lib"])
        .args(["--message-format", "json-render-diagnostics"])
        .output()
        .map_err(EmulatorError::start(PathBuf::from(cargo)))?;
    artifact(&output, shared_library).ok_or_else(|| EmulatorError::Build {
        what: "the profiler".to_owned(),
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn shared_library(message: &Value) -> Option<&str> {
    let is_profiler = message["target"]["name"] == "fixie_profiler";
    let files = message["filenames"].as_array().filter(|_| is_profiler)?;
    files
        .iter()
        .filter_map(Value::as_str)
        .find(|file| Path::new(file).extension() == Some(env::consts::DLL_EXTENSION.as_ref()))
}
