//! The schema, the row count and the first rows of Parquet files, folder by folder.

use std::{
    error::Error,
    fs::{self, File},
    path::{Path, PathBuf},
};

use parquet::file::reader::{FileReader, SerializedFileReader};

const ROWS: usize = 5;
const WIDTH: usize = 24;

/// Prints a file, or a folder's files as one table, then the folders below it.
pub fn show(path: &Path) -> Result<(), Box<dyn Error>> {
    if path.is_file() {
        return table(path, &[path.to_owned()]);
    }
    let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    entries.sort();
    let parquet: Vec<PathBuf> = entries
        .iter()
        .filter(|entry| entry.extension().is_some_and(|extension| extension == "parquet"))
        .cloned()
        .collect();
    if !parquet.is_empty() {
        table(path, &parquet)?;
    }
    for folder in entries.iter().filter(|entry| entry.is_dir() && !is_hidden(entry)) {
        show(folder)?;
    }
    Ok(())
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(['_', '.']))
}

fn table(path: &Path, files: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let (mut rows, mut bytes) = (0, 0);
    for file in files {
        rows += SerializedFileReader::new(File::open(file)?)?.metadata().file_metadata().num_rows();
        bytes += fs::metadata(file)?.len();
    }
    println!("\n{}: {rows} rows in {} files, {} KiB", path.display(), files.len(), bytes / 1024);
    let Some(first) = files.first() else { return Ok(()) };
    let reader = SerializedFileReader::new(File::open(first)?)?;
    let schema = reader.metadata().file_metadata().schema_descr();
    for column in schema.columns() {
        let logical = column.logical_type_ref().map(|logical| format!(" {logical:?}")).unwrap_or_default();
        let null = if column.max_def_level() == 0 { "required" } else { "optional" };
        println!("  {:<14} {null} {}{logical}", column.path().string(), column.physical_type());
    }
    let mut lines =
        vec![schema.root_schema().get_fields().iter().map(|field| field.name().to_owned()).collect::<Vec<_>>()];
    for row in reader.get_row_iter(None)?.take(ROWS) {
        lines.push(row?.get_column_iter().map(|(_, value)| short(&value.to_string())).collect());
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("  {}", cells.join("  ").trim_end());
    }
    Ok(())
}

fn short(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}
