//! What a linked file tells: how much flash it takes, where its functions are, and whether
//! anything in it can panic or allocate.

use object::elf::{SHF_ALLOC, SHF_WRITE};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, SymbolKind};

use crate::EmulatorError;

/// A linked file.
#[derive(Debug)]
pub struct Elf<'a> {
    file: object::File<'a>,
}

/// A function of the firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its symbol.
    pub name: String,
    /// Address of its first instruction.
    pub address: u64,
    /// Length in bytes; 0 for some of assembly.
    pub len_bytes: u64,
}

impl<'a> Elf<'a> {
    /// Reads the headers.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EmulatorError> {
        let malformed = |error: object::Error| EmulatorError::Malformed {
            what: "firmware",
            problem: error.to_string(),
        };
        Ok(Self { file: object::File::parse(bytes).map_err(malformed)? })
    }

    /// Bytes of flash: code, constants and the initial values of variables.
    pub fn flash_bytes(&self) -> u64 {
        self.flash_sections().map(|section| section.size()).sum()
    }

    /// Bytes of RAM for variables, without stack, heap and arena.
    pub fn ram_bytes(&self) -> u64 {
        const RESERVED: [&str; 3] = [".stack", ".heap", ".arena"];
        let variables = self.file.sections().filter(|section| {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
                return false;
            };
            let is_reserved = section.name().is_ok_and(|name| RESERVED.contains(&name));
            sh_flags & u64::from(SHF_ALLOC) != 0
                && sh_flags & u64::from(SHF_WRITE) != 0
                && !is_reserved
        });
        variables.map(|section| section.size()).sum()
    }

    /// Whether a run of bytes lies in flash as it is.
    pub fn contains(&self, bytes: &[u8]) -> bool {
        self.flash_sections().filter_map(|section| section.data().ok()).any(|data| {
            // Sections and images are aligned to words.
            (0..data.len()).step_by(4).any(|at| data[at..].starts_with(bytes))
        })
    }

    /// Address of a symbol.
    ///
    /// # Errors
    ///
    /// [`EmulatorError::Malformed`] if there is none of that name.
    pub fn symbol(&self, name: &str) -> Result<u64, EmulatorError> {
        self.file
            .symbols()
            .find(|symbol| symbol.name() == Ok(name))
            .map(|symbol| symbol.address())
            .ok_or_else(|| EmulatorError::Malformed {
                what: "firmware",
                problem: format!("it has no symbol '{name}'"),
            })
    }

    /// All functions, by address.
    pub fn functions(&self) -> Vec<Function> {
        let mut functions: Vec<_> = self
            .file
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text)
            .filter_map(|symbol| {
                let name = symbol.name().ok()?.to_owned();
                // Bit 0 marks Thumb code.
                Some(Function { name, address: symbol.address() & !1, len_bytes: symbol.size() })
            })
            .collect();
        functions.sort_by(|a, b| (a.address, &a.name).cmp(&(b.address, &b.name)));
        functions
    }

    /// Symbols that a firmware without panics and without a heap does not have.
    pub fn panics_and_allocations(&self) -> Vec<String> {
        // In the legacy mangling as in v0 a path element is its length and its name.
        const FORBIDDEN: [&str; 5] =
            ["4core9panicking", "rust_begin_unwind", "__rust_alloc", "__rg_alloc", "5alloc5alloc"];
        self.file
            .symbols()
            .filter_map(|symbol| symbol.name().ok())
            .filter(|name| FORBIDDEN.iter().any(|part| name.contains(part)))
            .map(str::to_owned)
            .collect()
    }

    fn flash_sections(&self) -> impl Iterator<Item = object::Section<'a, '_>> {
        self.file.sections().filter(|section| {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
                return false;
            };
            let is_loaded = sh_flags & u64::from(SHF_ALLOC) != 0;
            is_loaded && section.kind() != SectionKind::UninitializedData
        })
    }
}
