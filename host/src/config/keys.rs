//! What a table of keys is made of. The table itself is `grammar.rs`.

/// A mapping with known keys.
#[derive(Debug)]
pub struct Block {
    /// Where it stands: `exports[].parquet`; empty for the root.
    pub path: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// Its keys, in the order in which they are documented.
    pub keys: &'static [Key],
    /// Whether further keys belong to a plugin.
    pub open: bool,
}

/// A key of a block.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// What applies without it, for people; empty if there is nothing to say.
    pub default: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it changes anything.
    pub support: Support,
}

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Text.
    Text,
    /// Text that is not to be seen.
    Secret,
    /// One character.
    Character,
    /// `true` or `false`.
    Bool,
    /// `true`, `false`, or a whole number within these limits.
    FlagOrInteger(i64, i64),
    /// A whole number within these limits.
    Integer(i64, i64),
    /// A number of at least this.
    Number(f64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `256MB`, or a number of bytes.
    Size,
    /// `10m`.
    Duration,
    /// Texts.
    Texts,
    /// A text or several.
    TextOrTexts,
    /// Any of these words.
    Choices(&'static [&'static str]),
    /// Names with a text each.
    TextByName,
    /// Names with a number of at least zero each.
    NumberByName,
    /// Keys of their own.
    Block(&'static Block),
    /// Several blocks.
    Blocks(&'static Block),
}

/// Whether a key changes anything.
#[derive(Debug, Clone, Copy)]
pub enum Support {
    /// It does.
    Full,
    /// It asks for nothing beyond what always happens.
    Accepted,
}

pub(super) const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind, default, doc, required: false, support: Support::Full }
}

impl Key {
    pub(super) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(super) const fn accepted(self) -> Self {
        Self { support: Support::Accepted, ..self }
    }
}

impl Block {
    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// This block and every one in it, outermost first.
    pub fn all(&'static self) -> Vec<&'static Self> {
        let mut found: Vec<&'static Self> = vec![self];
        let mut next = 0;
        while let Some(block) = found.get(next).copied() {
            next += 1;
            for key in block.keys {
                if let Kind::Block(inner) | Kind::Blocks(inner) = key.kind
                    && !found.iter().any(|known| std::ptr::eq(*known, inner))
                {
                    found.push(inner);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_key_is_documented_once() {
        for block in crate::config::grammar::ROOT.all() {
            for (index, key) in block.keys.iter().enumerate() {
                assert!(key.doc.ends_with('.'), "{}.{}", block.path, key.name);
                assert!(block.keys.iter().skip(index + 1).all(|other| other.name != key.name), "{}", key.name);
            }
        }
        assert_eq!(crate::config::grammar::ROOT.all().len(), 14);
    }
}
