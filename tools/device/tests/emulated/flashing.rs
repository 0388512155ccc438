//! What lies in flash afterwards.

use fixie_device::{DeviceError, FlashEvent, Operation};

use crate::files::{firmware, image};
use crate::nor::Health;
use crate::stand::{Stand, nrf52840};

const RAM: (u32, u32) = (0x2000_0000, 4096);

fn code(seed: u8) -> Vec<u8> {
    (0..10_000_u32).map(|index| (index / 7) as u8 ^ seed).collect()
}

#[test]
fn firmware_and_image_lie_where_they_belong() {
    let stand = Stand::nrf52840();
    let (code, image) = (code(0), image(64, 20_000));
    stand.flash(Some(&firmware(0, &code, RAM)), Some(&image), None).unwrap();
    assert_eq!(stand.memory(0, code.len()), code);
    assert_eq!(stand.memory(0x8_0000, image.len()), image);
    // The rest of the last sectors is erased, and nothing beyond is touched.
    assert_eq!(stand.memory(0x8_0000 + image.len() as u64, 4), [0xFF; 4]);
}

#[test]
fn a_second_image_leaves_the_firmware_as_it_was() {
    let stand = Stand::nrf52840();
    let code = code(0);
    stand.flash(Some(&firmware(0, &code, RAM)), Some(&image(64, 20_000)), None).unwrap();
    let before = stand.memory(0, 0x8_0000);
    let second = image(128, 9_000);
    stand.flash(None, Some(&second), None).unwrap();
    assert_eq!(stand.memory(0x8_0000, second.len()), second);
    assert_eq!(stand.memory(0, 0x8_0000), before);
}

#[test]
fn progress_counts_every_byte() {
    let stand = Stand::nrf52840();
    let image = image(64, 20_000);
    let plan = stand.plan(None, Some(&image), None).unwrap();
    let mut sums = Vec::new();
    let mut count = |event| match event {
        FlashEvent::Started { operation, total_bytes } => sums.push((operation, total_bytes, 0)),
        FlashEvent::Advanced { bytes } => sums.last_mut().unwrap().2 += bytes,
    };
    stand.attach().unwrap().flash(&plan, &mut count).unwrap();
    let operations: Vec<_> = sums.iter().map(|sum| sum.0).collect();
    assert_eq!(operations, [Operation::Erase, Operation::Program, Operation::Verify]);
    let sectors = (image.len() as u64).next_multiple_of(4096);
    assert!(sums.iter().all(|&(_, total, done)| total == done), "{sums:?}");
    assert_eq!(sums[0].1, sectors);
}

#[test]
fn a_cable_unplugged_midway_leaves_a_chip_that_can_be_flashed_again() {
    let (code, image) = (code(0), image(64, 20_000));
    let firmware = firmware(0, &code, RAM);
    let whole = Stand::nrf52840();
    let start = 1 << 40;
    whole.board.set_wire(|wire| wire.unplug_after = Some(start));
    whole.flash(Some(&firmware), Some(&image), None).unwrap();
    let accesses = start - whole.board.wire().unplug_after.unwrap();

    let stand = Stand::nrf52840();
    let mut stages = Vec::new();
    for tenth in 1..10 {
        stand.board.set_wire(|wire| wire.unplug_after = Some(accesses * tenth / 10));
        let error = stand.flash(Some(&firmware), Some(&image), None).unwrap_err();
        let DeviceError::Disconnected { doing, .. } = error else {
            panic!("unplugged after {tenth} tenths: {error:?}");
        };
        assert!(error.help().unwrap().contains("repeat the command"));
        stages.push(doing);
    }
    assert!(stages.contains(&"erasing flash") && stages.contains(&"writing flash"), "{stages:?}");

    stand.board.set_wire(|wire| wire.unplug_after = None);
    stand.flash(Some(&firmware), Some(&image), None).unwrap();
    assert_eq!(stand.flash_content(), whole.flash_content());
}

#[test]
fn a_bit_that_cannot_be_cleared_is_found_where_it_is() {
    let image = image(64, 20_000);
    let offset = (5000..image.len()).find(|&offset| image[offset] & 1 == 0).unwrap();
    let address = 0x8_0000 + offset as u32;
    let stand = Stand::with(nrf52840().with_health(Health::StuckBit(address)));
    let error = stand.flash(None, Some(&image), None).unwrap_err();
    let DeviceError::Verify { address: found_at, expected, found } = error else {
        panic!("{error:?}");
    };
    assert_eq!(found_at, u64::from(address));
    assert_eq!((expected, found), (image[offset], image[offset] | 1));
}

#[test]
fn flash_that_cannot_be_erased() {
    let stand = Stand::with(nrf52840().with_health(Health::Protected));
    let error = stand.flash(None, Some(&image(64, 100)), None).unwrap_err();
    assert!(matches!(error, DeviceError::Flash { doing: "erasing flash", .. }), "{error:?}");
    assert!(error.help().unwrap().contains("write-protected"));
}
