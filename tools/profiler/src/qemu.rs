//! The part of QEMU's plugin interface that is used, version 1, as in its `qemu-plugin.h`.
//!
//! Debian does not package the header, and the functions are few.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::marker::{PhantomData, PhantomPinned};

/// The interface version that this plugin speaks; QEMU looks the symbol up.
// SAFETY: the name is QEMU's own, and only a plugin has it.
#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 1;

/// Names the plugin to QEMU.
pub type PluginId = u64;

/// A type that only QEMU looks into.
macro_rules! opaque {
    ($(#[$doc:meta] $name:ident)+) => {$(
        #[$doc]
        #[repr(C)]
        pub struct $name {
            _data: [u8; 0],
            _not_send: PhantomData<(*mut u8, PhantomPinned)>,
        }
    )+};
}

opaque! {
    /// A block in translation; valid inside the translation callback.
    TranslationBlock
    /// An instruction in translation; valid as long as its block.
    TranslatedInstruction
}

/// What QEMU tells when it loads the plugin.
#[repr(C)]
pub struct Info {
    /// "arm", "riscv32", …
    pub target_name: *const c_char,
    minimum_version: c_int,
    current_version: c_int,
    /// False when a single program runs instead of a machine.
    pub system_emulation: bool,
    /// Cores of the machine.
    pub smp_vcpus: c_int,
    max_vcpus: c_int,
}

/// The execution callback touches no guest registers.
pub const CALLBACK_NO_REGISTERS: c_int = 0;

unsafe extern "C" {
    pub fn qemu_plugin_register_vcpu_tb_trans_cb(
        id: PluginId,
        callback: unsafe extern "C" fn(PluginId, *mut TranslationBlock),
    );
    pub fn qemu_plugin_register_vcpu_tb_exec_cb(
        block: *mut TranslationBlock,
        callback: unsafe extern "C" fn(c_uint, *mut c_void),
        flags: c_int,
        user_data: *mut c_void,
    );
    pub fn qemu_plugin_register_atexit_cb(
        id: PluginId,
        callback: unsafe extern "C" fn(PluginId, *mut c_void),
        user_data: *mut c_void,
    );
    pub fn qemu_plugin_tb_n_insns(block: *const TranslationBlock) -> usize;
    pub fn qemu_plugin_tb_vaddr(block: *const TranslationBlock) -> u64;
    pub fn qemu_plugin_tb_get_insn(
        block: *const TranslationBlock,
        index: usize,
    ) -> *mut TranslatedInstruction;
    pub fn qemu_plugin_insn_data(instruction: *const TranslatedInstruction) -> *const c_void;
    pub fn qemu_plugin_insn_size(instruction: *const TranslatedInstruction) -> usize;
}
