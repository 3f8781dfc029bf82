//! The plugin's symbols, as a plugin that is not made by `rivet_sdk::plugin!` would have them.

use rivet_sdk::SourceDriver;
use rivet_sdk::glue::abi::stable::{self, PrefixTypeTrait};
use rivet_sdk::glue::abi::{self, Descriptor, META_HEADER_BYTES, PluginModule, PluginModule_Ref, Text};
use rivet_sdk::glue::{self, ManifestParts};

use crate::HostileDriver;

const PARTS: ManifestParts = ManifestParts {
    name: "hostile",
    version: env!("CARGO_PKG_VERSION"),
    description: env!("CARGO_PKG_DESCRIPTION"),
    license: env!("CARGO_PKG_LICENSE"),
    homepage: "",
    schemes: &["hostile"],
    capabilities: HostileDriver::CAPABILITIES,
    kinds: abi::KIND_SOURCE,
    source_options: include_str!("../options.schema.json"),
    destination_options: "",
};
const JSON_BYTES: usize = glue::write_manifest(&PARTS, &mut []);
const JSON: [u8; JSON_BYTES] = {
    let mut out = [0; JSON_BYTES];
    glue::write_manifest(&PARTS, &mut out);
    out
};

/// Read from the file.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rivet_meta")]
pub static RIVET_PLUGIN_META: [u8; META_HEADER_BYTES + JSON_BYTES] = {
    let mut out = [0; META_HEADER_BYTES + JSON_BYTES];
    #[allow(clippy::cast_possible_truncation, reason = "some thousand bytes")]
    let head = abi::section_header(PARTS.kinds, abi::FLAG_PANIC_UNWIND, JSON_BYTES as u32);
    let (first, rest) = out.split_at_mut(META_HEADER_BYTES);
    first.copy_from_slice(&head);
    rest.copy_from_slice(&JSON);
    out
};

/// A text as a plugin in C has it where it says nothing: NULL, and no bytes.
const NOTHING: Text = {
    // SAFETY: a text is a pointer and a length, and hosts take these two for an empty one.
    unsafe { std::mem::transmute::<(usize, usize), Text>((0, 0)) }
};

/// Read once the library is loaded.
#[unsafe(no_mangle)]
pub static RIVET_PLUGIN_DESCRIPTOR: Descriptor = Descriptor {
    magic: abi::MAGIC,
    #[allow(clippy::cast_possible_truncation, reason = "some hundred bytes")]
    size: size_of::<Descriptor>() as u32,
    abi_major: abi::ABI_MAJOR,
    abi_minor: abi::ABI_MINOR,
    flags: abi::FLAG_PANIC_UNWIND,
    kinds: PARTS.kinds,
    reserved: 0,
    sdk_version: Text::new(rivet_sdk::SDK_VERSION),
    name: Text::new(PARTS.name),
    version: NOTHING,
    manifest: NOTHING,
};

fn module() -> PluginModule_Ref {
    let module = PluginModule {
        init: crate::raw::init,
        open_source: crate::raw::open_source,
        open_destination: glue::no_destination,
    };
    module.leak_into_prefix()
}

extern "C" fn load() -> stable::RootModuleResult {
    stable::__call_root_module_loader(module)
}

/// Where the module comes from.
#[unsafe(no_mangle)]
pub static RIVET_PLUGIN_ROOT: stable::LibHeader = {
    // SAFETY: `load` calls `module`, which returns a `PluginModule_Ref`.
    unsafe { glue::library_header(load) }
};
