//! Files that are not quite plugins: each is refused in one line with its path and what to do, and
//! rivet lives on. They are made from the good example plugin by changing a few of its bytes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Object, ObjectSection, ObjectSymbol};
use rivet_tests::rivet::{self, Output, Project};

const CONFIG: &str = "
source: {type: example, rows: 10}
exports: [{name: numbers, table: numbers, format: csv, destination: {type: local, path: '{out}'}}]
";

/// A project with a folder of plugins that holds this one as the example.
struct Broken {
    project: Project,
    plugin: PathBuf,
}

fn broken(content: &[u8]) -> Broken {
    let project = rivet::project();
    project.config(CONFIG);
    let plugin = project.write("plugins/librivet_plugin_example.so", content);
    fs::set_permissions(plugin.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&plugin, Permissions::from_mode(0o755)).unwrap();
    Broken { project, plugin }
}

impl Broken {
    /// `rivet run` refuses the plugin: these words, its path, a hint, exit code 2.
    #[track_caller]
    fn is_refused(&self, why: &str, remedy: &str) -> Output {
        let output = self.project.rivet("run").plugins(&[self.plugin.parent().unwrap()]).fails(2);
        let lines: Vec<&str> = output.stderr.lines().filter(|line| !line.contains(" is shadowed by it")).collect();
        assert!(
            matches!(lines[..], [error, hint] if error.starts_with("error: ") && hint.starts_with("hint: ")),
            "{output}"
        );
        output.says(&[why, self.plugin.to_str().unwrap(), remedy]);
        assert!(!self.project.out().exists(), "something was written\n{output}");
        output
    }
}

fn example() -> Vec<u8> {
    fs::read(rivet::plugins().join("librivet_plugin_example.so")).unwrap()
}

/// The example with these bytes at an offset into one of its exported symbols.
fn patched(symbol: &str, offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut content = example();
    let start = {
        let elf = ElfFile64::<object::Endianness>::parse(&content[..]).unwrap();
        let address = elf.dynamic_symbols().find(|found| found.name() == Ok(symbol)).unwrap().address();
        let endian = elf.endian();
        let holds = |segment: &&object::elf::ProgramHeader64<object::Endianness>| {
            let start = segment.p_vaddr(endian);
            segment.p_type(endian) == object::elf::PT_LOAD
                && (start..start + segment.p_filesz(endian)).contains(&address)
        };
        let segment = elf.elf_program_headers().iter().find(holds).unwrap();
        usize::try_from(address - segment.p_vaddr(endian) + segment.p_offset(endian)).unwrap() + offset
    };
    content[start..start + bytes.len()].copy_from_slice(bytes);
    content
}

/// The example with a text of the same length for another, in one of its sections.
fn replaced(section: &str, from: &str, to: &str) -> Vec<u8> {
    let mut content = example();
    let range = {
        let elf = ElfFile64::<object::Endianness>::parse(&content[..]).unwrap();
        let (start, size) = elf.section_by_name(section).unwrap().file_range().unwrap();
        usize::try_from(start).unwrap()..usize::try_from(start + size).unwrap()
    };
    let bytes = &mut content[range];
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    content
}

const META: &str = "RIVET_PLUGIN_META";
const DESCRIPTOR: &str = "RIVET_PLUGIN_DESCRIPTOR";

#[test]
fn the_good_one_is_accepted() {
    let good = broken(&example());
    good.project.rivet("run").plugins(&[good.plugin.parent().unwrap()]).ok();
}

#[test]
fn a_truncated_file() {
    let whole = example();
    for length in [whole.len() - 1, whole.len() / 2, whole.len() / 10, 4096, 100] {
        broken(&whole[..length]).is_refused("truncated: ", "install it again");
    }
    for length in [0, 3, 60] {
        broken(&whole[..length]).is_refused("not a shared library", "install the plugin's .so file for this platform");
    }
}

#[test]
fn something_else() {
    broken(b"#!/bin/sh\necho hello\n").is_refused("not a shared library", "install the plugin's .so file");
    let mut foreign = example();
    foreign[18..20].copy_from_slice(&[0xb7, 0]); // AArch64
    broken(&foreign).is_refused("built for another processor", "for this platform");
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let libc = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| path.contains("libc.so"));
    if let Some(libc) = libc {
        broken(&fs::read(libc).unwrap()).is_refused("not a rivet plugin", "build it with rivet_sdk::plugin!");
    }
}

#[test]
fn no_link_section() {
    broken(&replaced(".shstrtab", ".rivet_meta", ".rivet_atem"))
        .is_refused("not a rivet plugin (it has no .rivet_meta section)", "build it with rivet_sdk::plugin!");
}

#[test]
fn a_damaged_link_section() {
    broken(&patched(META, 0, b"XXXX")).is_refused("its .rivet_meta section is damaged", "rebuild the plugin");
    broken(&patched(META, 28, &u32::MAX.to_le_bytes())).is_refused("is damaged", "rebuild the plugin");
    broken(&patched(META, 32, b"XXXX")).is_refused("its manifest cannot be read", "rebuild the plugin");
}

#[test]
fn another_abi() {
    for symbol in [META, DESCRIPTOR] {
        broken(&patched(symbol, 12, &2u32.to_le_bytes()))
            .is_refused("speaks plugin ABI 2; this rivet speaks ABI 1", "use a newer rivet");
        broken(&patched(symbol, 12, &0u32.to_le_bytes()))
            .is_refused("speaks plugin ABI 0; this rivet speaks ABI 1", "rebuild the plugin against a newer rivet-sdk");
    }
}

#[test]
fn a_newer_minor_version_is_no_fault() {
    let good = broken(&patched(DESCRIPTOR, 16, &7u32.to_le_bytes()));
    good.project.rivet("run").plugins(&[good.plugin.parent().unwrap()]).ok();
}

#[test]
fn a_plugin_that_aborts() {
    for symbol in [META, DESCRIPTOR] {
        broken(&patched(symbol, 20, &[0])).is_refused("panic = \"abort\"", "panic = \"unwind\"");
    }
}

#[test]
fn a_wrong_descriptor() {
    broken(&patched(DESCRIPTOR, 0, b"RIVETPLX")).is_refused("wrong magic number", "rebuild");
    broken(&patched(DESCRIPTOR, 8, &40u32.to_le_bytes())).is_refused("its descriptor is 40 bytes, ", "rebuild");
    broken(&patched(DESCRIPTOR, 56, &6u64.to_le_bytes()))
        .is_refused("its descriptor says `exampl`, its manifest `example`", "rebuild");
    let cut = rivet_sdk::SDK_VERSION.get(..3).unwrap();
    broken(&patched(DESCRIPTOR, 40, &3u64.to_le_bytes()))
        .is_refused(&format!("its SDK version `{cut}` cannot be read"), "rebuild");
}

#[test]
fn missing_symbols() {
    for symbol in [DESCRIPTOR, "RIVET_PLUGIN_ROOT"] {
        let other = format!("{}X", &symbol[..symbol.len() - 1]);
        broken(&replaced(".dynstr", symbol, &other))
            .is_refused(&format!("exports no {symbol}"), "build it with rivet_sdk::plugin!");
    }
}

#[test]
fn another_abi_stable() {
    broken(&patched("RIVET_PLUGIN_ROOT", 0, b"abi_unstable"))
        .is_refused("its abi_stable is another version than this rivet's", "rebuild the plugin against this rivet's");
}

#[test]
fn a_name_that_is_not_the_files() {
    let named = broken(&example());
    named.project.config(&CONFIG.replace("type: example", "type: other"));
    let other = named.plugin.with_file_name("librivet_plugin_other.so");
    fs::rename(&named.plugin, &other).unwrap();
    Broken { plugin: other, ..named }.is_refused(
        "the file is named for `other`, the plugin in it calls itself `example`",
        "rename it to librivet_plugin_example.so",
    );
}

#[test]
fn a_place_that_others_may_write_to() {
    let allow = |path: &Path, mode: u32| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let file = broken(&example());
    allow(&file.plugin, 0o757);
    file.is_refused("everybody may write there", "chmod go-w");
    // Even with the sticky bit: others could add plugins.
    for mode in [0o777, 0o1777] {
        let folder = broken(&example());
        allow(folder.plugin.parent().unwrap(), mode);
        folder.is_refused("everybody may write there", "chmod go-w");
    }
    let above = broken(&example());
    allow(above.project.folder(), 0o777);
    above.is_refused("everybody may write there", "chmod go-w");

    // Only root can give files away.
    let group = broken(&example());
    if chown(&group.plugin, None, Some(54321)).is_ok() {
        allow(&group.plugin, 0o775);
        group.is_refused("a group may write there", "chmod go-w");
        let owner = broken(&example());
        chown(&owner.plugin, Some(54321), None).unwrap();
        owner.is_refused("it belongs to user 54321", "chown");
    }
}
