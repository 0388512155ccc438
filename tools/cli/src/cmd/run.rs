use std::io::Cursor;
use std::path::{Path, PathBuf};

use clap::Args;
use fixie_compiler::data::Dataset;
use fixie_compiler::digest::Digest;
use fixie_compiler::session::{Network, Session, SessionError};
use ndarray::{ArrayD, Axis};
use ndarray_npy::{NpzWriter, WritableElement, WriteNpyExt, WriteNpzError};
use serde::Serialize;

use crate::diagnostics::{Context, Failure};
use crate::output::{self, OutputFile};
use crate::progress::Progress;
use crate::table;

/// Run an image on samples, on this computer: the same bytes as on a microcontroller.
///
/// A network with state takes the samples as consecutive steps.
#[derive(Debug, Args)]
pub struct Cmd {
    /// The image.
    #[arg(value_name = "MODEL.fixie")]
    image: PathBuf,
    /// The samples: an .npy with them along its first axis, or a data file as for `eval`.
    #[arg(long, value_name = "X.npy")]
    input: PathBuf,
    /// Where the outputs go, one per sample along the first axis: an .npy, or an .npz with one array
    /// per output of the model.
    #[arg(long, value_name = "Y.npy")]
    output: Option<PathBuf>,
    /// Write the quantised integers instead of real numbers; int8 samples without a scale are taken
    /// as quantised, too.
    #[arg(long)]
    raw: bool,
    /// Print one JSON object; `output_sha256` is the digest of the raw output bytes in the order of
    /// the device's memory, as `bench` reports it.
    #[arg(long)]
    json: bool,
}

/// What the run was, for `--json`.
#[derive(Debug, Serialize)]
struct Summary {
    samples: usize,
    outputs: Vec<OutputSummary>,
    output_sha256: String,
}

#[derive(Debug, Serialize)]
struct OutputSummary {
    name: String,
    shape: Vec<usize>,
    scale: f32,
    zero_point: i32,
}

/// One sample's outputs.
struct Outputs {
    reals: Vec<ArrayD<f32>>,
    integers: Vec<ArrayD<i32>>,
}

impl Cmd {
    pub fn run(self) -> Result<(), Failure> {
        let network = Network::load(&self.image)
            .context(|| format!("cannot read the image {}", self.image.display()))?;
        let file = self.output.as_deref().map(|path| output_file(path, &network)).transpose()?;
        let data = Dataset::load(&self.input, &network.data_ports())
            .context(|| format!("cannot use the input {}", self.input.display()))?;
        let (outputs, output_sha256) = self
            .run_all(&network, &data)
            .context(|| format!("cannot run {}", self.image.display()))?;
        if let (Some(file), Some(path)) = (file, &self.output) {
            let bytes = self
                .encode(path, &network, &outputs)
                .context(|| format!("cannot encode {}", path.display()))?;
            file.write(&bytes)?;
        }
        if self.json {
            return output::print_json(&summary(&network, data.len(), output_sha256));
        }
        output::print(render(&network, &outputs, &output_sha256))
    }

    /// Runs all samples in order, and hashes the raw outputs.
    fn run_all(
        &self,
        network: &Network,
        data: &Dataset,
    ) -> Result<(Vec<Outputs>, String), SessionError> {
        let progress = Progress::bar("running", data.len());
        let mut arena = network.arena();
        let mut session = network.session(&mut arena)?;
        let mut digest = Digest::default();
        let mut outputs = Vec::with_capacity(data.len());
        for sample in 0..data.len() {
            self.run_one(&mut session, data, sample)?;
            digest.update(&session.raw_outputs()?);
            outputs.push(Outputs { reals: session.outputs()?, integers: session.integers()? });
            progress.advance(1);
        }
        Ok((outputs, digest.finish()))
    }

    fn run_one(
        &self,
        session: &mut Session<'_>,
        data: &Dataset,
        sample: usize,
    ) -> Result<(), SessionError> {
        let inputs = data.sample(sample);
        if self.raw && data.holds_integers() {
            let integers: Vec<_> = inputs.iter().map(|x| x.mapv(|value| value as i8)).collect();
            session.run_raw(&integers)
        } else {
            session.run(&inputs)
        }
    }

    /// The content of the output file.
    fn encode(
        &self,
        path: &Path,
        network: &Network,
        outputs: &[Outputs],
    ) -> Result<Vec<u8>, WriteNpzError> {
        let mut encoder = Encoder::new(is_npz(path));
        for (index, port) in network.outputs().iter().enumerate() {
            let integers = || outputs.iter().map(|sample| &sample.integers[index]);
            match (self.raw, port.bits) {
                (false, _) => encoder
                    .add(&port.name, &stack(outputs.iter().map(|sample| &sample.reals[index])))?,
                (true, 8) => encoder.add(&port.name, &stack(integers()).mapv(|q| q as i8))?,
                (true, 16) => encoder.add(&port.name, &stack(integers()).mapv(|q| q as i16))?,
                (true, _) => encoder.add(&port.name, &stack(integers()))?,
            }
        }
        encoder.finish()
    }
}

fn is_npz(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz"))
}

/// Checks that all outputs have room in the file.
fn output_file(path: &Path, network: &Network) -> Result<OutputFile, Failure> {
    let count = network.outputs().len();
    if count != 1 && !is_npz(path) {
        let what = format!("cannot write {}", path.display());
        let cause = format!("the model has {count} outputs, an .npy file has room for one");
        return Err(Failure::new(what, cause).help("name a file that ends in .npz"));
    }
    OutputFile::at(path)
}

/// The samples along a new first axis, in place of the batch of 1 where there is one.
fn stack<'a, T: Clone + 'a>(samples: impl Iterator<Item = &'a ArrayD<T>>) -> ArrayD<T> {
    let views: Vec<_> = samples.map(|sample| sample.view()).collect();
    let batched = views.iter().all(|view| view.shape().first() == Some(&1));
    let stacked = if batched {
        ndarray::concatenate(Axis(0), &views)
    } else {
        ndarray::stack(Axis(0), &views)
    };
    stacked.expect("at least one sample, all of the shape of the model's output")
}

/// Collects arrays into an `.npy` or `.npz` file.
enum Encoder {
    Npy(Vec<u8>),
    Npz(Box<NpzWriter<Cursor<Vec<u8>>>>),
}

impl Encoder {
    fn new(archive: bool) -> Self {
        if archive {
            Self::Npz(Box::new(NpzWriter::new(Cursor::new(Vec::new()))))
        } else {
            Self::Npy(Vec::new())
        }
    }

    fn add<T: WritableElement>(
        &mut self,
        name: &str,
        array: &ArrayD<T>,
    ) -> Result<(), WriteNpzError> {
        match self {
            Self::Npy(bytes) => Ok(array.write_npy(bytes)?),
            Self::Npz(archive) => archive.add_array(name, array),
        }
    }

    fn finish(self) -> Result<Vec<u8>, WriteNpzError> {
        match self {
            Self::Npy(bytes) => Ok(bytes),
            Self::Npz(archive) => Ok(archive.finish()?.into_inner()),
        }
    }
}

fn summary(network: &Network, samples: usize, output_sha256: String) -> Summary {
    let outputs = network.outputs().iter().map(|port| OutputSummary {
        name: port.name.clone(),
        shape: port.shape.clone(),
        scale: port.scale,
        zero_point: port.zero_point,
    });
    Summary { samples, outputs: outputs.collect(), output_sha256 }
}

/// The largest values of each output of the first samples, and the digest.
fn render(network: &Network, outputs: &[Outputs], output_sha256: &str) -> String {
    const SAMPLES: usize = 8;
    const VALUES: usize = 3;
    let mut rows = Vec::new();
    for (index, sample) in outputs.iter().take(SAMPLES).enumerate() {
        for (port, values) in network.outputs().iter().zip(&sample.reals) {
            let mut ranked: Vec<_> = values.iter().copied().enumerate().collect();
            ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
            let best = ranked.iter().take(VALUES).map(|(i, value)| format!("[{i}] {value:.4}"));
            let best = best.collect::<Vec<_>>().join("  ");
            rows.push([index.to_string(), table::name(&port.name), best]);
        }
    }
    let more = outputs.len().saturating_sub(SAMPLES);
    if more > 0 {
        rows.push(["…".to_owned(), String::new(), format!("and {more} more samples")]);
    }
    let table = table::table(["#sample", "output", "largest values"], rows);
    format!("{table}\n\n{}", table::facts([("raw outputs", format!("sha256 {output_sha256}"))]))
}
