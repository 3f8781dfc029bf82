//! The steps a plugin's file passes on its way to being used, for reports.

/// One step, in the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Nobody else could replace the file.
    Trust,
    /// It is a whole shared library.
    Library,
    /// Its link section is of an ABI this host speaks, and panics stay inside.
    Abi,
    /// Its manifest can be read.
    Manifest,
    /// The system can load it.
    Load,
    /// Its descriptor agrees with its manifest, and its SDK is new enough.
    Descriptor,
    /// Its interface types are laid out like ours.
    Layout,
    /// It starts.
    Init,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 8] =
        [Self::Trust, Self::Library, Self::Abi, Self::Manifest, Self::Load, Self::Descriptor, Self::Layout, Self::Init];

    /// What is checked, in a few words.
    pub fn what(self) -> &'static str {
        match self {
            Self::Trust => "nobody else can replace the file",
            Self::Library => "the library is whole",
            Self::Abi => "ABI and panic strategy",
            Self::Manifest => "manifest",
            Self::Load => "the system loads it",
            Self::Descriptor => "descriptor and SDK version",
            Self::Layout => "interface layout",
            Self::Init => "init",
        }
    }
}
