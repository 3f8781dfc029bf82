//! The one line that makes a library a plugin.

/// Exports the plugin's symbols.
///
/// ```ignore
/// rivet_sdk::plugin! {
///     name: "sqlite",
///     schemes: ["sqlite"],
///     source: SqliteDriver, options: include_str!("../options.schema.json"),
/// }
/// ```
///
/// A plugin may have a `source`, a `destination`, or both, in this order. The library must be
/// named after it: crate `rivet-plugin-sqlite`, file `librivet_plugin_sqlite.so`. `options` is
/// the JSON Schema of the driver's `Options`; the conformance suite checks that it is current
/// and writes it when `RIVET_BLESS=1`.
#[macro_export]
macro_rules! plugin {
    (
        name: $name:literal,
        schemes: [$($scheme:literal),* $(,)?],
        $(source: $source:ty, options: $source_options:expr,)?
        $(destination: $destination:ty, options: $destination_options:expr,)?
    ) => {
        const _: () = {
            use $crate::glue;
            use $crate::glue::abi::{self, stable};

            #[allow(unused_mut, unused_assignments)]
            const PARTS: glue::ManifestParts = {
                let mut parts = glue::ManifestParts {
                    name: $name,
                    version: env!("CARGO_PKG_VERSION"),
                    description: env!("CARGO_PKG_DESCRIPTION"),
                    license: env!("CARGO_PKG_LICENSE"),
                    homepage: env!("CARGO_PKG_HOMEPAGE"),
                    schemes: &[$($scheme),*],
                    capabilities: &[],
                    kinds: 0,
                    source_options: "",
                    destination_options: "",
                };
                $(
                    parts.capabilities = <$source as $crate::SourceDriver>::CAPABILITIES;
                    parts.kinds |= abi::KIND_SOURCE;
                    parts.source_options = $source_options;
                )?
                $(
                    let _: Option<$destination> = None;
                    parts.kinds |= abi::KIND_DESTINATION;
                    parts.destination_options = $destination_options;
                )?
                parts
            };
            const JSON_BYTES: usize = glue::write_manifest(&PARTS, &mut []);
            const FLAGS: u32 = if cfg!(panic = "unwind") { abi::FLAG_PANIC_UNWIND } else { 0 };

            #[unsafe(no_mangle)]
            #[unsafe(link_section = ".rivet_meta")]
            pub static RIVET_PLUGIN_META: [u8; abi::META_HEADER_BYTES + JSON_BYTES] = {
                let mut out = [0; abi::META_HEADER_BYTES + JSON_BYTES];
                #[allow(clippy::cast_possible_truncation)]
                let head = abi::section_header(PARTS.kinds, FLAGS, JSON_BYTES as u32);
                let (first, rest) = out.split_at_mut(abi::META_HEADER_BYTES);
                first.copy_from_slice(&head);
                glue::write_manifest(&PARTS, rest);
                out
            };

            const MANIFEST: &str = {
                const JSON: [u8; JSON_BYTES] = {
                    let mut out = [0; JSON_BYTES];
                    glue::write_manifest(&PARTS, &mut out);
                    out
                };
                match ::core::str::from_utf8(&JSON) {
                    Ok(text) => text,
                    Err(_) => panic!("the plugin manifest is not UTF-8"),
                }
            };

            #[unsafe(no_mangle)]
            pub static RIVET_PLUGIN_DESCRIPTOR: abi::Descriptor = abi::Descriptor {
                magic: abi::MAGIC,
                #[allow(clippy::cast_possible_truncation)]
                size: ::core::mem::size_of::<abi::Descriptor>() as u32,
                abi_major: abi::ABI_MAJOR,
                abi_minor: abi::ABI_MINOR,
                flags: FLAGS,
                kinds: PARTS.kinds,
                reserved: 0,
                sdk_version: abi::Text::new($crate::SDK_VERSION),
                name: abi::Text::new(PARTS.name),
                version: abi::Text::new(PARTS.version),
                manifest: abi::Text::new(MANIFEST),
            };

            fn module() -> abi::PluginModule_Ref {
                use stable::PrefixTypeTrait;
                #[allow(unused_mut, unused_assignments)]
                let mut module = abi::PluginModule {
                    init: glue::init,
                    open_source: glue::no_source,
                    open_destination: glue::no_destination,
                };
                $(module.open_source = glue::open_source::<$source>;)?
                $(module.open_destination = glue::open_destination::<$destination>;)?
                module.leak_into_prefix()
            }

            extern "C" fn load() -> stable::RootModuleResult {
                stable::__call_root_module_loader(module)
            }

            #[unsafe(no_mangle)]
            pub static RIVET_PLUGIN_ROOT: stable::LibHeader = {
                // SAFETY: `load` calls `module`, which returns a `PluginModule_Ref`.
                unsafe { glue::library_header(load) }
            };
        };
    };
}
