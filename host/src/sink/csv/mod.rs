//! The CSV encoder: RFC 4180, where NULL and the empty text differ.
//!
//! NULL is the configured text, never quoted; the empty text is a pair of quotes; a value that
//! equals NULL's text is quoted, and what some reader would take for something else. `docs/reference/csv.md` says how each type is written.

mod calendar;
mod column;
mod json;
mod text;

use std::io::{self, Write};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use flate2::GzBuilder;
use flate2::write::GzEncoder;
use rivet_sdk::{Error, Result};

use self::column::{Column, Kind};
use super::object::{Failure, Finished, PartFile};
use crate::plan::{Codec, Compression, CsvSpec};

/// Text given to the compressor or the file at once.
const CHUNK_BYTES: usize = 256 << 10;

/// What all parts of a chunk have in common.
pub(super) struct CsvFormat {
    schema: SchemaRef,
    delimiter: u8,
    quote: u8,
    quote_all: bool,
    null: Vec<u8>,
    header: bool,
    line_ending: Vec<u8>,
    compression: Compression,
    max_file_size_bytes: Option<u64>,
    chunk_bytes: usize,
    /// Whether the text of numbers, dates and the like may need quotes.
    quote_plain: bool,
}

impl CsvFormat {
    pub(super) fn new(
        schema: &SchemaRef,
        spec: &CsvSpec,
        compression: Compression,
        max_file_size_bytes: Option<u64>,
    ) -> Result<Self> {
        let delimiter = ascii("delimiter", spec.delimiter)?;
        let quote = ascii("quote", spec.quote)?;
        if delimiter == quote {
            return Err(Error::config("csv: delimiter and quote are the same character"));
        }
        let special = |byte: u8| byte == delimiter || byte == quote || byte == b'\r' || byte == b'\n';
        if spec.null.bytes().any(special) {
            return Err(Error::config(format!(
                "csv.null: {:?} would need quotes, and NULL is never quoted",
                spec.null
            )));
        }
        if !["\n", "\r\n"].contains(&spec.line_ending.as_str()) {
            return Err(Error::config("csv.line_ending must be \\n or \\r\\n"));
        }
        if !matches!(compression.codec, Codec::None | Codec::Gzip | Codec::Zstd) {
            return Err(Error::config("compression: CSV is compressed with gzip or zstd")
                .with_hint("write `compression: zstd`, or `none`"));
        }
        let eighth = usize::try_from(max_file_size_bytes.unwrap_or(u64::MAX) / 8).unwrap_or(usize::MAX);
        Ok(Self {
            schema: schema.clone(),
            delimiter,
            quote,
            quote_all: spec.quote_all,
            null: spec.null.clone().into_bytes(),
            header: spec.header,
            line_ending: spec.line_ending.clone().into_bytes(),
            compression,
            max_file_size_bytes,
            chunk_bytes: CHUNK_BYTES.min(eighth.max(1)),
            quote_plain: !spec.null.is_empty()
                || [delimiter, quote].iter().any(|byte| byte.is_ascii_alphanumeric() || b"+-.: ".contains(byte)),
        })
    }

    pub(super) fn content_type(&self) -> &'static str {
        match self.compression.codec {
            Codec::Gzip => "application/gzip",
            Codec::Zstd => "application/zstd",
            _ => "text/csv",
        }
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        for (index, field) in self.schema.fields().iter().enumerate() {
            if index > 0 {
                out.push(self.delimiter);
            }
            let start = out.len();
            out.extend_from_slice(field.name().as_bytes());
            self.protect(start, true, out);
        }
        out.extend_from_slice(&self.line_ending);
    }

    fn write_row(&self, columns: &[Column<'_>], row: usize, out: &mut Vec<u8>) {
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                out.push(self.delimiter);
            }
            if column.is_null(row) {
                out.extend_from_slice(&self.null);
                continue;
            }
            let start = out.len();
            column.write(row, out);
            self.protect(start, matches!(column.kind, Kind::Text | Kind::Json), out);
        }
        out.extend_from_slice(&self.line_ending);
    }

    /// Quotes the field that starts at `start`, if it needs quotes.
    fn protect(&self, start: usize, any_text: bool, out: &mut Vec<u8>) {
        if !any_text && !self.quote_plain && !self.quote_all {
            return;
        }
        let field = &out[start..];
        let special = |byte: &u8| *byte == self.delimiter || *byte == self.quote || *byte == b'\n' || *byte == b'\r';
        let needed =
            self.quote_all || field.is_empty() || field == self.null || is_trap(field) || field.iter().any(special);
        if !needed {
            return;
        }
        let quotes = field.iter().filter(|byte| **byte == self.quote).count();
        // Shift the field right from its end, one place for each quote before it.
        let end = out.len();
        out.resize(end + quotes + 2, self.quote);
        let mut to = end + quotes;
        for from in (start..end).rev() {
            let byte = out[from];
            out[to] = byte;
            to -= 1;
            if byte == self.quote {
                out[to] = byte;
                to -= 1;
            }
        }
        out[start] = self.quote;
    }
}

/// Whether a reader takes the text for something else where it stands without quotes: a line `\.` ends PostgreSQL's COPY
/// before version 18, the word NULL is NULL to MySQL's LOAD DATA, and U+FEFF at a file's begin is a byte order mark.
fn is_trap(field: &[u8]) -> bool {
    matches!(field, b"\\." | b"NULL") || field.starts_with("\u{feff}".as_bytes())
}

fn ascii(key: &str, character: char) -> Result<u8> {
    match u8::try_from(character) {
        Ok(byte) if byte.is_ascii() && !matches!(byte, b'\r' | b'\n' | 0) => Ok(byte),
        _ => Err(Error::config(format!("csv.{key}: {character:?} is not one plain ASCII character"))),
    }
}

/// One part being written.
pub(super) struct CsvPart {
    out: Compressor,
    failure: Failure,
    text: Vec<u8>,
    rows: u64,
    size_bytes: u64,
    largest_chunk: u64,
    full: bool,
}

impl CsvPart {
    pub(super) fn new(format: &CsvFormat, file: PartFile) -> Result<Self> {
        let failure = file.failure();
        let mut text = Vec::with_capacity(2 * CHUNK_BYTES);
        if format.header {
            format.write_header(&mut text);
        }
        let out = Compressor::new(format.compression, file)?;
        Ok(Self { out, failure, text, rows: 0, size_bytes: 0, largest_chunk: 0, full: false })
    }

    /// Rows written.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of text not yet passed on.
    pub(super) fn memory_bytes(&self) -> u64 {
        u64::try_from(self.text.capacity()).unwrap_or(u64::MAX)
    }

    /// Writes the batch's rows from `start`. The first row that no longer fits into the part,
    /// if there is one.
    pub(super) fn write(&mut self, format: &CsvFormat, batch: &RecordBatch, start: usize) -> Result<Option<usize>> {
        let schema: &Schema = &format.schema;
        let columns = schema.fields().iter().zip(batch.columns());
        let columns = columns.map(|(field, array)| text::column(field, array)).collect::<Result<Vec<_>>>()?;
        for row in start..batch.num_rows() {
            if self.full {
                return Ok(Some(row));
            }
            let before = self.text.len();
            format.write_row(&columns, row, &mut self.text);
            if self.is_too_much(format) {
                self.text.truncate(before);
                return Ok(Some(row));
            }
            self.rows += 1;
            if self.text.len() >= format.chunk_bytes {
                self.pass_on(format)?;
            }
        }
        Ok(None)
    }

    /// Uncompressed, the size is known to the byte; at least one row goes into each part.
    fn is_too_much(&self, format: &CsvFormat) -> bool {
        let text = u64::try_from(self.text.len()).unwrap_or(u64::MAX);
        self.rows > 0
            && format.compression.codec == Codec::None
            && format.max_file_size_bytes.is_some_and(|most| self.size_bytes + text > most)
    }

    fn pass_on(&mut self, format: &CsvFormat) -> Result<()> {
        self.out.write_all(&self.text).map_err(|error| self.failure.or(|| broken(&error)))?;
        self.text.clear();
        let size_bytes = self.out.file().size_bytes();
        self.largest_chunk = self.largest_chunk.max(size_bytes - self.size_bytes);
        self.size_bytes = size_bytes;
        self.full = format.compression.codec != Codec::None
            && format.max_file_size_bytes.is_some_and(|most| size_bytes + 2 * self.largest_chunk > most);
        Ok(())
    }

    /// Ends the file.
    pub(super) fn finish(mut self, format: &CsvFormat) -> Result<Finished> {
        self.pass_on(format)?;
        let failure = self.failure.clone();
        self.out.finish().map_err(|error| failure.or(|| broken(&error)))?.finish()
    }
}

fn broken(error: &io::Error) -> Error {
    Error::internal(format!("CSV encoder: {error}"))
}

/// The part's file behind its codec.
enum Compressor {
    None(PartFile),
    Gzip(Box<GzEncoder<PartFile>>),
    Zstd(Box<zstd::Encoder<'static, PartFile>>),
}

impl Compressor {
    fn new(compression: Compression, file: PartFile) -> Result<Self> {
        let invalid = |error: io::Error| Error::config(format!("compression_level: {error}"));
        Ok(match compression.codec {
            Codec::Gzip => {
                let level = u32::try_from(compression.level.unwrap_or(6)).unwrap_or(u32::MAX);
                if level > 9 {
                    return Err(Error::config("compression_level: gzip has levels 0 to 9"));
                }
                // No time stamp: the same rows give the same bytes.
                Self::Gzip(Box::new(GzBuilder::new().mtime(0).write(file, flate2::Compression::new(level))))
            }
            Codec::Zstd => {
                let mut encoder = zstd::Encoder::new(file, compression.level.unwrap_or(3)).map_err(invalid)?;
                encoder.include_checksum(true).map_err(invalid)?;
                Self::Zstd(Box::new(encoder))
            }
            _ => Self::None(file),
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::None(file) => file.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    fn file(&self) -> &PartFile {
        match self {
            Self::None(file) => file,
            Self::Gzip(encoder) => encoder.get_ref(),
            Self::Zstd(encoder) => encoder.get_ref(),
        }
    }

    fn finish(self) -> io::Result<PartFile> {
        match self {
            Self::None(file) => Ok(file),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}
