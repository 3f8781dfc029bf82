//! From a plan's settings to the Parquet writer's properties.

use std::collections::BTreeSet;

use arrow_schema::SchemaRef;
use parquet::arrow::add_encoded_arrow_schema_to_metadata;
use parquet::basic::{Compression as ParquetCompression, GzipLevel, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::{ColumnPath, SchemaDescriptor};
use rivet_sdk::{Error, Result};

use super::dictionary::{Choice, DICTIONARY_BYTES};
use crate::plan::{Codec, Compression, ParquetSpec, Statistics};

/// Rows given to a column writer at once.
pub(super) const CELL_ROWS: usize = 4096;
/// Rows of a page at most: readers skip by page.
const PAGE_ROWS: usize = 1 << 15;

/// How the parts of a chunk are written.
pub(super) struct Settings {
    schema: SchemaRef,
    compression: ParquetCompression,
    page_size_bytes: usize,
    statistics: Statistics,
    bloom_filters: BTreeSet<String>,
    sorting: Vec<SortingColumn>,
    /// What the user forces, if anything.
    pub(super) dictionary: Option<bool>,
    /// The target of a row group.
    pub(super) group_bytes: u64,
}

impl Settings {
    pub(super) fn new(
        schema: &SchemaRef,
        parquet_schema: &SchemaDescriptor,
        spec: &ParquetSpec,
        compression: Compression,
        group_bytes: u64,
    ) -> Result<Self> {
        for name in &spec.bloom_filters {
            schema.index_of(name).map_err(|_| no_column("bloom_filters", name))?;
        }
        let sorting = spec.sorting.iter().map(|name| sorting_column(parquet_schema, name)).collect::<Result<_>>()?;
        Ok(Self {
            schema: schema.clone(),
            compression: codec(compression)?,
            page_size_bytes: spec.page_size_bytes.max(1),
            statistics: spec.statistics,
            bloom_filters: spec.bloom_filters.iter().cloned().collect(),
            sorting,
            dictionary: spec.dictionary,
            group_bytes,
        })
    }

    /// The properties of the file itself.
    pub(super) fn file_properties(&self) -> WriterProperties {
        let mut properties = self.builder();
        if !self.sorting.is_empty() {
            properties = properties.set_sorting_columns(Some(self.sorting.clone()));
        }
        let mut properties = properties.build();
        // The only place Parquet has for field metadata, and what pyarrow restores types from.
        add_encoded_arrow_schema_to_metadata(&self.schema, &mut properties);
        properties
    }

    /// The properties of one top-level column's leaves, with statistics where they are wanted at all
    /// and `statistics` holds.
    pub(super) fn column_properties(
        &self,
        name: &str,
        leaves: impl Iterator<Item = (ColumnPath, Choice)>,
        statistics: bool,
    ) -> WriterProperties {
        let mut properties = self.builder();
        if !statistics {
            properties = properties.set_statistics_enabled(EnabledStatistics::None);
        }
        if self.bloom_filters.contains(name) {
            properties = properties.set_bloom_filter_enabled(true);
        }
        for (path, choice) in leaves {
            properties = properties.set_column_dictionary_enabled(path.clone(), choice.dictionary);
            if let Some(encoding) = choice.encoding {
                properties = properties.set_column_encoding(path, encoding);
            }
        }
        properties.build()
    }

    fn builder(&self) -> WriterPropertiesBuilder {
        let statistics = match self.statistics {
            Statistics::None => EnabledStatistics::None,
            Statistics::Chunk => EnabledStatistics::Chunk,
            Statistics::Page => EnabledStatistics::Page,
        };
        WriterProperties::builder()
            .set_created_by(concat!("rivet version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(self.compression)
            .set_coerce_types(true)
            .set_data_page_size_limit(self.page_size_bytes)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_dictionary_page_size_limit(DICTIONARY_BYTES)
            .set_write_batch_size(CELL_ROWS)
            .set_statistics_enabled(statistics)
            .set_offset_index_disabled(self.statistics != Statistics::Page)
    }
}

fn codec(compression: Compression) -> Result<ParquetCompression> {
    let invalid = |error: parquet::errors::ParquetError| Error::config(format!("compression_level: {error}"));
    Ok(match compression.codec {
        Codec::None => ParquetCompression::UNCOMPRESSED,
        Codec::Snappy => ParquetCompression::SNAPPY,
        Codec::Lz4 => ParquetCompression::LZ4_RAW,
        Codec::Gzip => {
            let level = u32::try_from(compression.level.unwrap_or(6)).unwrap_or(u32::MAX);
            ParquetCompression::GZIP(GzipLevel::try_new(level).map_err(invalid)?)
        }
        Codec::Zstd => ParquetCompression::ZSTD(ZstdLevel::try_new(compression.level.unwrap_or(3)).map_err(invalid)?),
    })
}

fn sorting_column(parquet_schema: &SchemaDescriptor, name: &str) -> Result<SortingColumn> {
    let leaf = parquet_schema.columns().iter().position(|column| column.path().parts() == [name.to_owned()]);
    let leaf = leaf.and_then(|leaf| i32::try_from(leaf).ok()).ok_or_else(|| no_column("sorting", name))?;
    Ok(SortingColumn { column_idx: leaf, descending: false, nulls_first: false })
}

fn no_column(key: &str, name: &str) -> Error {
    Error::config(format!("parquet.{key}: there is no plain output column `{name}`"))
}
