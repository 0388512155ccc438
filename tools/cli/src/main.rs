//! The `fixie` command: from a trained ONNX model to an image that a microcontroller runs.
#![forbid(unsafe_code)]

mod cmd;
mod connection;
mod diagnostics;
mod output;
mod plan_picture;
mod progress;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit code of a command line that cannot be understood; clap uses it by itself.
const EXIT_CODES: &str = "Exit codes: 0 success, 1 failure (the reason is on stderr), 2 wrong usage, 130 interrupted.\n\
Colours follow the terminal and NO_COLOR. Progress appears on stderr for work of more than a second.";

/// Makes a small microcontroller run a trained neural network, in integers only.
#[derive(Debug, Parser)]
#[command(name = "fixie", version, propagate_version = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Convert(cmd::convert::Cmd),
    Inspect(cmd::inspect::Cmd),
    Run(cmd::run::Cmd),
    Eval(cmd::eval::Cmd),
    Debug(cmd::debug::Cmd),
    Bench(cmd::bench::Cmd),
    Flash(cmd::flash::Cmd),
    Probe(cmd::probe::Cmd),
    Chips(cmd::chips::Cmd),
    Demo(cmd::demo::Cmd),
    Completions(cmd::completions::Cmd),
    Man(cmd::man::Cmd),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    output::finish_writing_before_interrupt();
    let result = match cli.verb {
        Verb::Convert(cmd) => cmd.run(),
        Verb::Inspect(cmd) => cmd.run(),
        Verb::Run(cmd) => cmd.run(),
        Verb::Eval(cmd) => cmd.run(),
        Verb::Debug(cmd) => cmd.run(),
        Verb::Bench(cmd) => cmd.run(),
        Verb::Flash(cmd) => cmd.run(),
        Verb::Probe(cmd) => cmd.run(),
        Verb::Chips(cmd) => cmd.run(),
        Verb::Demo(cmd) => cmd.run(),
        Verb::Completions(cmd) => cmd.run(),
        Verb::Man(cmd) => cmd.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            diagnostics::report(&failure);
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
