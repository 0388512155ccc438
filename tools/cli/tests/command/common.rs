//! A directory in which the command runs, and what it is expected to say.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin_cmd;
use fixie_tests::shipped;
use tempfile::TempDir;

/// A scratch directory.
pub struct Workbench(TempDir);

impl Workbench {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file of this content.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Names of all files in the directory, sorted.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// `fixie`, started in the directory.
    pub fn fixie<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = cargo_bin_cmd!("fixie");
        command.current_dir(self.0.path()).env_remove("NO_COLOR").args(arguments);
        command
    }

    /// Expects a command to fail with code 1, to say all of `texts` on standard error, and to change
    /// nothing in the directory.
    pub fn fails<'a>(&self, arguments: impl IntoIterator<Item = &'a str>, texts: &[&str]) {
        let before = self.files();
        let output = self.fixie(arguments).assert().code(1).get_output().clone();
        let stderr = String::from_utf8(output.stderr).unwrap();
        for text in texts {
            assert!(stderr.contains(text), "`{text}` is not in:\n{stderr}");
        }
        assert!(output.stdout.is_empty(), "results on standard output in spite of the failure");
        assert_eq!(self.files(), before, "the failure left a file behind");
    }

    /// Expects a command to succeed, and gives its standard output.
    pub fn succeeds<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let output = self.fixie(arguments).assert().success().get_output().clone();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Converts the shipped digit classifier to `digits.fixie`.
    pub fn convert_digits(&self) -> PathBuf {
        let (model, calib) = (digits("digits.onnx"), digits("calib.npz"));
        self.succeeds(["convert", &model, "--calib", &calib, "-o", "digits.fixie"]);
        self.path("digits.fixie")
    }
}

/// A file of the shipped digit classifier, as an argument.
pub fn digits(file: &str) -> String {
    argument(&shipped("digits").join(file))
}

pub fn argument(path: &Path) -> String {
    path.to_str().expect("the repository's path is UTF-8").to_owned()
}
