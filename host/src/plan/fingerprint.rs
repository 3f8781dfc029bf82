//! A fingerprint as it is stored and compared.

/// Both forms of one fingerprint, as stored side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// The first form; where something is used that it does not know, the second.
    pub first: String,
    /// The second form. What rivet 0.1 wrote has none.
    pub second: Option<String>,
}

impl Fingerprint {
    /// As read from a document or a row.
    pub fn stored(first: &str, second: Option<&str>) -> Self {
        Self { first: first.to_owned(), second: second.map(str::to_owned) }
    }

    pub(crate) fn of(first: Option<String>, second: String) -> Self {
        Self { first: first.unwrap_or_else(|| second.clone()), second: Some(second) }
    }

    /// Whether both name the same thing, in either form.
    pub fn is_of(&self, other: &Self) -> bool {
        self.first == other.first || (self.second.is_some() && self.second == other.second)
    }

    /// Whether it can be told that they name different things: both were written with the same forms.
    pub fn is_comparable(&self, other: &Self) -> bool {
        self.second.is_some() == other.second.is_some()
    }
}
