//! Reads a plugin's file without loading it: is it a whole library, and which ABI is it for.

use std::fs::File;
use std::io::Seek;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use object::elf::{EM_AARCH64, EM_X86_64, FileHeader64, Machine, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, ReadCache, ReadRef};
use rivet_abi::{ABI_MAJOR, FLAG_PANIC_UNWIND, META_HEADER_BYTES, META_MAGIC, META_SECTION};
use rivet_sdk::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};

use crate::{PluginManifest, Step};

/// A plugin's file, open and read. Loading uses this same open file, so nobody can swap it.
#[derive(Debug)]
pub struct Inspected {
    /// Where it was found.
    pub path: PathBuf,
    /// What it says of itself.
    pub manifest: PluginManifest,
    /// ABI numbers of its link section.
    pub abi: (u32, u32),
    /// Size of the file.
    pub size_bytes: u64,
    pub(crate) file: File,
}

impl Inspected {
    /// SHA-256 of the open file, in hex. Reads all of it, so only who compares it asks.
    pub fn sha256(&self) -> Result<String> {
        hash(&self.file).map_err(|error| unreadable(&self.path, &error))
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Config, format!("{}: {error}", path.display()))
        .with_hint("check the path and its permissions")
}

/// Reads `path` and checks everything that can be checked before loading.
pub fn inspect(path: &Path) -> Result<Inspected> {
    inspect_steps(path, &mut |_| {})
}

/// As [`inspect`]; tells `passed` of each step that was passed.
pub fn inspect_steps(path: &Path, passed: &mut dyn FnMut(Step)) -> Result<Inspected> {
    let mut file = crate::trust::open(path)?;
    passed(Step::Trust);
    let refuse = |why: &str, hint: &str| {
        Error::new(ErrorKind::Config, format!("{}: {why}", path.display())).with_hint(hint.to_owned())
    };
    let unreadable = |error| unreadable(path, &error);
    let size_bytes = file.metadata().map_err(unreadable)?.len();
    // What is looked at is read once, and little of it is.
    let bytes = ReadCache::new(file.try_clone().map_err(unreadable)?);
    if let Some(missing) = missing_bytes(&bytes, size_bytes) {
        return Err(refuse(
            &format!("truncated: {missing} bytes are missing"),
            "the download or copy did not finish; install it again by writing a new file and renaming it",
        ));
    }
    // Not an `ElfFile`: that reads every symbol as well.
    let no_library = |error: object::read::Error| {
        refuse(&format!("not a shared library ({error})"), "install the plugin's .so file for this platform")
    };
    let header = FileHeader64::<Endianness>::parse(&bytes).map_err(no_library)?;
    let endian = header.endian().map_err(no_library)?;
    let sections = header.sections(endian, &bytes).map_err(no_library)?;
    let found = header.e_machine(endian);
    if let Some(machine) = MACHINE.filter(|machine| found != *machine) {
        return Err(refuse(
            &format!("built for another processor (ELF machine {}, this one is {})", found.0, machine.0),
            "install the build for this platform",
        ));
    }
    passed(Step::Library);
    let section = sections.section_by_name(endian, META_SECTION.as_bytes());
    let section = section.and_then(|(_, section)| section.data(endian, &bytes).ok());
    let Some(section) = section else {
        return Err(refuse("not a rivet plugin (it has no .rivet_meta section)", "build it with rivet_sdk::plugin!"));
    };
    let head = Head::read(section).ok_or_else(|| refuse("its .rivet_meta section is damaged", "rebuild the plugin"))?;
    if head.abi.0 != ABI_MAJOR {
        return Err(other_abi(head.abi.0).with_context("plugin", path.display().to_string()));
    }
    if head.flags & FLAG_PANIC_UNWIND == 0 {
        return Err(refuse(
            "built with panic = \"abort\": a defect in it would end the whole process",
            "rebuild the plugin with panic = \"unwind\"",
        ));
    }
    passed(Step::Abi);
    let manifest: PluginManifest = serde_json::from_slice(head.json)
        .map_err(|error| refuse(&format!("its manifest cannot be read: {error}"), "rebuild the plugin"))?;
    passed(Step::Manifest);
    file.rewind().map_err(unreadable)?;
    Ok(Inspected { path: path.to_owned(), manifest, abi: head.abi, size_bytes, file })
}

/// SHA-256 of a file, in hex; read in pieces.
fn hash(file: &File) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; 256 << 10];
    let mut at = 0;
    loop {
        match file.read_at(&mut piece, at) {
            Ok(0) => break,
            Ok(length) => {
                hash.update(piece.get(..length).unwrap_or_default());
                at += length as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The processor that this process runs on, as ELF numbers it.
const MACHINE: Option<Machine> = if cfg!(target_arch = "x86_64") {
    Some(EM_X86_64)
} else if cfg!(target_arch = "aarch64") {
    Some(EM_AARCH64)
} else {
    None
};

/// The refusal of a plugin for another ABI.
pub(crate) fn other_abi(major: u32) -> Error {
    let fix = if major > ABI_MAJOR { "use a newer rivet" } else { "rebuild the plugin against a newer rivet-sdk" };
    Error::config(format!("speaks plugin ABI {major}; this rivet speaks ABI {ABI_MAJOR}")).with_hint(fix)
}

/// How many bytes that the file's own tables speak of lie beyond its end. Mapping a file whose
/// segments are cut off kills the process with SIGBUS. None too for what is no library at all.
fn missing_bytes<'a>(bytes: impl ReadRef<'a>, length: u64) -> Option<u64> {
    let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let table = |start: u64, entries: u16, size: u16| start.saturating_add(u64::from(entries) * u64::from(size));
    let segment_table = table(header.e_phoff(endian), header.e_phnum(endian), header.e_phentsize(endian));
    let section_table = table(header.e_shoff(endian), header.e_shnum(endian), header.e_shentsize(endian));
    let segments = header.program_headers(endian, bytes).unwrap_or_default();
    let segments = segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD);
    let end = segments
        .map(|segment| segment.p_offset(endian).saturating_add(segment.p_filesz(endian)))
        .chain([segment_table, section_table])
        .max()?;
    end.checked_sub(length).filter(|missing| *missing > 0)
}

/// The fixed head of the link section, and the JSON behind it.
struct Head<'a> {
    abi: (u32, u32),
    flags: u32,
    json: &'a [u8],
}

impl<'a> Head<'a> {
    fn read(section: &'a [u8]) -> Option<Self> {
        let (head, rest) = section.split_at_checked(META_HEADER_BYTES)?;
        let numbers = head.strip_prefix(&META_MAGIC)?;
        let number = |index: usize| {
            let bytes = numbers.get(index * 4..index * 4 + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let length = usize::try_from(number(5)?).ok()?;
        Some(Self { abi: (number(1)?, number(2)?), flags: number(3)?, json: rest.get(..length)? })
    }
}
