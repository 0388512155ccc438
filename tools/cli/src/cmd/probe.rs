use clap::{Args, Subcommand};
use fixie_device::Probes;

use crate::diagnostics::Failure;
use crate::{output, table};

/// Debug probes at this computer.
#[derive(Debug, Args)]
pub struct Cmd {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the connected probes, and what --probe calls them.
    List {
        /// Print a JSON array.
        #[arg(long)]
        json: bool,
    },
}

impl Cmd {
    pub fn run(self) -> Result<(), Failure> {
        let Verb::List { json } = self.verb;
        let probes = Probes::connected().list();
        if json {
            return output::print_json(&probes);
        }
        if probes.is_empty() {
            return output::print(
                "no debug probe is connected; without one, --probe emulated runs a micro:bit in QEMU\n",
            );
        }
        let rows = probes.into_iter().map(|probe| {
            let usable = if probe.accessible { "yes" } else { "no permission" };
            [probe.selector, probe.name, probe.kind, usable.to_owned()]
        });
        output::print(table::table(["--probe", "name", "kind", "usable"], rows.collect()) + "\n")
    }
}
