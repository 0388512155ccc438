//! The project's chores, as `cargo xtask TASK`: what a person and what CI run is the same.

mod budgets;
mod figures;
mod models;
mod process;
mod quantization;
mod readme;
mod setup;
mod size;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Set up, test and measure Fixie")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Find or install the compilers for bare-metal targets, and the emulators
    ///
    /// A rustup toolchain with the targets is preferred, then Debian's compiler with its library
    /// source; `FIXIE_TOOLCHAIN=rustup` or `=debian` allows only that one. Packages are installed
    /// only by root and only where apt-get exists; otherwise the task says what to install.
    Setup,
    Test(test::Command),
    /// Look for panicking and allocating code in the bare firmware of every model and board
    Size,
    Budgets(budgets::Command),
    Readme(readme::Command),
    Quantization(quantization::Command),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Setup => setup::run(),
        Task::Test(command) => command.run(),
        Task::Size => size::check(),
        Task::Budgets(command) => command.run(),
        Task::Readme(command) => command.run(),
        Task::Quantization(command) => command.run(),
    };
    if let Err(error) = &outcome {
        eprintln!("error: {error:#}");
    }
    ExitCode::from(u8::from(outcome.is_err()))
}
