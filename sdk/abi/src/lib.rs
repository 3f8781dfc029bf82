//! What crosses the boundary between the rivet host and its plugins, and nothing else.
//!
//! Two layers. A [`Descriptor`] of plain C data is read first and says whether the rest may be
//! touched. Behind it stands an `abi_stable` module ([`PluginModule`]) of three functions that
//! hand out trait objects. Control calls carry JSON, so that a new key never changes a layout;
//! rows cross as Arrow C data; file bytes as slices.
//!
//! Version 1.0 is frozen: `tests/fixtures/abi-1.0` is a plugin built for it, which every later host
//! of major version 1 must load. Rules of evolution, kept by every later minor version:
//! - the [`Descriptor`] and the link section grow only at the end;
//! - trait methods are added at the end, after `#[sabi(last_prefix_field)]`, with a default body;
//! - module fields are added at the end;
//! - everything else stays as it is; prefer a new JSON key or a new `call` method;
//! - JSON keys are added, never redefined or removed; both sides ignore those they do not know, and
//!   read a missing one as what a side without it means;
//! - this crate is never renamed and never 0.x: abi_stable compares both.
//!
//! ```
//! // A host reads these numbers from a file before it loads it.
//! let section = rivet_abi::section_header(rivet_abi::KIND_SOURCE, rivet_abi::FLAG_PANIC_UNWIND, 2);
//! assert!(section.starts_with(&rivet_abi::META_MAGIC));
//! ```

#![allow(non_local_definitions, non_camel_case_types)] // abi_stable's macros
#![allow(missing_docs)] // and their output

mod descriptor;
mod module;
mod traits;

pub use descriptor::{
    ABI_MAJOR, ABI_MINOR, DESCRIPTOR_SYMBOL, Descriptor, FLAG_PANIC_UNWIND, KIND_DESTINATION, KIND_SOURCE, MAGIC,
    META_HEADER_BYTES, META_MAGIC, META_SECTION, ROOT_SYMBOL, Text, section_header,
};
pub use module::{PluginModule, PluginModule_Ref};
pub use traits::*;

/// The parts of abi_stable that the SDK's glue and the loader need. Nobody else names it.
pub mod stable {
    pub use abi_stable::StableAbi;
    pub use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
    pub use abi_stable::library::{
        __call_root_module_loader, AbiHeaderRef, CheckTypeLayout, LibHeader, LibraryError, RootModuleResult,
    };
    pub use abi_stable::pointer_trait::AsPtr;
    pub use abi_stable::prefix_type::PrefixTypeTrait;
    pub use abi_stable::sabi_trait::TD_Opaque;
    pub use abi_stable::std_types::{
        RArc, RBox, RErr, RNone, ROk, ROption, RResult, RSlice, RSome, RStr, RString, RVec,
    };
    pub use abi_stable::{RMut, sabi_types};
}
