//! The SDK's sources on this machine, and `rivet plugin sdk`, which tells cargo where they are.
//!
//! A plugin's manifest asks for the SDK by its version alone, so that it means the same on every machine. Where the
//! SDK lies is in `.cargo/config.toml` beside it, which is made on each machine and not committed.

use std::fs;
use std::path::{Path, PathBuf};

use rivet_sdk::{Error, ErrorKind, Result, SDK_VERSION};

use super::super::arguments::PluginSdkArguments;
use super::super::exit::Outcome;
use super::super::print;

/// The file that says where the SDK lies, in a plugin's folder.
pub(super) const CARGO_CONFIG: &str = ".cargo/config.toml";

/// Where a package puts the SDK, beside the folder of its program.
const PACKAGED: &str = "share/rivet/sdk";

const FIRST_LINE: &str = "# Made by `rivet plugin sdk`: where this machine has rivet's SDK. Not to be committed.";

/// The SDK's crates: their names, which are those of their folders in a package, and their folders in a checkout.
const CRATES: [(&str, &str); 4] =
    [("rivet-abi", "abi"), ("rivet-sdk", "plugin"), ("rivet-loader", "loader"), ("rivet-testkit", "testkit")];

/// The folders of the SDK's crates, as absolute paths.
#[derive(Debug)]
pub(super) struct Sdk([(&'static str, PathBuf); CRATES.len()]);

impl Sdk {
    /// The one that was asked for, or else that of the program's package, or of its checkout.
    pub(super) fn find(asked: Option<&Path>) -> Result<Self> {
        if let Some(folder) = asked {
            return Self::at(folder).ok_or_else(|| {
                Error::config(format!("--sdk {}: the SDK is not in it", folder.display())).with_hint(format!(
                    "give {PACKAGED} of a package of rivet (it holds {}), or `sdk` of a checkout",
                    CRATES.map(|(name, _)| name).join(", ")
                ))
            });
        }
        let prefix = rivet_loader::program_prefix();
        let packaged = prefix.as_ref().map(|prefix| prefix.join(PACKAGED));
        // A checkout's program is target/debug/rivet.
        let checkout = prefix.as_ref().and_then(|target| Some(target.parent()?.join("sdk")));
        let places: Vec<PathBuf> = packaged.into_iter().chain(checkout).collect();
        places.iter().find_map(|place| Self::at(place)).ok_or_else(|| {
            let searched: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
            Error::config(format!("rivet's SDK for authors is not on this machine; searched: {}", searched.join(", ")))
                .with_hint("install rivet's package with the SDK, or give its folder: --sdk DIR")
        })
    }

    fn at(folder: &Path) -> Option<Self> {
        let folder = fs::canonicalize(folder).ok()?;
        let packaged = CRATES.map(|(name, _)| (name, folder.join(name)));
        let of_checkout = CRATES.map(|(name, place)| (name, folder.join(place)));
        let is_whole = |crates: &[(&str, PathBuf); CRATES.len()]| {
            crates.iter().all(|(_, folder)| folder.join("Cargo.toml").is_file())
        };
        [packaged, of_checkout].into_iter().find(is_whole).map(Self)
    }

    /// Writes the file that says where the SDK lies, or writes it anew.
    pub(super) fn write(&self, plugin: &Path) -> Result<PathBuf> {
        let path = plugin.join(CARGO_CONFIG);
        let lines = self.cargo_config()?;
        match fs::read_to_string(&path) {
            Ok(text) if !text.starts_with(FIRST_LINE) => {
                return Err(Error::config(format!("{} is there already, and is not rivet's", path.display()))
                    .with_hint(format!("put these lines into it:\n{lines}")));
            }
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unwritable(&path, &error)),
            _ => {}
        }
        let folder = path.parent().unwrap_or(&path);
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, format!("{FIRST_LINE}\n{lines}")));
        written.map_err(|error| unwritable(&path, &error)).map(|()| path)
    }

    fn cargo_config(&self) -> Result<String> {
        let mut lines = "[patch.crates-io]\n".to_owned();
        for (name, folder) in &self.0 {
            let text = folder.to_str().filter(|text| !text.contains(char::is_control)).ok_or_else(|| {
                Error::config(format!("{}: cargo cannot read such a path", folder.display()))
                    .with_hint("link to the SDK's folder from another, and give that: --sdk DIR")
            })?;
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            lines.push_str(&format!("{name} = {{ path = \"{quoted}\" }}\n"));
        }
        Ok(lines)
    }
}

/// What a manifest asks of the SDK's crates: any version that is compatible with this program's.
pub(super) fn requirement() -> &'static str {
    SDK_VERSION.rsplit_once('.').map_or(SDK_VERSION, |(compatible, _)| compatible)
}

pub fn sdk(arguments: &PluginSdkArguments) -> Outcome {
    let sdk = Sdk::find(arguments.sdk.as_deref())?;
    if !arguments.path.join("Cargo.toml").is_file() {
        return Err(Error::config(format!("{}: there is no Cargo.toml in it", arguments.path.display()))
            .with_hint("give the folder of your plugin's crate: --path DIR")
            .into());
    }
    let written = sdk.write(&arguments.path)?;
    print::note(&format!("{}: SDK {SDK_VERSION}", written.display()));
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Other, format!("{}: {error}", path.display()))
        .with_hint("choose a folder that can be written with --path")
}
