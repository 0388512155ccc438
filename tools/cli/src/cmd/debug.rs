use std::path::PathBuf;

use clap::{ArgGroup, Args};
use fixie_compiler::calibrate::Bucket;
use fixie_compiler::data::Dataset;
use fixie_compiler::debug::{LayerErrors, Other, compare};
use fixie_compiler::session::Network;
use serde::Serialize;

use super::eval::load_original;
use crate::diagnostics::{Context, Failure};
use crate::progress::Progress;
use crate::{output, table};

/// Show where an image loses its accuracy, layer by layer.
///
/// `alone` is the signal-to-noise ratio of what a layer adds by itself, against the original's layer
/// fed with the same inputs; `together` that of its output against the original's, with the errors of
/// all layers before. 6 dB are one bit. The histogram is that of the original's values; beyond `[`
/// and `]` they are cut off.
///
/// Channels that a conversion removed cannot be compared: convert with --no-reduce to see them all;
/// the outputs are the same.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("other").required(true)))]
pub struct Cmd {
    /// The image.
    #[arg(value_name = "MODEL.fixie")]
    image: PathBuf,
    /// Samples to run, as for `eval`.
    #[arg(long, value_name = "SET.npz")]
    data: PathBuf,
    /// The original.
    #[arg(long, value_name = "MODEL.onnx", group = "other")]
    reference: Option<PathBuf>,
    /// Another image of the same model, to compare with instead of the original.
    #[arg(long, value_name = "OTHER.fixie", group = "other")]
    against: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// All there is to say.
#[derive(Debug, Serialize)]
struct Comparison {
    image: String,
    other: String,
    samples: usize,
    layers: Vec<LayerErrors>,
}

impl Cmd {
    pub fn run(self) -> Result<(), Failure> {
        let what = || format!("cannot debug {}", self.image.display());
        let network = Network::load(&self.image).context(what)?;
        let data = Dataset::load(&self.data, &network.data_ports())
            .context(|| format!("cannot use the data file {}", self.data.display()))?;
        let progress = Progress::bar("comparing", data.len());
        let compare = |other: &Other<'_>| {
            compare(&network, &data, other, &|n| progress.advance(n)).context(what)
        };
        let (path, layers) = match (&self.reference, &self.against) {
            (Some(path), _) => {
                let what = || format!("cannot use the model {}", path.display());
                let model = load_original(path, &network, what)?;
                (path, compare(&Other::Model(&model))?)
            }
            (None, Some(path)) => {
                let image = Network::load(path)
                    .context(|| format!("cannot read the image {}", path.display()))?;
                (path, compare(&Other::Image(&image))?)
            }
            (None, None) => return Err(Failure::new(what(), "there is nothing to compare with")),
        };
        drop(progress);
        let comparison = Comparison {
            image: self.image.display().to_string(),
            other: path.display().to_string(),
            samples: data.len(),
            layers,
        };
        output::report(self.json, &comparison, Comparison::render)
    }
}

impl Comparison {
    fn render(&self) -> String {
        let ratio = |ratio: Option<f64>| match ratio {
            None => "–".to_owned(),
            Some(ratio) if ratio.is_infinite() => "exact".to_owned(),
            Some(ratio) => format!("{ratio:.1}"),
        };
        let rows = self.layers.iter().enumerate().map(|(index, layer)| {
            [
                index.to_string(),
                table::name(&layer.layer),
                layer.op.clone(),
                layer.largest_weight.map_or(String::new(), |largest| format!("±{largest}")),
                ratio(layer.alone_db),
                ratio(layer.accumulated_db),
                format!("{:.3}", layer.range.0),
                format!("{:.3}", layer.range.1),
                format!("{:.2}", 100.0 * layer.clipped),
                picture(&layer.histogram, layer.range),
            ]
        });
        let header = [
            "#",
            "layer",
            "operator",
            "#weights",
            "#alone dB",
            "#together dB",
            "#from",
            "#to",
            "#cut %",
            "values",
        ];
        let mut text = table::table(header, rows.collect());
        text += "\n";
        for (index, layer) in self.layers.iter().enumerate() {
            if let Some(advice) = &layer.advice {
                let name = table::name(&layer.layer);
                let line = format!("\n {index} {name}: {advice}");
                text += &line;
            }
        }
        let origin =
            format!("\n {} against {}, {} samples\n", self.image, self.other, self.samples);
        text += &origin;
        text
    }
}

/// Buckets that are drawn as one character.
const PER_CHARACTER: usize = 2;

/// A histogram in a line: the square root of the counts, so that tails are seen.
fn picture(histogram: &[Bucket], (low, high): (f64, f64)) -> String {
    const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let bars: Vec<(f64, f64, f64)> = histogram
        .chunks(PER_CHARACTER)
        .map(|part| {
            let count: u64 = part.iter().map(|bucket| bucket.count).sum();
            (part[0].from, part[part.len() - 1].to, (count as f64).sqrt())
        })
        .collect();
    let largest = bars.iter().fold(0.0, |largest: f64, bar| largest.max(bar.2));
    let mut text = String::new();
    for (from, to, height) in bars {
        if (from..to).contains(&low) {
            text.push('[');
        }
        let share = height / largest.max(1.0) * (HEIGHTS.len() - 1) as f64;
        text.push(HEIGHTS[share.ceil() as usize]);
        if (from..to).contains(&high) {
            text.push(']');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_stand_where_values_are_cut() {
        let counts = [1u64, 0, 0, 0, 100, 0, 0, 0, 25, 0];
        let bucket =
            |(i, &count): (usize, &u64)| Bucket { from: i as f64 - 5.0, to: i as f64 - 4.0, count };
        let histogram: Vec<Bucket> = counts.iter().enumerate().map(bucket).collect();
        assert_eq!(picture(&histogram, (-3.0, 2.0)), "▁[ █ ]▄");
        assert_eq!(picture(&histogram, (-9.0, 9.0)), "▁ █ ▄");
    }
}
