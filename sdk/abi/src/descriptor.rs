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
    /// First byte; may be NULL where `length` is 0.
    pointer: *const u8,
    /// Bytes.
    length: usize,
}

impl Text {
    /// Points at `text`.
    pub const fn new(text: &'static str) -> Self {
        Self { pointer: text.as_ptr(), length: text.len() }
    }

    /// The bytes, which a plugin that is not written in Rust may have made something else than UTF-8.
    /// (NULL, 0) is empty; None for a text without a place, or longer than any can be.
    ///
    /// # Safety
    ///
    /// If it was not made by [`Text::new`] in this library, its pointer leads to `length` bytes that
    /// are there, and stay as they are, for as long as the process lives.
    pub unsafe fn bytes(self) -> Option<&'static [u8]> {
        if self.length == 0 {
            return Some(&[]);
        }
        if self.pointer.is_null() || isize::try_from(self.length).is_err() {
            return None;
        }
        // SAFETY: not NULL and not too long, as just seen; the rest is the caller's word.
        Some(unsafe { std::slice::from_raw_parts(self.pointer, self.length) })
    }
}

// SAFETY: the pointers are to immutable `'static` data of the same library: `Text::new` is all that
// safe code has to make a text, and the library is never unloaded.
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

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, size_of};

    use super::*;

    /// A text as a plugin in another language may write it.
    fn raw(pointer: *const u8, length: usize) -> Text {
        Text { pointer, length }
    }

    #[test]
    fn a_text_without_a_place_is_empty_or_none() {
        // SAFETY: none of them leads anywhere but the one that `Text::new` made.
        let bytes = |text: Text| unsafe { text.bytes() };
        assert_eq!(bytes(raw(std::ptr::null(), 0)), Some(&b""[..]));
        assert_eq!(bytes(raw(std::ptr::null(), 1)), None);
        assert_eq!(bytes(raw(b"x".as_ptr(), usize::MAX)), None);
        assert_eq!(bytes(Text::new("")), Some(&b""[..]));
        assert_eq!(bytes(Text::new("a text")), Some(&b"a text"[..]));
    }

    /// Plugins of ABI 1.0 have these numbers compiled in.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_layout_is_that_of_abi_1_0() {
        assert_eq!((size_of::<Text>(), offset_of!(Text, pointer), offset_of!(Text, length)), (16, 0, 8));
        assert_eq!(size_of::<Descriptor>(), 96);
        let offsets = [
            offset_of!(Descriptor, magic),
            offset_of!(Descriptor, size),
            offset_of!(Descriptor, abi_major),
            offset_of!(Descriptor, abi_minor),
            offset_of!(Descriptor, flags),
            offset_of!(Descriptor, kinds),
            offset_of!(Descriptor, reserved),
            offset_of!(Descriptor, sdk_version),
            offset_of!(Descriptor, name),
            offset_of!(Descriptor, version),
            offset_of!(Descriptor, manifest),
        ];
        assert_eq!(offsets, [0, 8, 12, 16, 20, 24, 28, 32, 48, 64, 80]);
        assert_eq!((ABI_MAJOR, ABI_MINOR), (1, 0), "a new minor version comes with a fixture of its own");
    }
}
