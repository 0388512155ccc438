//! Debug probes: which are connected, and opening one.

use probe_rs::probe::list::{Accessibility, Lister, ProbeListItem};
use probe_rs::probe::{DebugProbeSelector, Probe};
use serde::Serialize;

use crate::DeviceError;

/// Where probes are found.
#[derive(Debug)]
pub struct Probes(Lister);

/// A connected probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectedProbe {
    /// Its name.
    pub name: String,
    /// What kind it is: ST-LINK, J-Link, CMSIS-DAP …
    pub kind: String,
    /// What `--probe` calls it: `VENDOR:PRODUCT:SERIAL`.
    pub selector: String,
    /// Whether this user may use it.
    pub accessible: bool,
}

impl Probes {
    /// Those at this computer.
    pub fn connected() -> Self {
        Self(Lister::new())
    }

    /// Those of a lister, such as an [emulated board's](crate::emulated::EmulatedBoard::lister).
    pub fn of(lister: Lister) -> Self {
        Self(lister)
    }

    /// All of them.
    pub fn list(&self) -> Vec<ConnectedProbe> {
        self.0.list_all_with_access().iter().map(describe).collect()
    }

    /// Opens the probe of that selector or serial number; without one, the only one there is.
    pub(crate) fn open(&self, wanted: Option<&str>) -> Result<Probe, DeviceError> {
        let items = self.0.list_all_with_access();
        let selectors = |items: &[ProbeListItem]| {
            items.iter().map(|item| describe(item).selector).collect::<Vec<_>>()
        };
        let matching: Vec<_> = match wanted {
            None => items.clone(),
            Some(text) => items.iter().filter(|item| matches(item, text)).cloned().collect(),
        };
        match (&matching[..], wanted) {
            ([item], _) => self.open_item(item),
            ([], Some(selector)) => Err(DeviceError::NoSuchProbe {
                selector: selector.to_owned(),
                connected: selectors(&items),
            }),
            ([], None) => Err(DeviceError::NoProbe),
            (several, _) => Err(DeviceError::SeveralProbes(selectors(several))),
        }
    }

    fn open_item(&self, item: &ProbeListItem) -> Result<Probe, DeviceError> {
        let ConnectedProbe { name, selector, .. } = describe(item);
        let probe = format!("{name} ({selector})");
        if item.accessibility == Accessibility::PermissionDenied {
            return Err(DeviceError::NoPermission { probe, vendor_id: item.info.vendor_id });
        }
        let opened = self.0.open(&item.info);
        opened.map_err(|error| DeviceError::Open { probe, source: Box::new(error) })
    }
}

fn describe(item: &ProbeListItem) -> ConnectedProbe {
    ConnectedProbe {
        name: item.info.identifier.clone(),
        kind: item.info.probe_type(),
        selector: DebugProbeSelector::from(&item.info).to_string(),
        accessible: item.accessibility == Accessibility::Accessible,
    }
}

fn matches(item: &ProbeListItem, text: &str) -> bool {
    let is_serial = item.info.serial_number.as_deref() == Some(text);
    let selector = text.parse::<DebugProbeSelector>();
    is_serial || selector.is_ok_and(|selector| selector.matches_probe(&item.info))
}
