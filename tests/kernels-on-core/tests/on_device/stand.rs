//! A micro:bit on an emulated probe, and what one does with it.

use std::net::TcpStream;
use std::sync::Arc;

use fixie_compiler::compile::{Options, compile};
use fixie_compiler::data::Dataset;
use fixie_compiler::lower::Inputs;
use fixie_compiler::onnx::{ImportOptions, Model};
use fixie_compiler::session::Network;
use fixie_compiler::target::Target;
use fixie_device::emulated::{EmulatedBoard, Qemu, Wire};
use fixie_device::firmware::application;
use fixie_device::{Attach, Board, Chip, Contents, Device, DeviceError, Firmware, Plan, Probes};
use fixie_tests::shipped;

/// A micro:bit on an emulated probe, with one of the programs for it.
pub struct Stand {
    pub board: &'static Board,
    pub chip: Chip,
    pub emulated: EmulatedBoard,
    pub serial: Arc<TcpStream>,
    pub firmware: Firmware,
}

impl Stand {
    pub fn new(program: &str) -> Self {
        let board = Board::find("microbit").unwrap();
        let qemu = Qemu::start().unwrap();
        Self {
            board,
            chip: Chip::find(board.chip).unwrap(),
            serial: qemu.serial(),
            emulated: EmulatedBoard::new(qemu, Wire::default()),
            firmware: Firmware::build(board, application(program).unwrap(), &|_| {}).unwrap(),
        }
    }

    pub fn plan(
        &self,
        firmware: Option<&Firmware>,
        image: &[u8],
        samples: &[u8],
    ) -> Result<Plan, DeviceError> {
        let (image, board) = (Some(image), Some(self.board));
        Plan::new(&self.chip, &Contents { firmware, image, samples, address: None, board })
    }

    pub fn attach(&self) -> Device {
        let probes = Probes::of(self.emulated.lister());
        let chip = &self.chip;
        let how = Attach { probes: &probes, probe: None, chip, identity: None, unlock: false };
        Device::attach(&how).unwrap()
    }

    /// Flashes the image, with the firmware or without, and starts what is there.
    pub fn start(&self, firmware: Option<&Firmware>, image: &[u8], samples: &[u8]) -> Device {
        let plan = self.plan(firmware, image, samples).unwrap();
        let mut device = self.attach();
        device.flash(&plan, &mut |_| {}).unwrap();
        device.restart(Some(&self.firmware)).unwrap();
        device
    }

    /// The flash that belongs to the firmware.
    pub fn firmware_region(&self) -> Vec<u8> {
        let region = self.board.firmware;
        let mut bytes = vec![0; region.len_bytes as usize];
        self.emulated.peek(region.origin, &mut bytes).unwrap();
        bytes
    }
}

/// The shipped digit classifier and its evaluation data.
pub fn digits() -> (Model, Dataset) {
    let model = Model::load(shipped("digits/digits.onnx"), &ImportOptions::default()).unwrap();
    let data = Dataset::load(&shipped("digits/eval.npz"), model.inputs()).unwrap();
    (model, data)
}

/// Its image for the micro:bit.
pub fn convert(model: &Model, inputs: Inputs, strip: bool) -> Network {
    let data = Dataset::load(&shipped("digits/calib.npz"), model.inputs()).unwrap();
    let options = Options { inputs, strip, ..Options::for_target(Target::CortexM0) };
    Network::new(&compile(model, Some(&data), &options, &mut |_| {}).unwrap().image).unwrap()
}
