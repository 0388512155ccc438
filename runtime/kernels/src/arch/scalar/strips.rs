//! What `ConvVectors` and `Depthwise` do with neighbouring pixels.

use crate::arch::neighbours::Neighbours;
use crate::arch::scalar::pieces_mut;
use crate::arch::taps::{TapFilters, TapStrip};

/// See [`Isa::gather`](crate::arch::Isa::gather).
#[inline(always)]
pub fn gather(neighbours: &Neighbours<'_>, patches: &mut [i8], pitch: usize) -> Option<()> {
    let sight = neighbours.sight();
    for (pixel, patch) in pieces_mut(patches, pitch).take(sight.pixels).enumerate() {
        if let Some(padding) = sight.padding {
            patch.fill(padding);
        }
        let behind = pixel.checked_mul(sight.pixel_step)?;
        for piece in &sight.pieces {
            for row in 0..piece.rows {
                let [from, to] = sight.steps.map(|step| row.checked_mul(step));
                let from = piece.from.checked_add(from?)?.checked_add(behind)?;
                let to = patch.get_mut(piece.to.checked_add(to?)?..)?.get_mut(..sight.run)?;
                sight.memory.slice(from, sight.run)?.copy_to(to)?;
            }
        }
    }
    Some(())
}

/// See [`Isa::depthwise_strip`](crate::arch::Isa::depthwise_strip).
#[inline(always)]
pub fn depthwise_strip(filters: &TapFilters<'_>, strip: &TapStrip<'_>) -> Option<()> {
    let (scene, padding) = (strip.scene(), strip.scene().padding_position());
    for pixel in 0..strip.pixels() {
        let out = pixel.checked_mul(strip.out_step())?;
        let out = strip.out().slice(out, filters.channels())?;
        let constants = filters.bias().iter().zip(filters.multipliers());
        for (channel, (cell, (&bias, &multiplier))) in out.cells().iter().zip(constants).enumerate()
        {
            let mut sum = bias;
            for (tap, &position) in strip.positions().iter().enumerate() {
                let seen = if position == padding {
                    *scene.padding.get(channel)?
                } else {
                    let pixel = position.checked_add(pixel.checked_mul(strip.step())?)?;
                    scene.source.get(pixel.checked_add(channel)?)?
                };
                let weight = tap.checked_mul(filters.pitch())?.checked_add(channel)?;
                let weight = i32::from(*filters.weights().get(weight)?);
                sum = weight.wrapping_mul(seen.into()).wrapping_add(sum);
            }
            cell.set(filters.requantizer().apply(sum, multiplier));
        }
    }
    Some(())
}
