//! The options of `convert` that say how weights and biases become integers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use fixie_compiler::quantize::{
    LayerLevels, Levels, Multipliers, PrunedShare, QuantizeOptions, Rounding, WeightScale,
    WideLayers,
};
use fixie_compiler::target::Target;
use serde::Deserialize;

use crate::diagnostics::{Context, Failure};

#[derive(Clone, Debug, Args)]
pub struct Quantization {
    /// How weight scales are chosen: maxabs (the largest weight is exact) or mse (least error).
    #[arg(long, value_name = "METHOD", default_value_t)]
    weight_scale: WeightScale,
    /// What accumulators are multiplied by: any number, short ones (multiples of 2^-16, for which the
    /// scales of weights are a little coarser), or auto (short if outputs have few taps). [default: auto
    /// for Cortex-M0 and M0+, else any]
    #[arg(long, value_name = "NUMBERS")]
    multipliers: Option<Multipliers>,
    /// How weights are rounded: nearest or gptq (errors compensate each other on the samples).
    #[arg(long, value_name = "METHOD", default_value_t)]
    rounding: Rounding,
    /// Let biases make up for the mean errors that quantised layers make on the samples.
    #[arg(long)]
    bias_correction: bool,
    /// Bits of the weights, 8 to 2, levels:N for integers within ±N, or palette:N for N = 4, 8 or 16
    /// integers that lie denser around zero. The first and the last layer and depthwise convolutions
    /// keep 8.
    #[arg(long, value_name = "BITS", default_value_t)]
    weight_bits: Levels,
    /// The same for one layer, whichever it is: NAME=BITS, the name as `inspect` shows it. May be
    /// repeated.
    #[arg(long, value_name = "NAME=BITS", value_parser = layer_bits)]
    layer_bits: Vec<(String, Levels)>,
    /// A TOML file with lines `"NAME" = BITS` or `"NAME" = "levels:N"`; --layer-bits goes before it.
    #[arg(long, value_name = "FILE.toml")]
    layers: Option<PathBuf>,
    /// The layers (convolutions and matrix products, as `inspect` names them) whose outputs have 16
    /// bits instead of 8, where another layer reads them or the model ends: NAME,NAME…, all, or auto
    /// (the fewest that gain nine tenths of what all do). They take twice the memory and more
    /// instructions.
    #[arg(long, value_name = "LAYERS", value_parser = wide_layers)]
    activations_16: Option<WideLayers>,
    /// Make this share of the weights zero, 0 to 0.95, in blocks that cores with the DSP extension can
    /// skip, in layers of 64 taps or more; the others make up for them on the samples and are rounded
    /// as by gptq.
    #[arg(
        long, value_name = "SHARE", default_value_t, requires = "calib",
        conflicts_with_all = ["flash_budget", "max_loss"]
    )]
    prune: PrunedShare,
}

/// `all`, `auto` or names.
#[expect(clippy::unnecessary_wraps, reason = "clap calls it so")]
fn wide_layers(text: &str) -> Result<WideLayers, String> {
    Ok(match text {
        "all" => WideLayers::All,
        "auto" => WideLayers::Auto,
        names => WideLayers::Named(names.split(',').map(|name| name.trim().to_owned()).collect()),
    })
}

/// `NAME=4`; the name may contain `=`.
fn layer_bits(text: &str) -> Result<(String, Levels), String> {
    let (name, levels) = text.rsplit_once('=').ok_or("as in `conv1=4` or `conv1=levels:11`")?;
    let levels: Levels = levels.parse().map_err(|error| format!("{error}"))?;
    Ok((name.to_owned(), levels))
}

/// A value of the TOML file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Bits(u8),
    Text(String),
}

impl Value {
    fn levels(&self) -> Result<Levels, String> {
        let text = match self {
            Self::Bits(bits) => bits.to_string(),
            Self::Text(text) => text.clone(),
        };
        text.parse().map_err(|error| format!("{error}"))
    }
}

impl Quantization {
    /// The options as they are, or as suits `target`.
    pub fn options(&self, target: Target) -> Result<QuantizeOptions, Failure> {
        let mut named = self.layers.as_deref().map(read_layers).transpose()?.unwrap_or_default();
        named.extend(self.layer_bits.iter().cloned());
        Ok(QuantizeOptions {
            weights: self.weight_scale,
            multipliers: self.multipliers.unwrap_or(target.multipliers()),
            rounding: self.rounding,
            bias_correction: self.bias_correction,
            levels: LayerLevels { inner: self.weight_bits, named },
            wide: self.activations_16.clone().unwrap_or_default(),
            pruned: self.prune,
        })
    }
}

fn read_layers(path: &Path) -> Result<BTreeMap<String, Levels>, Failure> {
    let what = || format!("cannot use the grids of layers in {}", path.display());
    let text = fs::read_to_string(path).context(what)?;
    let values: BTreeMap<String, Value> = toml::from_str(&text).context(what)?;
    let levels = values.into_iter().map(|(name, value)| match value.levels() {
        Ok(levels) => Ok((name, levels)),
        Err(problem) => Err(Failure::new(what(), format!("'{name}': {problem}"))),
    });
    levels.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_have_a_name_and_a_grid() {
        let bits = |bits| Levels::of_bits(bits).unwrap();
        assert_eq!(layer_bits("conv=4"), Ok(("conv".to_owned(), bits(4))));
        assert_eq!(layer_bits("a=b=levels:7"), Ok(("a=b".to_owned(), bits(4))));
        for wrong in ["conv", "conv=", "conv=9", "conv=levels"] {
            assert!(layer_bits(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn wide_layers_are_named_or_chosen() {
        assert_eq!(wide_layers("all"), Ok(WideLayers::All));
        assert_eq!(wide_layers("auto"), Ok(WideLayers::Auto));
        let named = ["a/b", "c"].map(str::to_owned).into();
        assert_eq!(wide_layers("a/b, c"), Ok(WideLayers::Named(named)));
    }

    #[test]
    fn files_give_bits_or_levels() {
        let read = |text: &str| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
            read_layers(file.path())
        };
        let layers = read("\"a/b\" = 4\nc = \"levels:11\"\n").unwrap();
        assert_eq!(layers["a/b"], Levels::of_bits(4).unwrap());
        assert_eq!(layers["c"], Levels::new(11).unwrap());
        assert!(read("a = 9").unwrap_err().chain().contains("'a': unknown weight grid `9`"));
        assert!(read("a = [").is_err());
    }
}
