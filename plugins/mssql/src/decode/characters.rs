//! Characters of the server, in UTF-16 or a code page, as UTF-8.

use crate::kind::CodePage;

const HALF_PAIR: &str = "half of a surrogate pair";
const NOT_IN_PAGE: &str = "bytes that are no characters of its code page";

/// Appends UTF-16 (little-endian) as UTF-8. What was appended before a failure is the caller's to
/// take back.
#[inline]
pub(crate) fn utf16(out: &mut Vec<u8>, value: &[u8]) -> Result<(), &'static str> {
    // Most texts are ASCII through and through.
    let mut high = 0_u16;
    for pair in value.chunks_exact(2) {
        high |= u16::from_le_bytes([pair[0], pair[1]]);
    }
    if high < 0x80 && value.len().is_multiple_of(2) {
        out.extend(value.chunks_exact(2).map(|pair| pair[0]));
        return Ok(());
    }
    wide(out, value)
}

fn wide(out: &mut Vec<u8>, value: &[u8]) -> Result<(), &'static str> {
    if !value.len().is_multiple_of(2) {
        return Err(HALF_PAIR);
    }
    out.reserve(value.len() / 2 * 3);
    let units = value.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    for unit in char::decode_utf16(units) {
        let character = unit.map_err(|_| HALF_PAIR)?;
        let mut bytes = [0; 4];
        out.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
    }
    Ok(())
}

impl CodePage {
    /// Appends a whole text of this code page as UTF-8.
    #[inline]
    pub fn append(self, out: &mut Vec<u8>, value: &[u8]) -> Result<(), &'static str> {
        if value.is_ascii() {
            out.extend_from_slice(value);
            return Ok(());
        }
        match self {
            Self::Utf8 => match std::str::from_utf8(value) {
                Ok(text) => out.extend_from_slice(text.as_bytes()),
                Err(_) => return Err("bytes that are not UTF-8"),
            },
            Self::Table(encoding) => {
                let (text, _, malformed) = encoding.decode(value);
                if malformed {
                    return Err(NOT_IN_PAGE);
                }
                out.extend_from_slice(text.as_bytes());
            }
            Self::Unknown => return Err("characters of an unknown code page"),
        }
        Ok(())
    }
}

/// What a piece of a long text leaves over: an odd byte, half a pair, the begin of a UTF-8 sequence.
#[derive(Debug, Default)]
pub(crate) struct Carry {
    bytes: [u8; 4],
    count: usize,
    failure: Option<&'static str>,
}

impl Carry {
    /// Appends a piece. A failure shows at the end.
    pub fn append(&mut self, out: &mut Vec<u8>, mut piece: &[u8], is_utf16: bool, page: CodePage) {
        if self.failure.is_some() {
            return;
        }
        while self.count > 0 && !piece.is_empty() {
            // Byte by byte until what was left over is whole.
            let Some((slot, (first, rest))) = self.bytes.get_mut(self.count).zip(piece.split_first()) else {
                self.failure = Some(if is_utf16 { HALF_PAIR } else { NOT_IN_PAGE });
                return;
            };
            *slot = *first;
            self.count += 1;
            piece = rest;
            let held = self.bytes;
            let held = held.get(..self.count).unwrap_or_default();
            if whole(held, is_utf16, page) == held.len() {
                self.count = 0;
                self.take(out, held, is_utf16, page);
            }
        }
        let end = whole(piece, is_utf16, page);
        let (now, later) = piece.split_at(end);
        self.take(out, now, is_utf16, page);
        match self.bytes.get_mut(..later.len()) {
            Some(held) if !later.is_empty() => {
                held.copy_from_slice(later);
                self.count = later.len();
            }
            Some(_) => {}
            None => self.failure = Some(NOT_IN_PAGE),
        }
    }

    fn take(&mut self, out: &mut Vec<u8>, bytes: &[u8], is_utf16: bool, page: CodePage) {
        let taken = if is_utf16 { utf16(out, bytes) } else { page.append(out, bytes) };
        if let Err(what) = taken {
            self.failure = self.failure.or(Some(what));
        }
    }

    /// Ends a text.
    pub fn end(&mut self) -> Result<(), &'static str> {
        let Self { count, failure, .. } = std::mem::take(self);
        match failure {
            Some(what) => Err(what),
            None if count > 0 => Err("a text that is cut off in a character"),
            None => Ok(()),
        }
    }
}

/// How many bytes of `piece` are whole characters.
fn whole(piece: &[u8], is_utf16: bool, page: CodePage) -> usize {
    if is_utf16 {
        let even = piece.len() / 2 * 2;
        return match piece.get(..even).and_then(|units| units.last()) {
            Some(0xD8..=0xDB) => even - 2,
            _ => even,
        };
    }
    match page {
        CodePage::Utf8 => {
            // The last sequence's first byte says how many it has.
            let tail = piece.iter().rev().take(4).position(|byte| byte & 0xC0 != 0x80);
            let Some(back) = tail.map(|position| position + 1) else { return piece.len() };
            let needs = match piece.get(piece.len() - back) {
                Some(0xC0..=0xDF) => 2,
                Some(0xE0..=0xEF) => 3,
                Some(0xF0..) => 4,
                _ => 1,
            };
            if back < needs { piece.len() - back } else { piece.len() }
        }
        // Code pages decoded here have one byte a character.
        _ => piece.len(),
    }
}
