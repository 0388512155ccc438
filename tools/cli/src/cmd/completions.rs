use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::diagnostics::Failure;
use crate::output;

/// Print a completion script for a shell.
///
/// For example: fixie completions bash > ~/.local/share/bash-completion/completions/fixie
#[derive(Debug, Args)]
pub struct Cmd {
    /// The shell.
    shell: Shell,
}

impl Cmd {
    pub fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::Cli::command(), "fixie", &mut script);
        output::print(String::from_utf8_lossy(&script))
    }
}
