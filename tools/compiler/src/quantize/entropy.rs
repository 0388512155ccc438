//! How much the integers of a layer say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

/// More digits would only make images longer.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's interface")]
fn thousandths<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((value * 1000.0).round() / 1000.0)
}

/// What a coder needs beyond the entropy, as a share.
const CODER_LOSS: f64 = 0.02;
/// Bytes of a coder's table of frequencies.
const CODER_TABLE: f64 = 24.0;

/// What there is to know about the weights of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightStatistics {
    /// Number of weights.
    pub count: usize,
    /// The largest magnitude.
    pub largest: u32,
    /// Shannon's entropy of order 0 in bits per weight: no code that treats the weights of the
    /// layer alike, one by one, needs less.
    #[serde(serialize_with = "thousandths")]
    pub entropy_bits: f64,
}

impl WeightStatistics {
    /// Of these integers.
    pub fn of<'a>(integers: impl IntoIterator<Item = &'a i32>) -> Self {
        // In order, so that sums do not depend on anything else.
        let mut counts: BTreeMap<i32, usize> = BTreeMap::new();
        for &integer in integers {
            *counts.entry(integer).or_default() += 1;
        }
        let count: usize = counts.values().sum();
        let bits = |&n: &usize| {
            let share = n as f64 / count as f64;
            -share * share.log2()
        };
        Self {
            count,
            largest: counts.keys().map(|q| q.unsigned_abs()).max().unwrap_or(0),
            entropy_bits: counts.values().map(bits).sum(),
        }
    }

    /// Bytes in which the weights are stored: as they are or entropy coded.
    ///
    /// An estimate: the coder is taken to be within `CODER_LOSS` of the entropy and to need
    /// `CODER_TABLE` bytes for what it knows about a layer.
    pub fn stored_bytes(&self) -> usize {
        let estimate = self.coded_bytes() * (1.0 + CODER_LOSS) + CODER_TABLE;
        self.count.min(estimate.ceil() as usize)
    }

    /// Bytes in which an ideal coder of order 0 writes the weights.
    pub fn coded_bytes(&self) -> f64 {
        self.count as f64 * self.entropy_bits / 8.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_shannons() {
        let even = WeightStatistics::of(&[-3, -1, 1, 3]);
        assert_eq!((even.count, even.largest, even.entropy_bits), (4, 3, 2.0));
        assert_eq!((even.coded_bytes(), even.stored_bytes()), (1.0, 4));
        // One in four: 0.25 · 2 + 0.75 · log2(4/3).
        let biased = WeightStatistics::of(&[0, 0, 0, -128]).entropy_bits;
        assert!((biased - 0.811_278_124).abs() < 1e-9, "{biased}");
        let constant = WeightStatistics::of(&[5; 9]);
        assert_eq!((constant.entropy_bits, constant.stored_bytes()), (0.0, 9));
        assert_eq!(WeightStatistics::of(&[7; 1000]).stored_bytes(), 24);
        assert_eq!(WeightStatistics::of(&[]).stored_bytes(), 0);
    }
}
