//! The models that are measured, and the command that converts and measures them.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use fixie_emulator::Board;
use serde::Deserialize;
use tempfile::TempDir;

use crate::process::{cargo, root};

/// The table, in a file of its own because it is data.
const TABLE: &str = include_str!("../models.toml");

/// A model to be measured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What the figures call it.
    pub name: String,
    /// The ONNX file.
    onnx: String,
    /// Calibration data, if the model is not quantised already.
    calib: Option<String>,
}

#[derive(Deserialize)]
struct Table {
    model: Vec<Model>,
}

/// The names of all models.
pub fn names() -> Result<Vec<String>> {
    Ok(table()?.into_iter().map(|model| model.name).collect())
}

fn table() -> Result<Vec<Model>> {
    Ok(toml::from_str::<Table>(TABLE).context("tools/xtask/models.toml")?.model)
}

/// The models whose files are here, and the names of the others.
pub fn available() -> Result<(Vec<Model>, Vec<String>)> {
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        table()?.into_iter().partition(|model| resolve(&model.onnx).is_some());
    Ok((here, elsewhere.into_iter().map(|model| model.name).collect()))
}

impl Model {
    /// Converts the model for a board and gives the image's path.
    pub fn convert(&self, board: &Board, directory: &TempDir) -> Result<PathBuf> {
        let image = directory.path().join(format!("{}-{}.fixie", self.name, board.name));
        let mut command = fixie()?;
        command.arg("convert").arg(self.path(&self.onnx)?);
        if let Some(calib) = &self.calib {
            command.arg("--calib").arg(self.path(calib)?);
        }
        command.args(["--target", board.name, "--output"]).arg(&image);
        output(&mut command)?;
        Ok(image)
    }

    /// Where the ONNX file is.
    pub fn onnx_path(&self) -> Result<PathBuf> {
        self.path(&self.onnx)
    }

    /// Where the calibration data is, if there is any.
    pub fn calib_path(&self) -> Result<Option<PathBuf>> {
        self.calib.as_deref().map(|calib| self.path(calib)).transpose()
    }

    fn path(&self, path: &str) -> Result<PathBuf> {
        resolve(path).with_context(|| format!("{path} of the model {} is missing", self.name))
    }
}

/// What a command of ours prints; what it has to say if it fails is passed on.
pub fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().context("cannot start fixie")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(output.stdout)
}

/// The `fixie` command, built on first use: with the profile and for the whole workspace, as the
/// tests were, so that nothing large is compiled a second time.
pub fn fixie() -> Result<Command> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    if let Some(program) = PROGRAM.get() {
        return Ok(Command::new(program));
    }
    let arguments = ["build", "--release", "--workspace", "--bin", "fixie"];
    crate::process::run(&mut cargo(&arguments))?;
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let program =
        root().join(target).join("release").join(format!("fixie{}", env::consts::EXE_SUFFIX));
    Ok(Command::new(PROGRAM.get_or_init(|| program)))
}

/// A path of the table; none if it is among models that are not here.
fn resolve(path: &str) -> Option<PathBuf> {
    let Some(rest) = path.strip_prefix("${FIXIE_MODELS}/") else {
        return Some(root().join(path));
    };
    let directory =
        env::var_os("FIXIE_MODELS").map_or_else(|| root().join("../shared/models"), PathBuf::from);
    let path = directory.join(rest);
    path.exists().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        let (models, _) = available().unwrap();
        for model in models {
            assert!(resolve(&model.onnx).unwrap().is_file(), "{}", model.onnx);
        }
    }
}
