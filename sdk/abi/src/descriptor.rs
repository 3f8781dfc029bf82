//! The descriptor: plain C data that says whether the rest of a library may be touched.
//!
//! The same numbers stand in a link section, where they can be read from the file without
//! loading it: loading runs constructors.

/// The first bytes of every [`Descriptor`].
pub const MAGIC: [u8; 8] = *b"RIVETPLG";
/// The first bytes of the link section.
pub const META_MAGIC: [u8; 8] = *b"RIVETMET";
/// Host and plugin must agree on it.
pub const ABI_MAJOR: u32 = 1;
/// The older of host and plugin decides what both use.
pub const ABI_MINOR: u32 = 0;
/// Name of the exported [`Descriptor`].
pub const DESCRIPTOR_SYMBOL: &[u8] = b"RIVET_PLUGIN_DESCRIPTOR";
/// Name of the exported abi_stable library header.
pub const ROOT_SYMBOL: &[u8] = b"RIVET_PLUGIN_ROOT";
/// Name of the link section with the plugin manifest.
pub const META_SECTION: &str = ".rivet_meta";
/// Bytes before the JSON in the link section.
pub const META_HEADER_BYTES: usize = 32;
/// The plugin was built with `panic = "unwind"`.
pub const FLAG_PANIC_UNWIND: u32 = 1;
/// The plugin opens sources.
pub const KIND_SOURCE: u32 = 1;
/// The plugin opens destinations.
pub const KIND_DESTINATION: u32 = 2;

/// What a plugin exports under [`DESCRIPTOR_SYMBOL`]. It grows only at the end; a reader
/// compares `size` before it touches a later field.
#[repr(C)]
#[derive(Debug)]
pub struct Descriptor {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// `size_of::<Descriptor>()` of the plugin's side.
    pub size: u32,
    /// [`ABI_MAJOR`] of the plugin's side.
    pub abi_major: u32,
    /// [`ABI_MINOR`] of the plugin's side.
    pub abi_minor: u32,
    /// [`FLAG_PANIC_UNWIND`].
    pub flags: u32,
    /// [`KIND_SOURCE`], [`KIND_DESTINATION`].
    pub kinds: u32,
    /// Zero.
    pub reserved: u32,
    /// Version of the SDK it was built with.
    pub sdk_version: Text,
    /// The plugin's name; must agree with its file's.
    pub name: Text,
    /// The plugin's version.
    pub version: Text,
    /// The plugin manifest: JSON.
    pub manifest: Text,
}

/// UTF-8 text in the plugin's read-only data.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Text {
    /// First byte.
    pub pointer: *const u8,
    /// Bytes.
    pub length: usize,
}

impl Text {
    /// Points at `text`.
    pub const fn new(text: &'static str) -> Self {
        Self { pointer: text.as_ptr(), length: text.len() }
    }
}

// SAFETY: the pointers are to immutable `'static` data of the same library (`Text::new` takes
// nothing else), and the library is never unloaded.
unsafe impl Sync for Descriptor {}

/// The fixed head of the link section: magic, version of this layout, ABI major and minor,
/// flags, kinds, and the length of the JSON behind it; numbers little-endian.
pub const fn section_header(kinds: u32, flags: u32, json_bytes: u32) -> [u8; META_HEADER_BYTES] {
    let mut out = [0; META_HEADER_BYTES];
    let numbers = [1, ABI_MAJOR, ABI_MINOR, flags, kinds, json_bytes];
    let mut at = 0;
    while at < META_MAGIC.len() {
        out[at] = META_MAGIC[at];
        at += 1;
    }
    let mut index = 0;
    while index < numbers.len() {
        let bytes: [u8; 4] = numbers[index].to_le_bytes();
        let mut byte = 0;
        while byte < 4 {
            out[at] = bytes[byte];
            at += 1;
            byte += 1;
        }
        index += 1;
    }
    out
}
