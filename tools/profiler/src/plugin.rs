//! What QEMU calls: once at the start, for each translated block, for each executed block, and once
//! at the end.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::block::Block;
use crate::cortex_m4::REFILL_CYCLES;
use crate::decode::{Instruction, rv32, thumb};
use crate::options::Options;
use crate::profile::{Counters, HotBlock, Profile};
use crate::qemu::{self, Info, PluginId, TranslationBlock};

/// The one plugin of this process; QEMU's callbacks carry no state that could replace it.
static RECORDER: OnceLock<Recorder> = OnceLock::new();

/// Instruction sets that can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isa {
    Thumb,
    Rv32,
}

/// All that is recorded in a run.
struct Recorder {
    isa: Isa,
    options: Options,
    /// Blocks live as long as the process: QEMU may run any of them until then.
    blocks: Mutex<Vec<&'static Block>>,
    /// The block that runs now, null before the first.
    current: AtomicPtr<Block>,
    marks: Mutex<Vec<Counters>>,
    hot: Mutex<HotRegion>,
}

/// Executions of each block at the first of the two marks, then the difference at the second.
#[derive(Default)]
struct HotRegion {
    executions_before: Vec<u64>,
    blocks: Vec<HotBlock>,
}

impl Isa {
    fn of_target(name: &CStr) -> Option<Self> {
        match name.to_bytes() {
            b"arm" => Some(Self::Thumb),
            b"riscv32" => Some(Self::Rv32),
            _ => None,
        }
    }

    fn decode(self, first: u16, second: u16) -> Instruction {
        match self {
            Self::Thumb => thumb::decode(first, second),
            Self::Rv32 => rv32::decode(first, second),
        }
    }

    fn is_long(self, first: u16) -> bool {
        match self {
            Self::Thumb => thumb::is_long(first),
            Self::Rv32 => rv32::is_long(first),
        }
    }

    fn refill_cycles(self) -> u64 {
        match self {
            Self::Thumb => REFILL_CYCLES,
            Self::Rv32 => 0,
        }
    }
}

impl Recorder {
    fn new(isa: Isa, options: Options) -> Self {
        Self {
            isa,
            options,
            blocks: Mutex::default(),
            current: AtomicPtr::new(ptr::null_mut()),
            marks: Mutex::default(),
            hot: Mutex::default(),
        }
    }

    fn add(&self, block: Block) -> &'static Block {
        let block: &'static Block = Box::leak(Box::new(block));
        lock(&self.blocks).push(block);
        block
    }

    fn execute(&self, block: &'static Block) {
        let previous = self.current.swap(ptr::from_ref(block).cast_mut(), Ordering::Relaxed);
        // SAFETY: the pointer is null or was stored by this function from a `&'static Block`.
        if let Some(previous) = unsafe { previous.as_ref() } {
            previous.leave_to(block.address);
        }
        if block.address == self.options.mark_address {
            self.mark();
        }
        block.enter();
    }

    fn mark(&self) {
        let refill = self.isa.refill_cycles();
        let blocks = lock(&self.blocks);
        let totals =
            blocks.iter().fold(Counters::default(), |sum, block| sum + block.totals(refill));
        let mut marks = lock(&self.marks);
        if let Some(hot) = &self.options.hot {
            if marks.len() == hot.start {
                lock(&self.hot).begin(&blocks);
            }
            if marks.len() == hot.end {
                lock(&self.hot).end(&blocks);
            }
        }
        marks.push(totals);
    }

    fn profile(&self) -> Profile {
        Profile { marks: lock(&self.marks).clone(), hot: lock(&self.hot).blocks.clone() }
    }
}

impl HotRegion {
    fn begin(&mut self, blocks: &[&'static Block]) {
        self.executions_before = blocks.iter().map(|block| block.executions()).collect();
    }

    /// QEMU may have translated the same code more than once; such blocks are added up.
    fn end(&mut self, blocks: &[&'static Block]) {
        let mut merged = BTreeMap::<(u64, u64), u64>::new();
        let before = self.executions_before.iter().copied().chain(std::iter::repeat(0));
        for (block, before) in blocks.iter().zip(before) {
            let executions = block.executions() - before;
            *merged.entry((block.address, block.instructions())).or_default() += executions;
        }
        self.blocks = merged
            .into_iter()
            .filter(|&(_, executions)| executions > 0)
            .map(|((address, instructions), executions)| HotBlock {
                address,
                executions,
                instructions: executions * instructions,
            })
            .collect();
        // Stable, so that blocks of equal weight stay in the order of their addresses.
        self.blocks.sort_by_key(|block| std::cmp::Reverse(block.instructions));
    }
}

/// A panic elsewhere must not hide what was counted.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets the plugin up; QEMU calls it by its name when it loads the library.
///
/// # Safety
///
/// `info` and the `argc` strings at `argv` must be valid, as QEMU promises of them.
// SAFETY: the name is QEMU's own, and only a plugin has it.
#[unsafe(no_mangle)]
unsafe extern "C" fn qemu_plugin_install(
    id: PluginId,
    info: *const Info,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: by this function's contract.
    let installed = unsafe { install(id, &*info, argc, argv) };
    match installed {
        Ok(()) => 0,
        Err(message) => {
            eprintln!("fixie-profiler: {message}");
            -1
        }
    }
}

/// # Safety
///
/// As [`qemu_plugin_install`].
unsafe fn install(
    id: PluginId,
    info: &Info,
    argc: c_int,
    argv: *const *const c_char,
) -> Result<(), String> {
    if !info.system_emulation || info.smp_vcpus != 1 {
        return Err("only a machine with one core can be counted".to_owned());
    }
    // SAFETY: QEMU's `target_name` is a C string that outlives the call.
    let target = unsafe { CStr::from_ptr(info.target_name) };
    let isa = Isa::of_target(target)
        .ok_or_else(|| format!("no decoder for {}", target.to_string_lossy()))?;
    let arguments = (0..usize::try_from(argc).unwrap_or(0))
        // SAFETY: `argv` holds `argc` C strings, by this function's contract.
        .map(|index| unsafe { CStr::from_ptr(*argv.add(index)) }.to_str())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    let options = Options::parse(arguments).map_err(|error| error.to_string())?;
    RECORDER
        .set(Recorder::new(isa, options))
        .map_err(|_| "the plugin is loaded twice".to_owned())?;
    // SAFETY: `id` is this plugin's, and the callbacks live as long as the library.
    unsafe {
        qemu::qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
        qemu::qemu_plugin_register_atexit_cb(id, finish, ptr::null_mut());
    }
    Ok(())
}

/// A block is being translated: decode it, and have its executions reported.
unsafe extern "C" fn translate(_id: PluginId, block: *mut TranslationBlock) {
    let Some(recorder) = RECORDER.get() else {
        return;
    };
    // SAFETY: `block` is valid during this callback, and the indices are below its length.
    let (address, instructions) = unsafe {
        let instructions = (0..qemu::qemu_plugin_tb_n_insns(block))
            .map(|index| read_instruction(recorder.isa, block, index))
            .collect::<Vec<_>>();
        (qemu::qemu_plugin_tb_vaddr(block), instructions)
    };
    let recorded = recorder.add(Block::new(address, &instructions));
    // SAFETY: `block` is valid, and the user data lives as long as the process.
    unsafe {
        qemu::qemu_plugin_register_vcpu_tb_exec_cb(
            block,
            executed,
            qemu::CALLBACK_NO_REGISTERS,
            ptr::from_ref(recorded).cast_mut().cast(),
        );
    }
}

/// # Safety
///
/// `block` must be in translation and `index` below its number of instructions.
unsafe fn read_instruction(isa: Isa, block: *const TranslationBlock, index: usize) -> Instruction {
    // SAFETY: by this function's contract. QEMU keeps all bytes that it fetched for the
    // instruction, so `size` can be read; bytes beyond the encoding may follow, none are missing.
    let bytes = unsafe {
        let instruction = qemu::qemu_plugin_tb_get_insn(block, index);
        let data = qemu::qemu_plugin_insn_data(instruction).cast::<u8>();
        std::slice::from_raw_parts(data, qemu::qemu_plugin_insn_size(instruction))
    };
    let halfword = |at: usize| match bytes.get(at..at + 2) {
        Some(&[low, high]) => u16::from_le_bytes([low, high]),
        _ => 0,
    };
    let first = halfword(0);
    isa.decode(first, if isa.is_long(first) { halfword(2) } else { 0 })
}

/// A block is about to run.
unsafe extern "C" fn executed(_core: c_uint, user_data: *mut c_void) {
    let Some(recorder) = RECORDER.get() else {
        return;
    };
    // SAFETY: the pointer is that which `translate` made of a `&'static Block`.
    recorder.execute(unsafe { &*user_data.cast::<Block>() });
}

/// The emulator exits: write the profile.
unsafe extern "C" fn finish(_id: PluginId, _user_data: *mut c_void) {
    let Some(recorder) = RECORDER.get() else {
        return;
    };
    let written = serde_json::to_vec(&recorder.profile())
        .map_err(std::io::Error::from)
        .and_then(|bytes| fs::write(&recorder.options.out, bytes));
    if let Err(error) = written {
        // Whoever waits for the file finds none.
        eprintln!("fixie-profiler: {}: {error}", recorder.options.out.display());
    }
}
