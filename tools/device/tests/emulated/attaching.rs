//! From the list of probes to the right chip.

use fixie_device::emulated::{EmulatedBoard, Wire, probe_info};
use fixie_device::{Attach, Chip, Device, DeviceError, Probes};
use probe_rs::probe::list::{Accessibility, Lister, ProbeListItem, ProbeLister};
use probe_rs::probe::{DebugProbeError, DebugProbeSelector, Probe, ProbeCreationError};

use crate::files::image;
use crate::nor::NorChip;
use crate::stand::{CORTEX_M0, CORTEX_M4, NRF52_PART, Stand, nrf52840};

/// Probes that cannot be used, for one reason or another.
#[derive(Debug)]
struct Unusable(Vec<ProbeListItem>);

impl ProbeLister for Unusable {
    fn open(&self, _: &DebugProbeSelector) -> Result<Probe, DebugProbeError> {
        Err(ProbeCreationError::CouldNotOpen.into())
    }

    fn list_with_access(&self, _: Option<&DebugProbeSelector>) -> Vec<ProbeListItem> {
        self.0.clone()
    }
}

fn attach(items: Vec<ProbeListItem>, probe: Option<&str>) -> DeviceError {
    let probes = Probes::of(Lister::with_lister(Box::new(Unusable(items))));
    let chip = Chip::find("nRF52840_xxAA").unwrap();
    let how = Attach { probes: &probes, probe, chip: &chip, identity: None, unlock: false };
    Device::attach(&how).unwrap_err()
}

fn item(serial: &str) -> ProbeListItem {
    ProbeListItem::accessible(probe_info(Some(serial)))
}

/// Expects an error of a kind, whose text and help hold these parts.
fn says(error: &DeviceError, parts: &[&str]) {
    let text = format!("{error}; {}", error.help().unwrap());
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
}

#[test]
fn no_probe() {
    let error = attach(Vec::new(), None);
    assert!(matches!(error, DeviceError::NoProbe));
    says(&error, &["cable", "fixie probe list"]);
}

#[test]
fn several_probes_or_not_the_one() {
    let error = attach(vec![item("A1"), item("B2")], None);
    assert!(matches!(error, DeviceError::SeveralProbes(_)));
    says(&error, &["1209:0001:A1", "1209:0001:B2", "--probe"]);
    let error = attach(vec![item("A1")], Some("B2"));
    assert!(matches!(error, DeviceError::NoSuchProbe { .. }));
    says(&error, &["'B2'", "1209:0001:A1"]);
    // A serial number names one of them.
    let error = attach(vec![item("A1"), item("B2")], Some("B2"));
    assert!(matches!(&error, DeviceError::Open { probe, .. } if probe.contains("B2")), "{error}");
}

#[test]
fn no_permission_names_the_udev_rule() {
    let mut item = item("A1");
    item.accessibility = Accessibility::PermissionDenied;
    let error = attach(vec![item], None);
    assert!(matches!(error, DeviceError::NoPermission { .. }));
    says(&error, &["ATTR{idVendor}==\"1209\"", "/etc/udev/rules.d/69-probe-rs.rules"]);
}

#[test]
fn a_probe_in_use() {
    let error = attach(vec![item("A1")], None);
    assert!(matches!(error, DeviceError::Open { .. }));
    says(&error, &["other programs"]);
}

#[test]
fn nothing_on_the_wires() {
    let stand = Stand::nrf52840();
    stand.board.set_wire(|wire| wire.is_open = true);
    let error = stand.attach().unwrap_err();
    assert!(matches!(error, DeviceError::NoChip { .. }), "{error:?}");
    says(&error, &["SWDIO, SWCLK and GND"]);
}

/// Same core, same family; only the part number tells.
#[test]
fn a_sibling_of_the_chip() {
    let sibling = NorChip::new("nRF52832_xxAA", CORTEX_M4, &[(NRF52_PART, 0x0005_2832)]);
    let error = Stand::with(sibling).attach().unwrap_err();
    assert!(matches!(error, DeviceError::WrongChip { .. }), "{error:?}");
    says(&error, &["nRF52840_xxAA", "0x52832", "nothing was written"]);
}

/// It lacks the port by which an nRF52 says that it is not locked, and is not taken for a locked one.
#[test]
fn a_chip_of_another_make() {
    let stm32 = NorChip::new("STM32F446RETx", CORTEX_M4, &[]);
    let error = Stand::on("nrf52840-dk", stm32, Wire::default()).attach().unwrap_err();
    assert!(matches!(error, DeviceError::WrongChip { .. }), "{error:?}");
    says(&error, &["Cortex-M4", "not locked"]);
}

#[test]
fn a_chip_with_another_core() {
    let other = NorChip::new("nRF51822_xxAA", CORTEX_M0, &[]);
    let error = Stand::on("nucleo-f446re", other, Wire::default()).attach().unwrap_err();
    assert!(matches!(error, DeviceError::WrongChip { .. }), "{error:?}");
    says(&error, &["STM32F446RETx", "Cortex-M0"]);
}

#[test]
fn a_locked_chip_is_opened_only_on_demand() {
    let stand = Stand::nrf52840();
    let image = image(64, 1000);
    stand.flash(None, Some(&image), None).unwrap();
    stand.board.set_wire(|wire| wire.is_locked = true);
    let error = stand.attach().unwrap_err();
    assert!(matches!(error, DeviceError::Locked { .. }), "{error:?}");
    says(&error, &["--unlock", "erases"]);
    assert_eq!(stand.memory(0x8_0000, image.len()), image, "it was erased without being asked");

    let plan = stand.plan(None, Some(&image), None).unwrap();
    let mut device = stand.attach_with(true).unwrap();
    assert_eq!(stand.memory(0x8_0000, 4), [0xFF; 4]);
    device.flash(&plan, &mut |_| {}).unwrap();
    assert_eq!(stand.memory(0x8_0000, image.len()), image);
}

#[test]
fn an_emulated_probe_is_listed() {
    let board = EmulatedBoard::new(nrf52840(), Wire::default());
    let list = Probes::of(board.lister()).list();
    assert_eq!(list.len(), 1);
    assert_eq!((list[0].selector.as_str(), list[0].accessible), ("1209:0001", true));
}
