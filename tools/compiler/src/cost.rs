//! What one inference costs: estimates, from what is known of an image without running it.
//!
//! Instructions are taken to be proportional to multiply-accumulates and to outputs. The factors are
//! least squares over the measured counts of the benchmark models (`tests/budgets.toml`), which they
//! meet within a fifth for convolutional networks; matrix products for a single row cost up to twice
//! as much on cores without DSP extension. What it takes to decode constants is counted for a
//! Cortex-M4. `fixie bench` counts exactly.

use serde::Serialize;

use crate::metadata::Metadata;
use crate::target::Target;

/// What is known about a core.
struct Core {
    target: Target,
    /// Instructions per multiply-accumulate.
    per_mac: f64,
    /// Instructions per element that a layer computes.
    per_output: f64,
    /// Cycles per instruction; of a Cortex-M4 and M7 as `fixie bench` estimates them.
    cycles_per_instruction: f64,
    power: Option<Power>,
}

/// The power that a device with this core draws while it computes.
struct Power {
    microwatts_per_megahertz: f64,
    source: &'static str,
}

/// Where nothing better is known: two of three instructions take one cycle, loads, multiplications
/// and branches two.
const USUAL_CYCLES_PER_INSTRUCTION: f64 = 4.0 / 3.0;

const CORES: [Core; 7] = [
    Core {
        target: Target::CortexM0plus,
        per_mac: 3.2,
        per_output: 47.0,
        cycles_per_instruction: USUAL_CYCLES_PER_INSTRUCTION,
        power: None,
    },
    Core {
        target: Target::CortexM3,
        per_mac: 1.2,
        per_output: 20.0,
        cycles_per_instruction: USUAL_CYCLES_PER_INSTRUCTION,
        power: Some(Power {
            // 3.9 mA at 16 MHz and 3.6 V.
            microwatts_per_megahertz: 878.0,
            source: "STM32L100x6/8/B datasheet, DocID024295 Rev 1, table 15 (Run from flash, range 2)",
        }),
    },
    Core {
        target: Target::CortexM4,
        per_mac: 0.96,
        per_output: 7.9,
        cycles_per_instruction: 1.46,
        power: Some(Power {
            // 79 µA/MHz by the linear regulator, at 3.3 V.
            microwatts_per_megahertz: 261.0,
            source: "STM32L412xx datasheet, DS12469 Rev 7, page 1 (Run mode, LDO)",
        }),
    },
    Core {
        target: Target::CortexM7,
        per_mac: 0.97,
        per_output: 7.8,
        cycles_per_instruction: 0.92,
        power: None,
    },
    Core {
        target: Target::CortexM33,
        per_mac: 0.96,
        per_output: 7.9,
        cycles_per_instruction: USUAL_CYCLES_PER_INSTRUCTION,
        power: Some(Power {
            // 966 µJ in 182.4 ms at 96 MHz.
            microwatts_per_megahertz: 55.0,
            source: "MLPerf Tiny v1.3, NUCLEO-U385, image classification (STMicroelectronics)",
        }),
    },
    Core {
        target: Target::CortexM55,
        per_mac: 0.14,
        per_output: 6.2,
        cycles_per_instruction: USUAL_CYCLES_PER_INSTRUCTION,
        power: None,
    },
    Core {
        target: Target::Rv32,
        per_mac: 3.2,
        per_output: 24.0,
        cycles_per_instruction: USUAL_CYCLES_PER_INSTRUCTION,
        power: None,
    },
];

/// The estimated cost of one inference on a core; what nothing is known about is `None`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// The core.
    pub core: Target,
    /// Multiply-accumulates: exact.
    pub macs: u64,
    /// Executed instructions, estimated.
    pub instructions_estimate: u64,
    /// Cycles without wait states, estimated.
    pub cycles_estimate: u64,
    /// Milliseconds at the given clock, estimated.
    pub milliseconds_estimate: Option<f64>,
    /// Microjoules, estimated: power per megahertz times cycles, whatever the clock.
    pub microjoules_estimate: Option<f64>,
    /// Where the power that the energy is estimated with is stated.
    pub power_source: Option<&'static str>,
}

/// The cores of which something is known.
pub fn cores() -> impl Iterator<Item = Target> {
    CORES.iter().map(|core| core.target)
}

/// The cost of an image on a core, at a clock in hertz if one is given; `None` if nothing is known of
/// the core.
pub fn cost(metadata: &Metadata, core: Target, clock_hz: Option<f64>) -> Option<Cost> {
    let known = CORES.iter().find(|known| known.target == core)?;
    let macs = metadata.macs();
    let outputs = |shape: &[usize]| shape.iter().product::<usize>() as f64;
    let outputs: f64 = metadata.layers.iter().map(|layer| outputs(&layer.output.shape)).sum();
    let decoding: u64 = metadata.layers.iter().map(|layer| layer.decoding).sum();
    let instructions = known.per_mac * macs as f64 + known.per_output * outputs + decoding as f64;
    let cycles = instructions * known.cycles_per_instruction;
    let power = known.power.as_ref();
    Some(Cost {
        core,
        macs,
        instructions_estimate: instructions.round() as u64,
        cycles_estimate: cycles.round() as u64,
        milliseconds_estimate: clock_hz.map(|hertz| 1e3 * cycles / hertz),
        microjoules_estimate: power.map(|power| power.microwatts_per_megahertz * cycles * 1e-6),
        power_source: power.map(|power| power.source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{Layer, LayerOutput};

    #[test]
    fn costs_follow_from_products_outputs_and_decoding() {
        let output = LayerOutput {
            name: "y".to_owned(),
            shape: vec![1, 10, 100],
            scale: 1.0,
            zero_point: 0,
            wide_bits: None,
            tensor: 0,
            order: vec![0, 1, 2],
            dims: None,
        };
        let layer = Layer {
            name: "conv".to_owned(),
            op: "Conv".to_owned(),
            macs: 100_000,
            weight_bytes: 0,
            decoding: 0,
            weights: None,
            output,
        };
        let metadata = Metadata {
            compiler: String::new(),
            source_sha256: String::new(),
            calibration_sha256: None,
            target: Target::Generic,
            inputs: Vec::new(),
            outputs: Vec::new(),
            layers: vec![layer],
            plan: Vec::new(),
            floor_bytes: 0,
            reduction: None,
        };
        let cost = |core, clock| cost(&metadata, core, clock);
        let m4 = cost(Target::CortexM4, Some(64e6)).unwrap();
        assert_eq!((m4.macs, m4.instructions_estimate), (100_000, 103_900));
        assert_eq!(m4.cycles_estimate, 151_694);
        assert!((m4.milliseconds_estimate.unwrap() - 2.370).abs() < 0.001);
        assert!((m4.microjoules_estimate.unwrap() - 39.59).abs() < 0.01);
        let coded = Metadata {
            layers: vec![Layer { decoding: 500, ..metadata.layers[0].clone() }],
            ..metadata.clone()
        };
        let coded = super::cost(&coded, Target::CortexM4, None).unwrap();
        assert_eq!(coded.instructions_estimate, 103_900 + 500);
        let m7 = cost(Target::CortexM7, None).unwrap();
        assert_eq!((m7.milliseconds_estimate, m7.microjoules_estimate), (None, None));
        assert_eq!(cost(Target::Generic, None), None);
    }
}
