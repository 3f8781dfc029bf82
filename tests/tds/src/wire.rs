//! Little-endian bytes as the protocol lays them out.

/// What a peer sent makes no sense; the connection ends.
#[derive(Debug)]
pub struct Malformed(pub &'static str);

/// Reads a message from its front.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed("the message ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// `units` UTF-16 code units.
    pub fn utf16(&mut self, units: usize) -> Result<String, Malformed> {
        Ok(from_utf16(self.take(units * 2)?))
    }
}

/// Text from UTF-16LE bytes; a lone surrogate becomes U+FFFD, which is right for names and statements only.
pub fn from_utf16(bytes: &[u8]) -> String {
    char::decode_utf16(units(bytes)).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// The code units of UTF-16LE bytes.
pub fn units(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
}

/// Writes the protocol's shapes to the end of a buffer.
pub trait Put {
    fn put(&mut self, bytes: &[u8]);

    fn u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    fn u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    fn utf16(&mut self, text: &str) {
        for unit in text.encode_utf16() {
            self.u16(unit);
        }
    }

    /// Text after its length in code units, one byte.
    fn b_varchar(&mut self, text: &str) {
        let text = shortened(text, usize::from(u8::MAX));
        self.u8(u8::try_from(text.encode_utf16().count()).unwrap_or(u8::MAX));
        self.utf16(text);
    }

    /// Text after its length in code units, two bytes.
    fn us_varchar(&mut self, text: &str) {
        let text = shortened(text, 4000);
        self.u16(u16::try_from(text.encode_utf16().count()).unwrap_or(u16::MAX));
        self.utf16(text);
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

fn shortened(text: &str, units: usize) -> &str {
    let mut length = 0;
    for (at, char) in text.char_indices() {
        length += char.len_utf16();
        if length > units {
            return &text[..at];
        }
    }
    text
}
