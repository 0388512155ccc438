//! What `Conv` and `Depthwise` do with the pixels of a strip.

use crate::arch::filters::{Filters, Strip};
use crate::arch::neighbours::Neighbours;
use crate::arch::scalar::{pieces, pieces_mut};
use crate::arch::taps::{TapFilters, TapStrip};
use crate::arch::view::{Dst, Src};

/// See [`Isa::conv_strip`].
#[inline(always)]
pub fn conv_strip(filters: &Filters<'_>, strip: &Strip<'_>) -> Option<()> {
    for pixel in 0..strip.pixels() {
        let patch = strip.source().slice(pixel.checked_mul(strip.step())?, filters.taps())?;
        let out = pixel.checked_mul(strip.out_step())?;
        let out = strip.out().slice(out, filters.channels())?;
        let constants = filters.bias().iter().zip(filters.multipliers());
        let rows = pieces(filters.weights(), filters.taps()).zip(constants);
        for (cell, (row, (&bias, &multiplier))) in out.cells().iter().zip(rows) {
            let sum = patch
                .iter()
                .zip(row)
                .fold(bias, |sum, (x, &w)| i32::from(x).wrapping_mul(w.into()).wrapping_add(sum));
            cell.set(filters.requantizer().apply(sum, multiplier));
        }
    }
    Some(())
}

/// See [`Isa::conv_neighbours`]. One pixel after the other.
#[inline(always)]
pub fn conv_neighbours(
    filters: &Filters<'_>,
    neighbours: &Neighbours<'_>,
    (out, step): (Dst<'_>, usize),
    patches: &mut [i8],
) -> Option<()> {
    let patch = patches.get_mut(..filters.taps())?;
    if let Some(padding) = neighbours.padding {
        patch.fill(padding);
    }
    for pixel in 0..neighbours.pixels {
        let behind = pixel.checked_mul(neighbours.pixel_step)?;
        for piece in &neighbours.pieces {
            for row in 0..piece.rows {
                let [from, to] = neighbours.steps.map(|step| row.checked_mul(step));
                let from = piece.from.checked_add(from?)?.checked_add(behind)?;
                let to = patch.get_mut(piece.to.checked_add(to?)?..)?.get_mut(..neighbours.run)?;
                neighbours.memory.slice(from, neighbours.run)?.copy_to(to)?;
            }
        }
        let at = pixel.checked_mul(step)?;
        let out = (out.slice(at, filters.channels())?, step);
        let source = (Src::from(&*patch), filters.taps());
        conv_strip(filters, &Strip::new(filters, 1, source, out)?)?;
    }
    Some(())
}

/// See [`Isa::gather`].
#[inline(always)]
pub fn gather(neighbours: &Neighbours<'_>, patches: &mut [i8], pitch: usize) -> Option<()> {
    for (pixel, patch) in pieces_mut(patches, pitch).take(neighbours.pixels).enumerate() {
        let behind = pixel.checked_mul(neighbours.pixel_step)?;
        for piece in &neighbours.pieces {
            for row in 0..piece.rows {
                let [from, to] = neighbours.steps.map(|step| row.checked_mul(step));
                let from = piece.from.checked_add(from?)?.checked_add(behind)?;
                let to = patch.get_mut(piece.to.checked_add(to?)?..)?.get_mut(..neighbours.run)?;
                neighbours.memory.slice(from, neighbours.run)?.copy_to(to)?;
            }
        }
    }
    Some(())
}

/// See [`Isa::depthwise_strip`].
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
