use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_mangen::Man;

use crate::diagnostics::{Context, Failure};
use crate::output;

/// Print the manual page, or write the pages of all commands to a directory.
#[derive(Debug, Args)]
pub struct Cmd {
    /// Directory for fixie.1, fixie-convert.1 and so on; it must exist.
    #[arg(short, long, value_name = "DIRECTORY")]
    output: Option<PathBuf>,
}

impl Cmd {
    pub fn run(self) -> Result<(), Failure> {
        let command = crate::Cli::command();
        if let Some(directory) = self.output {
            return clap_mangen::generate_to(command, &directory)
                .context(|| format!("cannot write the manual pages to {}", directory.display()));
        }
        let mut page = Vec::new();
        Man::new(command).render(&mut page).context(|| "cannot make the manual page")?;
        output::print(String::from_utf8_lossy(&page))
    }
}
