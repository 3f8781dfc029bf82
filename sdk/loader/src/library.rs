//! Loads an inspected plugin and opens instances of it.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use rivet_abi::stable::{AbiHeaderRef, LibHeader, RErr, ROk, TD_Opaque, check_layout_compatibility};
use rivet_abi::stable::{RArc, RStr};
use rivet_abi::{
    ABI_MAJOR, ABI_MINOR, ContextAbi, ContextAbi_TO, ContextRef, DESCRIPTOR_SYMBOL, Descriptor, FLAG_PANIC_UNWIND,
    HostAbi, HostAbi_TO, MAGIC, PluginModule_Ref, ROOT_SYMBOL, Text,
};
use rivet_sdk::{Context, Destination, Error, ErrorKind, HostServices, Result, Source};
use semver::{Version, VersionReq};

use crate::remote::{RawDestination, RawSource, RemoteDestination, RemoteSource, answer};
use crate::{Inspected, PluginManifest, Step};

/// Keeps a library mapped for as long as the process lives: threads, thread-locals, error
/// vtables and Arrow release callbacks of the plugin live in it.
const RTLD_NODELETE: i32 = 0x1000;

/// SDKs older than this are refused.
const SDK_REQUIRED: &str = ">=0.1.0";

/// Where a plugin's log records go. `plugin` is its name.
pub type HostLog = fn(plugin: &str, level: log::Level, target: &str, message: &str);

/// How plugins are loaded.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Where their log records go.
    pub log: HostLog,
    /// What they need not send at all.
    pub level: log::LevelFilter,
    /// Check every value of every batch (UTF-8, offsets), not only its structure.
    pub untrusted: bool,
}

/// A loaded plugin. It is never unloaded.
#[derive(Clone)]
pub struct Plugin {
    manifest: PluginManifest,
    path: std::path::PathBuf,
    module: PluginModule_Ref,
    untrusted: bool,
}

impl Plugin {
    /// Loads the file that was inspected. Do this on one thread, before workers start.
    pub fn load(inspected: &Inspected, settings: Settings) -> Result<Self> {
        Self::load_steps(inspected, settings, &mut |_| {})
    }

    /// As [`Plugin::load`]; tells `passed` of each step that was passed.
    pub fn load_steps(inspected: &Inspected, settings: Settings, passed: &mut dyn FnMut(Step)) -> Result<Self> {
        let plugin = Self::load_module(inspected, settings, passed)
            .map_err(|error| error.with_context("plugin", inspected.path.display().to_string()))?;
        log::debug!(
            "loaded plugin {} {} from {}",
            plugin.manifest.name,
            plugin.manifest.version,
            plugin.path.display()
        );
        Ok(plugin)
    }

    fn load_module(inspected: &Inspected, settings: Settings, passed: &mut dyn FnMut(Step)) -> Result<Self> {
        let library = open(inspected)?;
        passed(Step::Load);
        let minor = check_descriptor(library, inspected)?;
        passed(Step::Descriptor);
        let module = root_module(library, minor)?;
        passed(Step::Layout);
        let host = HostAbi_TO::from_ptr(
            RArc::new(Host { plugin: inspected.manifest.name.clone(), log: settings.log }),
            TD_Opaque,
        );
        let init = serde_json::json!({ "log_level": settings.level as usize }).to_string();
        answer(&inspected.manifest.name, (module.init())(host, RStr::from(init.as_str())))?;
        passed(Step::Init);
        Ok(Self {
            manifest: inspected.manifest.clone(),
            path: inspected.path.clone(),
            module,
            untrusted: settings.untrusted,
        })
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &PluginManifest {
        &self.manifest
    }

    /// The file it was loaded from.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Opens a source. Call it on the thread that will use it.
    pub fn open_source(&self, options: &serde_json::Value, context: &Context) -> Result<Box<dyn Source>> {
        Ok(Box::new(self.remote_source(options, context)?))
    }

    /// Opens a destination. Call it on the thread that will use it.
    pub fn open_destination(&self, options: &serde_json::Value, context: &Context) -> Result<Box<dyn Destination>> {
        Ok(Box::new(self.remote_destination(options, context)?))
    }

    /// Opens a source to be asked in JSON.
    pub fn open_raw_source(&self, options: &serde_json::Value) -> Result<RawSource> {
        self.remote_source(options, &Context::detached()).map(RawSource)
    }

    /// Opens a destination to be asked in JSON.
    pub fn open_raw_destination(&self, options: &serde_json::Value) -> Result<RawDestination> {
        self.remote_destination(options, &Context::detached()).map(RawDestination)
    }

    fn remote_source(&self, options: &serde_json::Value, context: &Context) -> Result<RemoteSource> {
        let options = options.to_string();
        let opened = (self.module.open_source())(RStr::from(options.as_str()), remote_context(context));
        let source = answer(&self.manifest.name, opened)?;
        Ok(RemoteSource::new(self.manifest.name.clone(), source, self.untrusted))
    }

    fn remote_destination(&self, options: &serde_json::Value, context: &Context) -> Result<RemoteDestination> {
        let options = options.to_string();
        let opened = (self.module.open_destination())(RStr::from(options.as_str()), remote_context(context));
        let destination = answer(&self.manifest.name, opened)?;
        RemoteDestination::new(self.manifest.name.clone(), destination)
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("name", &self.manifest.name).field("path", &self.path).finish_non_exhaustive()
    }
}

/// Maps the very file that was inspected, and never unmaps it.
fn open(inspected: &Inspected) -> Result<&'static Library> {
    let file = inspected.file.try_clone().map_err(|error| Error::config(format!("cannot be opened: {error}")))?;
    let same_file = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: loading runs the library's constructors. The file passed `trust::check`, is a
    // whole ELF library, and says that it is a plugin of our ABI.
    let library = unsafe { Library::open(Some(&same_file), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) };
    let library = library.map_err(|error| {
        let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        let why = why.replace(&format!("{same_file}: "), "");
        Error::config(format!("cannot be loaded: {why}")).with_hint("install the build for this platform and libc")
    })?;
    // The system knows a library by its path: were the file closed, the next plugin could get its
    // number, and be taken for this one.
    std::mem::forget(file);
    Ok(Box::leak(Box::new(library)))
}

/// Checks the descriptor in the order in which its fields may be trusted; gives its ABI minor.
fn check_descriptor(library: &'static Library, inspected: &Inspected) -> Result<u32> {
    // SAFETY: the symbol is data that starts with eight magic bytes if it is ours; `magic` and
    // `size` are read before any other field.
    let descriptor = unsafe { library.get::<*const Descriptor>(DESCRIPTOR_SYMBOL) };
    let descriptor = descriptor.map_err(|_| {
        Error::config("exports no RIVET_PLUGIN_DESCRIPTOR").with_hint("build it with rivet_sdk::plugin!")
    })?;
    let descriptor: *const Descriptor = *descriptor;
    // SAFETY: as above; the pointer is the symbol's address and aligned by the linker.
    let (magic, size) = unsafe { ((*descriptor).magic, (*descriptor).size) };
    if magic != MAGIC {
        return Err(
            Error::config("its descriptor has the wrong magic number").with_hint("rebuild it with rivet_sdk::plugin!")
        );
    }
    let needed = size_of::<Descriptor>();
    if usize::try_from(size).is_ok_and(|size| size < needed) {
        return Err(Error::config(format!("its descriptor is {size} bytes, {needed} are needed"))
            .with_hint("rebuild the plugin against a newer rivet-sdk"));
    }
    // SAFETY: magic and size say that every field of this version is there.
    let descriptor = unsafe { &*descriptor };
    if descriptor.abi_major != ABI_MAJOR {
        return Err(crate::inspect::other_abi(descriptor.abi_major));
    }
    if descriptor.flags & FLAG_PANIC_UNWIND == 0 {
        return Err(
            Error::config("built with panic = \"abort\"").with_hint("rebuild the plugin with panic = \"unwind\"")
        );
    }
    let name = text(descriptor.name)?;
    if name != inspected.manifest.name {
        return Err(Error::config(format!("its descriptor says `{name}`, its manifest `{}`", inspected.manifest.name))
            .with_hint("rebuild the plugin"));
    }
    check_sdk(text(descriptor.sdk_version)?)?;
    Ok(descriptor.abi_minor)
}

fn check_sdk(version: &str) -> Result<()> {
    let parsed = Version::parse(version).map_err(|error| {
        Error::config(format!("its SDK version `{version}` cannot be read: {error}")).with_hint("rebuild the plugin")
    })?;
    let required = VersionReq::parse(SDK_REQUIRED).map_err(|error| Error::internal(error.to_string()))?;
    // A pre-release of a good version is good.
    let release = Version::new(parsed.major, parsed.minor, parsed.patch);
    if required.matches(&release) {
        return Ok(());
    }
    Err(Error::config(format!("built with rivet-sdk {version}; this rivet needs {SDK_REQUIRED}"))
        .with_hint("rebuild the plugin against a newer rivet-sdk"))
}

fn text(text: Text) -> Result<&'static str> {
    // SAFETY: the descriptor's magic and size were checked, so the plugin means this for a text in
    // its read-only data, and the library stays mapped.
    let bytes = unsafe { text.bytes() }.ok_or_else(|| Error::config("its descriptor holds a text without a place"));
    let text = bytes.and_then(|bytes| {
        std::str::from_utf8(bytes).map_err(|_| Error::config("its descriptor holds a text that is not UTF-8"))
    });
    text.map_err(|error| error.with_hint("rebuild it with rivet_sdk::plugin!"))
}

fn root_module(library: &'static Library, minor: u32) -> Result<PluginModule_Ref> {
    // SAFETY: the symbol is an abi_stable header if the descriptor is ours; `upgrade` checks
    // abi_stable's own magic and version before anything behind it is read.
    let header = unsafe { library.get::<AbiHeaderRef>(ROOT_SYMBOL) };
    let header = header
        .map_err(|_| Error::config("exports no RIVET_PLUGIN_ROOT").with_hint("build it with rivet_sdk::plugin!"))?;
    let header: &'static LibHeader = header.upgrade().map_err(|error| {
        log::debug!("{error}");
        Error::config("its abi_stable is another version than this rivet's")
            .with_hint("rebuild the plugin against this rivet's rivet-sdk")
    })?;
    check_layout(header, minor)?;
    // SAFETY: the layout was checked above, in the direction its ABI minor asks for.
    let module = unsafe { header.init_root_module_with_unchecked_layout::<PluginModule_Ref>() };
    module.map_err(|error| Error::config(format!("its module cannot be made: {error}")).with_hint("rebuild the plugin"))
}

/// abi_stable lets only the second side have more methods and fields. The side with the lower
/// minor version is the first: then old hosts load new plugins, and new hosts old plugins.
fn check_layout(header: &'static LibHeader, minor: u32) -> Result<()> {
    let ours = <PluginModule_Ref as rivet_abi::stable::StableAbi>::LAYOUT;
    let Some(theirs) = header.layout() else {
        return Err(Error::config("it carries no description of its interface").with_hint("rebuild the plugin"));
    };
    #[allow(clippy::absurd_extreme_comparisons, reason = "can be true from ABI minor 1 on")]
    let result = if minor < ABI_MINOR {
        check_layout_compatibility(theirs, ours)
    } else {
        check_layout_compatibility(ours, theirs)
    };
    result.map_err(|error| {
        log::debug!("{error:?}");
        Error::config("its interface types differ from this rivet's, though the ABI version matches")
            .with_hint("rebuild the plugin against a released rivet-sdk")
    })
}

struct Host {
    plugin: String,
    log: HostLog,
}

impl HostAbi for Host {
    fn log(&self, level: u32, target: RStr<'_>, message: RStr<'_>) {
        let level = match level {
            0 | 1 => log::Level::Error,
            2 => log::Level::Warn,
            3 => log::Level::Info,
            4 => log::Level::Debug,
            _ => log::Level::Trace,
        };
        // The unwind of a panicking logger must not reach the boundary.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            // A text of a plugin in another language may be anything.
            let (target, message) =
                (String::from_utf8_lossy(target.as_bytes()), String::from_utf8_lossy(message.as_bytes()));
            (self.log)(&self.plugin, level, &target, &message);
        }));
    }
}

fn remote_context(context: &Context) -> ContextRef {
    ContextAbi_TO::from_ptr(RArc::new(LentContext(context.services())), TD_Opaque)
}

struct LentContext(Arc<dyn HostServices>);

impl ContextAbi for LentContext {
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    fn reserve(&self, bytes: u64) -> rivet_abi::AbiResult<()> {
        let reserved = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.0.reserve(bytes)));
        match reserved.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "the host's memory budget failed"))) {
            Ok(()) => ROk(()),
            Err(error) => RErr(error.to_json().into()),
        }
    }

    fn try_reserve(&self, bytes: u64) -> bool {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.0.try_reserve(bytes))).unwrap_or(false)
    }

    fn release(&self, bytes: u64) {
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.0.release(bytes)));
    }
}
