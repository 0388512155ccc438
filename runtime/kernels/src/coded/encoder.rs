//! For the compiler: writes streams of coded constants.

use std::vec;
use std::vec::Vec;

use fixie_format::Record;
use fixie_format::op::coded::{Coding, FREQUENCY_SUM, LOWER_BOUND, MAX_BITS, MAX_RAW_BITS};

/// The constants of one output channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// `[kernel_h][kernel_w][in_c / groups]`.
    pub weights: Vec<i8>,
    /// −`pad_value` · Σw included.
    pub bias: i32,
    /// What its sums are multiplied with.
    pub multiplier: i32,
}

/// The shortest stream for some channels; `None` if there is no weight, or if a multiplier is below
/// 0.
pub fn encode(channels: &[Channel]) -> Option<Vec<u8>> {
    let weights: Vec<i8> = channels.iter().flat_map(|channel| &channel.weights).copied().collect();
    let alphabet = Alphabet::best(&weights)?;
    let widths = Widths::of(channels)?;
    let coding = Coding {
        last_symbol: (alphabet.values.len() - 1) as u8,
        raw_bits: alphabet.raw_bits,
        first: alphabet.values[0],
        step: alphabet.step,
        bias_bits: widths.bias_bits,
        multiplier_bits: widths.multiplier_bits,
        multiplier_shift: widths.multiplier_shift,
        reserved: 0,
    };
    let mut encoder = Encoder::new();
    for channel in channels.iter().rev() {
        for &weight in channel.weights.iter().rev() {
            alphabet.put(&mut encoder, weight);
        }
        encoder.number(widths.multiplier(channel), coding.multiplier_bits);
        encoder.number(widths.bias(channel), coding.bias_bits);
    }
    let mut stream = vec![0; Coding::LEN];
    coding.write(&mut stream)?;
    stream.extend(alphabet.frequencies.iter().map(|&f| (f - 1) as u8));
    if coding.lists_values() {
        stream.extend(alphabet.values.iter().map(|&value| value as u8));
    }
    stream.extend(encoder.state.to_le_bytes());
    stream.extend(encoder.words.iter().rev().flat_map(|word| word.to_le_bytes()));
    Some(stream)
}

/// The fewest bits in which biases and multipliers can be written.
pub struct Widths {
    /// Two's complement.
    pub bias_bits: u8,
    /// Without the zeros below.
    pub multiplier_bits: u8,
    /// Zeros below the bits of a multiplier.
    pub multiplier_shift: u8,
}

impl Widths {
    /// Of some channels; `None` if there is none, or if a multiplier is below 0.
    pub fn of(channels: &[Channel]) -> Option<Self> {
        let multipliers = channels.iter().map(|channel| u32::try_from(channel.multiplier));
        let multipliers = multipliers.collect::<Result<Vec<_>, _>>().ok()?;
        let all_bits = multipliers.iter().fold(0, |bits, multiplier| bits | multiplier);
        let multiplier_shift = all_bits.trailing_zeros().min(31) as u8;
        Some(Self {
            bias_bits: channels.iter().map(|channel| signed_bits(channel.bias)).max()?,
            multiplier_bits: (32 - (all_bits >> multiplier_shift).leading_zeros()) as u8,
            multiplier_shift,
        })
    }

    /// The bits of a channel's bias.
    pub fn bias(&self, channel: &Channel) -> u32 {
        let unused = 32 - u32::from(self.bias_bits);
        (channel.bias as u32).checked_shl(unused).map_or(0, |bits| bits >> unused)
    }

    /// The bits of a channel's multiplier.
    pub fn multiplier(&self, channel: &Channel) -> u32 {
        channel.multiplier as u32 >> self.multiplier_shift
    }
}

/// The fewest bits in which two's complement can hold a number; 0 for zero.
fn signed_bits(number: i32) -> u8 {
    let magnitude = if number < 0 { !number } else { number };
    if number == 0 { 0 } else { (33 - magnitude.leading_zeros()) as u8 }
}

/// How weights become symbols.
struct Alphabet {
    /// Per symbol, ascending.
    values: Vec<i8>,
    raw_bits: u8,
    /// 0: the values are listed.
    step: u8,
    /// Per symbol; at least 1, [`FREQUENCY_SUM`] in all.
    frequencies: Vec<u32>,
}

impl Alphabet {
    /// The one with which weights and table take the fewest bytes.
    fn best(weights: &[i8]) -> Option<Self> {
        let mut levels = weights.to_vec();
        levels.sort_unstable();
        levels.dedup();
        let (&least, &most) = (levels.first()?, levels.last()?);
        let range = usize::from(most.abs_diff(least));
        let even = |step: u8, raw_bits: u8| {
            let values = (0..=range).step_by(usize::from(step));
            let values = values.map(|above| (i32::from(least) + above as i32) as i8).collect();
            Self::new(weights, values, raw_bits, step)
        };
        let distance = distance(&levels);
        let candidates = (0..=MAX_RAW_BITS)
            .map(|raw_bits| even(1 << raw_bits, raw_bits))
            .chain([even(distance.max(1), 0), Self::new(weights, levels.clone(), 0, 0)]);
        let costed = candidates.map(|(alphabet, bits)| (alphabet.table_bits() + bits, alphabet));
        costed.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, alphabet)| alphabet)
    }

    /// With frequencies that suit the weights, which then take so many bits.
    fn new(weights: &[i8], values: Vec<i8>, raw_bits: u8, step: u8) -> (Self, f64) {
        let mut alphabet = Self { values, raw_bits, step, frequencies: Vec::new() };
        let mut counts = vec![0_u32; alphabet.values.len()];
        for &weight in weights {
            counts[alphabet.symbol(weight)] += 1;
        }
        alphabet.frequencies = frequencies(&counts);
        let whole = FREQUENCY_SUM as f64;
        let bits = |(&count, &frequency): (&u32, &u32)| {
            f64::from(count) * ((whole / f64::from(frequency)).log2() + f64::from(raw_bits))
        };
        let bits = counts.iter().zip(&alphabet.frequencies).map(bits).sum();
        (alphabet, bits)
    }

    /// Bits of what the stream says of the symbols.
    fn table_bits(&self) -> f64 {
        let bytes = if self.step == 0 { 2 } else { 1 };
        (8 * bytes * self.values.len()) as f64
    }

    /// The last symbol whose value is not above the weight.
    fn symbol(&self, weight: i8) -> usize {
        self.values.partition_point(|&value| value <= weight) - 1
    }

    fn put(&self, encoder: &mut Encoder, weight: i8) {
        let symbol = self.symbol(weight);
        let before = self.frequencies[..symbol].iter().sum();
        let low = weight.abs_diff(self.values[symbol]);
        encoder.symbol(self.frequencies[symbol], before, (low.into(), self.raw_bits));
    }
}

/// The largest distance that divides those of all levels from the first one; 0 if there is only one.
pub fn distance(levels: &[i8]) -> u8 {
    fn common(a: u8, b: u8) -> u8 {
        if b == 0 { a } else { common(b, a % b) }
    }
    levels.iter().fold(0, |gcd, level| common(gcd, level.abs_diff(levels[0])))
}

/// The frequencies with which symbols that occur so often take the fewest bits: each time the one
/// gets a slot that gains most by it, which is best since the gains fall.
fn frequencies(counts: &[u32]) -> Vec<u32> {
    let mut frequencies = vec![1_u32; counts.len()];
    for _ in counts.len()..FREQUENCY_SUM {
        let gain = |symbol: usize| {
            let frequency = f64::from(frequencies[symbol]);
            f64::from(counts[symbol]) * (1.0 / frequency).ln_1p()
        };
        let best = (0..counts.len()).max_by(|&a, &b| gain(a).total_cmp(&gain(b)));
        frequencies[best.unwrap_or(0)] += 1;
    }
    frequencies
}

/// The inverse of the decoder: it takes the numbers from the last to the first.
struct Encoder {
    state: u32,
    /// The last one is read first.
    words: Vec<u16>,
}

impl Encoder {
    fn new() -> Self {
        Self { state: LOWER_BOUND, words: Vec::new() }
    }

    /// Makes room for a symbol of `frequency` in 2^`bits`.
    fn flush(&mut self, frequency: u32, bits: u8) {
        let limit = u64::from(frequency * (LOWER_BOUND >> bits)) << u16::BITS;
        if u64::from(self.state) >= limit {
            self.words.push(self.state as u16);
            self.state >>= u16::BITS;
        }
    }

    fn symbol(&mut self, frequency: u32, before: u32, (low, raw_bits): (u32, u8)) {
        const BITS: u8 = FREQUENCY_SUM.trailing_zeros() as u8;
        self.flush(frequency, BITS + raw_bits);
        let state = self.state << raw_bits | low;
        self.state = (state / frequency) << BITS | (state % frequency + before);
    }

    fn raw(&mut self, number: u32, bits: u8) {
        self.flush(1, bits);
        self.state = self.state << bits | number;
    }

    fn number(&mut self, number: u32, bits: u8) {
        let upper = bits.saturating_sub(MAX_BITS);
        let lower = bits - upper;
        self.raw(number & ((1 << lower) - 1), lower);
        self.raw(number.checked_shr(MAX_BITS.into()).unwrap_or(0) * u32::from(upper > 0), upper);
    }
}
