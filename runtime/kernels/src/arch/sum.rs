//! What the inner loop of `Add` computes.

/// `floor((a · a_multiplier + b · b_multiplier + bias) / 2^shift)`, saturated to 8 bits. All but
/// the division is modulo 2^32.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    /// Of the first operand, and of the second.
    pub multipliers: [i32; 2],
    /// Added to the products.
    pub bias: i32,
    /// At most 31.
    pub shift: u8,
}

impl Sum {
    /// The sum of two values, not yet saturated.
    #[inline(always)]
    pub const fn of(&self, a: i8, b: i8) -> i32 {
        let [of_a, of_b] = self.multipliers;
        let products = (a as i32).wrapping_mul(of_a).wrapping_add((b as i32).wrapping_mul(of_b));
        products.wrapping_add(self.bias).wrapping_shr(self.shift as u32)
    }
}
