//! The values of a row, one after the other.

use rivet_sdk::cursor::ReadNumbers as _;
use rivet_sdk::{Error, Result, Scalar};

use super::{CONTROL_BYTES, Cell, Wire, is_null};
use crate::error::confused;
use crate::meta::{Layout, ResultColumn};
use crate::value;

impl Wire {
    /// The values of a small answer's row.
    pub(super) fn scalars(&mut self, columns: &[ResultColumn], sparse: bool) -> Result<Vec<Scalar>> {
        let nulls = if sparse { self.stream.bytes(columns.len().div_ceil(8))?.to_vec() } else { Vec::new() };
        let mut row = Vec::with_capacity(columns.len());
        let mut pieces = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            if is_null(&nulls, index) {
                row.push(Scalar::Null);
                continue;
            }
            row.push(match self.cell(column.layout)? {
                Cell::Null => Scalar::Null,
                Cell::Value(value) => value::scalar(column, value)?,
                Cell::Pieces(_) => {
                    pieces.clear();
                    while let Some(piece) = self.piece()? {
                        pieces.extend_from_slice(piece);
                        if pieces.len() > CONTROL_BYTES {
                            return Err(Error::data("the answer to a question holds a value that is too large"));
                        }
                    }
                    value::scalar(column, &pieces)?
                }
            });
        }
        Ok(row)
    }

    /// The next value of a row.
    #[inline]
    pub fn cell(&mut self, layout: Layout) -> Result<Cell<'_>> {
        let length = match layout {
            Layout::Fixed(0) => return Ok(Cell::Null),
            Layout::Fixed(size) => size,
            Layout::Byte => match self.stream.u8()? {
                0 => return Ok(Cell::Null),
                size => usize::from(size),
            },
            Layout::Short => match self.stream.u16_le()? {
                0xFFFF => return Ok(Cell::Null),
                size => usize::from(size),
            },
            Layout::Long => match self.stream.u32_le()? {
                0 => return Ok(Cell::Null),
                size @ ..=0xFFFF => usize::try_from(size).unwrap_or(usize::MAX),
                size => return Err(confused(format!("a sql_variant of {size} bytes"))),
            },
            Layout::Pointer => {
                let size = usize::from(self.stream.u8()?);
                if size == 0 {
                    return Ok(Cell::Null);
                }
                self.stream.skip(size + 8)?;
                let size = self.stream.u32_le()?;
                self.piece_left = usize::try_from(size).unwrap_or(usize::MAX);
                return Err(confused("a text pointer, although the column was cast"));
            }
            Layout::Pieces => {
                const NULL: u64 = u64::MAX;
                const UNKNOWN: u64 = u64::MAX - 1;
                self.piece_left = 0;
                return Ok(match self.stream.u64_le()? {
                    NULL => Cell::Null,
                    UNKNOWN => Cell::Pieces(None),
                    length => Cell::Pieces(Some(length)),
                });
            }
        };
        self.stream.bytes(length).map(Cell::Value)
    }

    /// What has arrived of a value in pieces; None at its end.
    #[inline]
    pub fn piece(&mut self) -> Result<Option<&[u8]>> {
        if self.piece_left == 0 {
            let length = self.stream.u32_le()?;
            self.piece_left = usize::try_from(length).unwrap_or(usize::MAX);
            if self.piece_left == 0 {
                return Ok(None);
            }
        }
        let piece = self.stream.some(self.piece_left)?;
        self.piece_left -= piece.len();
        Ok(Some(piece))
    }
}
