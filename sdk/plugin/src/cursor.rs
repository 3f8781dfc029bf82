//! Numbers and pieces of bytes, one after the other, out of what a server sent. Nothing here panics: what a server says
//! about lengths is not to be trusted.

/// The bytes end before what was to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short;

/// Where numbers are read from: `u16_le` has the low byte first, `i32_be` the high one.
pub trait ReadNumbers {
    /// Why there are no more bytes.
    type Error;

    /// The next `N` bytes.
    ///
    /// # Errors
    ///
    /// Fewer bytes are left; then nothing was read.
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Self::Error>;

    /// One byte.
    #[inline]
    fn u8(&mut self) -> Result<u8, Self::Error> {
        self.array().map(|[byte]| byte)
    }

    /// Two bytes, unsigned.
    #[inline]
    fn u16_le(&mut self) -> Result<u16, Self::Error> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes, unsigned.
    #[inline]
    fn u32_le(&mut self) -> Result<u32, Self::Error> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes, unsigned.
    #[inline]
    fn u64_le(&mut self) -> Result<u64, Self::Error> {
        self.array().map(u64::from_le_bytes)
    }

    /// Two bytes, signed.
    #[inline]
    fn i16_be(&mut self) -> Result<i16, Self::Error> {
        self.array().map(i16::from_be_bytes)
    }

    /// Four bytes, signed.
    #[inline]
    fn i32_be(&mut self) -> Result<i32, Self::Error> {
        self.array().map(i32::from_be_bytes)
    }

    /// Eight bytes, signed.
    #[inline]
    fn i64_be(&mut self) -> Result<i64, Self::Error> {
        self.array().map(i64::from_be_bytes)
    }
}

/// A place in bytes that are all there.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// At the beginning of `bytes`.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What has not been read.
    #[inline]
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Whether all has been read.
    #[inline]
    pub const fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `count` bytes, where they lie.
    ///
    /// # Errors
    ///
    /// Fewer are left; then nothing was read.
    #[inline]
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Short> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(Short)?;
        self.0 = tail;
        Ok(head)
    }
}

impl ReadNumbers for Cursor<'_> {
    type Error = Short;

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(Short)?;
        self.0 = tail;
        Ok(*head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_byte_order_that_their_name_says() {
        let mut cursor =
            Cursor::new(&[1, 2, 0, 0xFF, 0xFE, 9, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFD, 7, 0, 0, 0, 0, 0, 0, 0, 8]);
        assert_eq!((cursor.u8(), cursor.u16_le(), cursor.i16_be()), (Ok(1), Ok(2), Ok(-2)));
        assert_eq!((cursor.u32_le(), cursor.i32_be(), cursor.u64_le()), (Ok(9), Ok(-3), Ok(7)));
        assert_eq!((cursor.bytes(1), cursor.is_at_end()), (Ok(&[8][..]), true));
    }

    #[test]
    fn what_is_not_there_is_not_read() {
        let mut cursor = Cursor::new(&[1, 2, 3]);
        assert_eq!((cursor.u32_le(), cursor.bytes(4), cursor.bytes(usize::MAX)), (Err(Short), Err(Short), Err(Short)));
        assert_eq!((cursor.rest(), cursor.bytes(0), cursor.array()), (&[1, 2, 3][..], Ok(&[][..]), Ok([1, 2, 3])));
        assert_eq!(cursor.u8(), Err(Short));
    }
}
