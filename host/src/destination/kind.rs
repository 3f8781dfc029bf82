//! What kind of destination a name stands for: the one place where names are compared.

/// A destination, as far as the host treats one differently from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DestinationKind {
    /// A folder of this machine's.
    Local,
    /// Standard output: one chunk, one worker, no reports and no manifest.
    Stdout,
    /// A plugin's.
    Plugin,
}

impl DestinationKind {
    /// By the name in `destination.type`.
    pub fn of(name: &str) -> Self {
        match name {
            "local" => Self::Local,
            "stdout" => Self::Stdout,
            _ => Self::Plugin,
        }
    }

    /// The most parts that one of so many workers may have open at once. An open file is a descriptor, an open upload a
    /// buffer of its store's.
    pub fn open_parts_at_most(self, workers: u32) -> u32 {
        match self {
            Self::Local => 128,
            Self::Stdout | Self::Plugin => (32 / workers.max(1)).max(4),
        }
    }
}
