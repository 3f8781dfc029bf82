//! Plain tables for people: columns as wide as their widest cell, two spaces between them.

/// `header` and `rows` as lines, each after `indent`. The last column is not padded.
pub fn render<const N: usize>(indent: &str, header: [&str; N], rows: &[[String; N]]) -> String {
    let width_of = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(header.get(column).map(|cell| cell.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width_of).collect();
    let mut out = String::new();
    let header = header.map(str::to_uppercase);
    for row in std::iter::once(&header).chain(rows) {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(format!("{indent}{}", cells.join("  ")).trim_end());
        out.push('\n');
    }
    out
}

/// What stands where there is nothing.
pub fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

/// A moment without the fraction of its second.
pub fn second(time: &str) -> String {
    time.split_once('.').map_or_else(|| time.to_owned(), |(seconds, _)| format!("{seconds}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_characters() {
        let rows = [["é".to_owned(), "1".to_owned()], ["long".to_owned(), String::new()]];
        assert_eq!(render("  ", ["a", "b"], &rows), "  A     B\n  é     1\n  long\n");
        assert_eq!(or_dash(String::new()), "-");
    }
}
