//! No two drivers hold the same piece of program: what every SQL driver does stands in the SDK's kit.
//!
//! Compared are lines whose names and literals are blanked, so that a copy with other names is still one. Left out is
//! what has to be alike: imports and module lists, signatures and declarations, functions that only pass a call on, and
//! tables (constant lists, arms of a `match` that are one expression).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Drivers that speak SQL.
const DRIVERS: [&str; 4] = ["mssql", "mysql", "postgres", "sqlite"];
/// The longest run that two may share.
const LONGEST: usize = 10;

/// A line that counts: where it stands, and what is left of it without names.
struct Line {
    file: usize,
    number: usize,
    shape: String,
}

#[test]
fn no_two_drivers_share_a_piece_of_program() {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let mut files = Vec::new();
    let mut drivers = Vec::new();
    for driver in DRIVERS {
        let mut lines = Vec::new();
        for file in sources(&plugins.join(driver).join("src")) {
            let text = fs::read_to_string(&file).unwrap();
            lines.extend(read(&text, files.len()));
            files.push(file);
        }
        // The reading itself: none of the drivers is empty.
        assert!(lines.len() > 1000, "{driver}: {} lines", lines.len());
        drivers.push(lines);
    }
    let mut told = String::new();
    for (index, one) in drivers.iter().enumerate() {
        for other in &drivers[index + 1..] {
            for (left, right, length) in shared(one, other) {
                let place = |line: &Line| {
                    let file = files[line.file].strip_prefix(&plugins).unwrap().display().to_string();
                    format!("{file}:{}", line.number)
                };
                let (left, right) = (place(&one[left]), place(&other[right]));
                writeln!(told, "{length} lines: plugins/{left} ~ plugins/{right}").unwrap();
            }
        }
    }
    assert!(told.is_empty(), "two drivers say the same; its place is `sdk/plugin/src/sql`:\n{told}");
}

#[test]
fn a_copy_with_other_names_is_found() {
    // Each line has one bracket more than the last: none is like its neighbour.
    let body = |name: &str| {
        let line = |n: usize| format!("    let {name}{n} = {}{n}{};\n", "(".repeat(n), ")".repeat(n));
        let lines: Vec<String> = (0..12).map(line).collect();
        format!("use a::b;\n\n/// What it does.\nfn {name}() {{\n{}}}\n", lines.concat())
    };
    let (one, other) = (read(&body("left"), 0), read(&body("right"), 1));
    assert_eq!(shared(&one, &other).iter().map(|found| found.2).collect::<Vec<_>>(), [13]);
    let changed = body("right").replace("let right6 = ", "let mut right6 = ");
    assert!(shared(&one, &read(&changed, 1)).is_empty());
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The lines of a file that count.
fn read(text: &str, file: usize) -> Vec<Line> {
    // A module of tests is the last thing in its file.
    let program = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    let lines: Vec<&str> = program.lines().collect();
    let mut counted = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at].trim();
        if line.is_empty() || line.starts_with("//") {
            at += 1;
            continue;
        }
        let left_out = left_out(&lines[at..]);
        if left_out > 0 {
            at += left_out;
            continue;
        }
        counted.push(Line { file, number: at + 1, shape: shape(line) });
        at += 1;
    }
    counted
}

/// How many lines from here on are an import, a declaration, a function that passes a call on, or a row of a table.
fn left_out(lines: &[&str]) -> usize {
    let first = lines[0].trim();
    let until = |end: &dyn Fn(&str) -> bool| lines.iter().position(|line| end(line)).map_or(lines.len(), |at| at + 1);
    let item = first.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ").trim_start_matches("pub ");
    if item.starts_with("use ") || item.starts_with("mod ") {
        return until(&|line| line.trim_end().ends_with(';'));
    }
    if first.starts_with("#") || item.starts_with("impl") || item.starts_with("type ") {
        return 1;
    }
    let constant = item.starts_with("const ") && !item.starts_with("const fn ") || item.starts_with("static ");
    let list = first.ends_with('[') || first.contains("= [") || first.contains("= &[");
    let body = ["enum ", "struct ", "rivet_sdk::plugin!"].iter().any(|word| item.starts_with(word));
    if constant && list || body {
        let end = format!("{}{}", &lines[0][..indent(lines[0])], if constant { "]" } else { "}" });
        let ends = |line: &str| line.starts_with(&end) || line.ends_with(';') && (constant || line == lines[0]);
        return until(&ends);
    }
    let function = ["const fn ", "unsafe fn ", "fn "].iter().any(|word| item.starts_with(word));
    if function {
        let signature = until(&|line| line.trim_end().ends_with('{') || line.trim_end().ends_with(';'));
        // One line between the braces passes a call on.
        return match lines.get(signature + 1) {
            Some(end) if end.trim() == "}" && indent(end) == indent(lines[0]) => signature + 2,
            _ => signature,
        };
    }
    match lines {
        // An arm of one expression that is too long for one line.
        [arm, _, end, ..] if arm.ends_with(" => {") && end.trim() == "}" && indent(end) == indent(arm) => 3,
        [arm, ..] => usize::from(arm.contains(" => ") && arm.ends_with(',')),
        [] => 0,
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The line without its names, numbers and texts; keywords stay.
fn shape(line: &str) -> String {
    const KEYWORDS: [&str; 26] = [
        "as", "break", "const", "continue", "else", "enum", "false", "fn", "for", "if", "impl", "in", "let", "loop",
        "match", "move", "mut", "pub", "ref", "return", "self", "struct", "trait", "true", "where", "while",
    ];
    let mut shape = String::new();
    let mut rest = line.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '"' => {
                while let Some(inside) = rest.next() {
                    match inside {
                        '\\' => drop(rest.next()),
                        '"' => break,
                        _ => {}
                    }
                }
                shape.push('#');
            }
            _ if next.is_alphanumeric() || next == '_' => {
                let mut word = next.to_string();
                while let Some(more) = rest.next_if(|more| more.is_alphanumeric() || *more == '_') {
                    word.push(more);
                }
                match KEYWORDS.contains(&word.as_str()) {
                    true => shape.push_str(&word),
                    false if next.is_ascii_digit() => shape.push('#'),
                    false => shape.push('_'),
                }
            }
            '/' if rest.peek() == Some(&'/') => break,
            _ if next.is_whitespace() => {}
            _ => shape.push(next),
        }
    }
    shape
}

/// Runs longer than allowed that stand in both: their beginnings and length.
fn shared(one: &[Line], other: &[Line]) -> Vec<(usize, usize, usize)> {
    let mut at: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, line) in other.iter().enumerate() {
        at.entry(&line.shape).or_default().push(index);
    }
    let follows = |lines: &[Line], index: usize| index > 0 && lines[index - 1].file == lines[index].file;
    let mut found = Vec::new();
    for (left, line) in one.iter().enumerate() {
        for &right in at.get(line.shape.as_str()).into_iter().flatten() {
            let joined = |by: usize| {
                follows(one, left + by) && follows(other, right + by) && one[left + by].shape == other[right + by].shape
            };
            // Only where a run begins.
            if follows(one, left) && follows(other, right) && one[left - 1].shape == other[right - 1].shape {
                continue;
            }
            let most = (one.len() - left).min(other.len() - right);
            let length = (1..most).find(|by| !joined(*by)).unwrap_or(most);
            if length > LONGEST {
                found.push((left, right, length));
            }
        }
    }
    found
}
