//! The orders of SQL Server, as collations for SQLite.

use std::cmp::Ordering;

use super::numeric;

pub const DECIMAL: &str = "tds_decimal";
pub const OFFSET: &str = "tds_offset";
pub const GUID: &str = "tds_guid";
pub const CASELESS: &str = "tds_ci";
pub const CASED: &str = "tds_cs";
pub const BINARY: &str = "tds_bin";

type Compare = fn(&str, &str) -> Ordering;

/// Every collation with its name.
pub const ALL: [(&str, Compare); 6] = [
    (DECIMAL, numeric::compare),
    (OFFSET, |a, b| instant(a).cmp(instant(b))),
    (GUID, guid),
    (CASELESS, caseless),
    (CASED, cased),
    (BINARY, |a, b| padded(a.encode_utf16(), b.encode_utf16(), 32)),
];

/// The UTC instant before the offset.
fn instant(text: &str) -> &str {
    text.get(..27).unwrap_or(text)
}

/// uniqueidentifier compares its last six bytes first, then the two before them, and so on.
fn guid(a: &str, b: &str) -> Ordering {
    fn key(text: &str) -> [&str; 8] {
        // 01234567-9012-4567-9012-456789012345, in the text's own byte order.
        let piece = |from: usize, to: usize| text.get(from..to).unwrap_or("");
        [piece(24, 36), piece(19, 23), piece(16, 18), piece(14, 16), piece(11, 13), piece(9, 11), "", ""]
    }
    // The first three groups are little-endian, so their last byte in text is their first in memory.
    key(a).cmp(&key(b)).then_with(|| {
        let front = |text: &str| -> Vec<String> {
            [(6, 8), (4, 6), (2, 4), (0, 2)].iter().map(|(f, t)| text.get(*f..*t).unwrap_or("").to_owned()).collect()
        };
        front(a).cmp(&front(b))
    })
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

fn caseless(a: &str, b: &str) -> Ordering {
    padded(folded(a), folded(b), ' ')
}

/// Alphabetical first; then a lower-case letter before its capital.
fn cased(a: &str, b: &str) -> Ordering {
    caseless(a, b).then_with(|| padded(b.chars(), a.chars(), ' '))
}

/// Compares as if the shorter one went on with blanks.
fn padded<T: Ord + Copy>(a: impl Iterator<Item = T>, b: impl Iterator<Item = T>, blank: T) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (left, right) = (a.next(), b.next());
        if left.is_none() && right.is_none() {
            return Ordering::Equal;
        }
        match left.unwrap_or(blank).cmp(&right.unwrap_or(blank)) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
}
