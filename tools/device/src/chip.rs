//! Chips as probe-rs knows them: where their flash and RAM lie, and what is erased together.

use std::ops::Range;
use std::sync::LazyLock;

use probe_rs::Target;
use probe_rs::config::{ChipFamily, CoreType, MemoryRegion, Registry, RegistryError};

use crate::DeviceError;

/// How many names an error suggests.
const SUGGESTIONS: usize = 8;

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::from_builtin_families);

/// A kind of chip.
#[derive(Debug, Clone)]
pub struct Chip {
    target: Target,
}

impl Chip {
    /// The chip of that name. Packages may be left out (`STM32H743ZI`) where they are all alike.
    ///
    /// # Errors
    ///
    /// [`DeviceError::UnknownChip`], which suggests others.
    pub fn find(name: &str) -> Result<Self, DeviceError> {
        let target = REGISTRY.get_target_by_name(name).map_err(|error| {
            let suggestions = match error {
                RegistryError::ChipNotUnique(_, candidates) => {
                    candidates.split(", ").map(str::to_owned).collect()
                }
                _ => similar(name),
            };
            DeviceError::UnknownChip {
                name: name.to_owned(),
                suggestions: suggestions.into_iter().take(SUGGESTIONS).collect(),
            }
        })?;
        Ok(Self { target })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.target.name
    }

    /// Stretches of flash, by address. One does not continue another.
    pub fn flash(&self) -> Vec<Range<u64>> {
        self.merged(|region| match region {
            MemoryRegion::Nvm(nvm) if !nvm.is_alias => Some(nvm.range.clone()),
            _ => None,
        })
    }

    /// Stretches of RAM, by address. One does not continue another, but some chips have the same
    /// memory at two places.
    pub fn ram(&self) -> Vec<Range<u64>> {
        self.merged(|region| region.as_ram_region().map(|ram| ram.range.clone()))
    }

    /// What is erased together with an address; none outside flash, or where probe-rs has no
    /// algorithm for it.
    pub fn sector(&self, address: u64) -> Option<Range<u64>> {
        let algorithms = self
            .target
            .flash_algorithms
            .iter()
            .filter(|algorithm| algorithm.flash_properties.address_range.contains(&address));
        // As probe-rs chooses: the only one, else the default one.
        let properties = &algorithms.max_by_key(|algorithm| algorithm.default)?.flash_properties;
        let base = properties.address_range.start;
        let offset = address - base;
        let group = properties.sectors.iter().rfind(|sector| sector.address <= offset)?;
        let start = base + group.address + (offset - group.address) / group.size * group.size;
        Some(start..start + group.size)
    }

    /// How probe-rs describes it.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// The core that runs the firmware.
    pub(crate) fn core_type(&self) -> CoreType {
        self.target.default_core().core_type
    }

    fn merged(&self, select: impl Fn(&MemoryRegion) -> Option<Range<u64>>) -> Vec<Range<u64>> {
        let mut ranges: Vec<_> = self.target.memory_map.iter().filter_map(select).collect();
        ranges.sort_by_key(|range| range.start);
        let mut merged: Vec<Range<u64>> = Vec::new();
        for range in ranges {
            match merged.last_mut() {
                Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged
    }
}

/// All chips whose name contains `text`, letters of either case, sorted.
pub fn search(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let families = REGISTRY.families().iter();
    let variants = families.flat_map(ChipFamily::variants);
    let mut names: Vec<_> = variants
        .map(|chip| chip.name.clone())
        .filter(|name| name.to_lowercase().contains(&text))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Chips that share the longest beginning with `name`.
fn similar(name: &str) -> Vec<String> {
    let name = name.to_lowercase();
    let shared = |other: &str| {
        let other = other.to_lowercase();
        name.chars().zip(other.chars()).take_while(|(a, b)| a == b).count()
    };
    let names = search("");
    let longest = names.iter().map(|other| shared(other)).max().unwrap_or(0);
    // Two letters in common say nothing.
    if longest < 3 {
        return Vec::new();
    }
    names.into_iter().filter(|other| shared(other) == longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_an_nrf52840() {
        let chip = Chip::find("nrf52840_xxaa").unwrap();
        assert_eq!(chip.name(), "nRF52840_xxAA");
        assert_eq!(chip.flash()[0], 0..1024 * 1024);
        assert!(chip.ram().contains(&(0x2000_0000..0x2004_0000)));
        assert_eq!(chip.sector(0x8_1234), Some(0x8_1000..0x8_2000));
        assert_eq!(chip.sector(0x2000_0000), None);
    }

    /// Sectors of 16, 64 and 128 KiB, from the reference manual (RM0390, table of the flash module).
    #[test]
    fn sectors_of_different_sizes() {
        let chip = Chip::find("STM32F446RETx").unwrap();
        assert_eq!(chip.sector(0x0800_4000), Some(0x0800_4000..0x0800_8000));
        assert_eq!(chip.sector(0x0801_2345), Some(0x0801_0000..0x0802_0000));
        assert_eq!(chip.sector(0x0807_FFFF), Some(0x0806_0000..0x0808_0000));
    }

    #[test]
    fn an_unknown_chip_is_answered_with_similar_ones() {
        let error = Chip::find("nRF52841").unwrap_err().to_string();
        assert!(error.contains("nRF52840_xxAA"), "{error}");
        assert!(Chip::find("zzz").unwrap_err().to_string().contains("fixie chips"));
        assert!(search("h743zi").iter().any(|name| name == "STM32H743ZI"));
    }
}
