//! The abi_stable module: three functions.

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::package_version_strings;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::RStr;

use crate::{AbiResult, ContextRef, DestinationBox, HostRef, SourceBox};

/// What a plugin's `RIVET_PLUGIN_ROOT` constructs.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModule_Ref)))]
pub struct PluginModule {
    /// Called once a process, before anything else; settings in JSON (`{"log_level": 3}`).
    pub init: extern "C" fn(HostRef, RStr<'_>) -> AbiResult<()>,
    /// Opens a source; options in JSON.
    pub open_source: extern "C" fn(RStr<'_>, ContextRef) -> AbiResult<SourceBox>,
    /// Opens a destination; options in JSON.
    #[sabi(last_prefix_field)]
    pub open_destination: extern "C" fn(RStr<'_>, ContextRef) -> AbiResult<DestinationBox>,
}

impl RootModule for PluginModule_Ref {
    abi_stable::declare_root_module_statics! {PluginModule_Ref}
    const BASE_NAME: &'static str = "rivet_plugin";
    const NAME: &'static str = "rivet_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}
