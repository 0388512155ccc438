//! What is refused before anything is written.

use fixie_device::{Chip, Contents, DeviceError, Memory, Plan};

use crate::files::{elf, firmware, image};
use crate::stand::Stand;

const RAM: (u32, u32) = (0x2000_0000, 4096);
const KIB: usize = 1024;

fn refused(firmware_at: Option<(u32, usize)>, image: &[u8], address: Option<u64>) -> DeviceError {
    let stand = Stand::nrf52840();
    let firmware = firmware_at.map(|(at, len)| firmware(at, &vec![1; len], RAM));
    let before = stand.flash_content();
    let error = stand.flash(firmware.as_ref(), Some(image), address).unwrap_err();
    assert_eq!(stand.flash_content(), before, "something was written");
    error
}

fn does_not_fit(error: &DeviceError, memory: Memory) {
    assert!(
        matches!(error, DeviceError::DoesNotFit { memory: found, .. } if *found == memory),
        "{error:?}"
    );
    assert!(error.help().unwrap().contains("nothing was written"));
}

#[test]
fn an_image_longer_than_its_region() {
    does_not_fit(&refused(None, &image(64, 600 * KIB), None), Memory::ImageRegion);
}

#[test]
fn an_image_that_reaches_beyond_flash() {
    let address = Some(0xF_F000);
    does_not_fit(&refused(None, &image(64, 8 * KIB), address), Memory::Flash);
    // A sector less fits.
    Stand::nrf52840().flash(None, Some(&image(64, 2 * KIB)), address).unwrap();
}

#[test]
fn an_arena_larger_than_ram() {
    does_not_fit(&refused(None, &image(300 * 1024, 100), None), Memory::Ram);
}

#[test]
fn firmware_larger_than_flash_or_ram() {
    let stand = Stand::nrf52840();
    let long = firmware(0xF_0000, &vec![1; 80 * KIB], RAM);
    does_not_fit(&stand.plan(Some(&long), None, None).unwrap_err(), Memory::Flash);
    let greedy = firmware(0, &[1; 16], (0x2000_0000, 300 * 1024));
    does_not_fit(&stand.plan(Some(&greedy), None, None).unwrap_err(), Memory::Ram);
}

#[test]
fn an_address_inside_a_sector() {
    let error = refused(None, &image(64, 100), Some(0x8_0100));
    assert!(matches!(error, DeviceError::Unaligned { .. }), "{error:?}");
    let help = error.help().unwrap();
    assert!(help.contains("--address 0x80000 or 0x81000"), "{help}");
}

#[test]
fn an_address_outside_flash() {
    for address in [0x2000_0000, 0x10_0000, u64::from(u32::MAX)] {
        let error = refused(None, &image(64, 100), Some(address));
        assert!(matches!(error, DeviceError::Outside { .. }), "{error:?}");
        assert!(error.to_string().contains("0x00000000 to 0x00100000"), "{error}");
    }
}

#[test]
fn firmware_linked_for_another_chip() {
    let stand = Stand::nrf52840();
    let stm32 = firmware(0x0800_0000, &[1; 16], RAM);
    let error = stand.plan(Some(&stm32), None, None).unwrap_err();
    assert!(matches!(error, DeviceError::Outside { what: "the firmware", .. }), "{error:?}");
}

/// What is erased with the firmware's last byte counts as the firmware's.
#[test]
fn an_image_over_the_firmware() {
    for address in [0x1000, 0x2000] {
        let error = refused(Some((0, 0x2001)), &image(64, 100), Some(address));
        assert!(matches!(error, DeviceError::Overlap { .. }), "{error:?}");
    }
    let stand = Stand::nrf52840();
    let firmware = firmware(0, &[1; 0x2001], RAM);
    stand.flash(Some(&firmware), Some(&image(64, 100)), Some(0x3000)).unwrap();
}

#[test]
fn a_chip_that_is_no_board_of_ours_needs_an_address() {
    let chip = Chip::find("nRF52833_xxAA").unwrap();
    let image = image(64, 100);
    let contents = Contents { image: Some(&image), ..Contents::default() };
    let error = Plan::new(&chip, &contents).unwrap_err();
    assert!(matches!(error, DeviceError::NoAddress { .. }), "{error:?}");
    assert!(error.help().unwrap().contains("--address"));
    let placed = Contents { address: Some(0x4_0000), ..contents };
    let plan = Plan::new(&chip, &placed).unwrap();
    assert_eq!(plan.image, Some((0x4_0000, image.len() as u64)));
}

#[test]
fn files_that_are_not_what_they_should_be() {
    let mut damaged = image(64, 100);
    *damaged.last_mut().unwrap() ^= 1;
    assert!(matches!(refused(None, &damaged, None), DeviceError::Image(_)));
    assert!(matches!(refused(None, b"text", None), DeviceError::Image(_)));
    let mut truncated = elf(0, &[1; 100], RAM);
    truncated.truncate(120);
    for file in [truncated, b"text".to_vec()] {
        let error = fixie_device::Firmware::parse(file).unwrap_err();
        assert!(matches!(error, DeviceError::Elf(_)), "{error:?}");
    }
}
