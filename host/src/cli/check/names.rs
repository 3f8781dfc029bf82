//! Columns' names that a reader refuses, or does not tell apart.

use super::super::arguments::Warehouse;

/// BigQuery keeps these for columns of its own.
const BIGQUERY_PREFIXES: [&str; 6] =
    ["_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER"];
/// The longest name of a column, in characters.
const BIGQUERY_LONGEST: usize = 300;
const SNOWFLAKE_LONGEST: usize = 255;

/// What to know of the column `name` among `all` when `target` reads it; None where there is nothing.
pub fn note(target: Option<Warehouse>, name: &str, all: &[String]) -> Option<String> {
    let refused = match target {
        Some(Warehouse::BigQuery) => bigquery(name),
        Some(Warehouse::Snowflake) if name.chars().count() > SNOWFLAKE_LONGEST => {
            Some(format!("Snowflake's names end at {SNOWFLAKE_LONGEST} characters"))
        }
        _ => None,
    };
    let notes =
        [refused.map(|why| format!("{why}; give it another name: `rename`")), not_told_apart(target, name, all)];
    let notes: Vec<String> = notes.into_iter().flatten().collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

fn bigquery(name: &str) -> Option<String> {
    let reserved = |prefix: &str| name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
    if let Some(prefix) = BIGQUERY_PREFIXES.iter().find(|prefix| reserved(prefix)) {
        return Some(format!("BigQuery keeps names that begin with `{prefix}` for itself"));
    }
    if name.chars().count() > BIGQUERY_LONGEST {
        return Some(format!("BigQuery's names end at {BIGQUERY_LONGEST} characters"));
    }
    let mut wrong: Vec<char> = name.chars().filter(|c| !may_be_flexible(*c)).collect();
    wrong.sort_unstable();
    wrong.dedup();
    let wrong: Vec<String> = wrong.into_iter().map(|c| format!("`{c}`")).collect();
    (!wrong.is_empty()).then(|| format!("BigQuery refuses {} in a column's name", wrong.join(", ")))
}

/// Letters and digits of any language, marks, dashes and some signs, as BigQuery's flexible column names have them.
fn may_be_flexible(c: char) -> bool {
    let marks_and_dashes = ['\u{300}'..='\u{36f}', '\u{2010}'..='\u{2015}'];
    c.is_alphanumeric()
        || c == ' '
        || "_-&%=+:'<>#|".contains(c)
        || marks_and_dashes.iter().any(|range| range.contains(&c))
}

/// Names that differ in case alone are one name to many readers.
fn not_told_apart(target: Option<Warehouse>, name: &str, all: &[String]) -> Option<String> {
    let lower = name.to_lowercase();
    let twin = all.iter().find(|other| *other != name && other.to_lowercase() == lower)?;
    let what = match target {
        Some(Warehouse::ClickHouse) => return None,
        Some(Warehouse::BigQuery) => "to BigQuery it is a duplicate, which it refuses",
        Some(Warehouse::Snowflake) => "Snowflake tells them apart only where both are quoted",
        Some(Warehouse::DuckDb) => "DuckDB gives the later one another name",
        None => "many readers do not tell them apart",
    };
    Some(format!("`{twin}` differs from it in case alone: {what}; give one another name: `rename`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(target: Option<Warehouse>, name: &str, all: &[&str]) -> String {
        let all: Vec<String> = all.iter().map(|&name| name.to_owned()).collect();
        note(target, name, &all).unwrap_or_default()
    }

    #[test]
    fn bigquery_refuses_names_by_their_signs_and_beginnings() {
        let bigquery = |name: &str| said(Some(Warehouse::BigQuery), name, &[name]);
        assert_eq!(bigquery("a.b"), "BigQuery refuses `.` in a column's name; give it another name: `rename`");
        assert!(bigquery("Unit Price (€)").contains("`(`, `)`, `€`"));
        assert!(bigquery("_partitionTIME").contains("`_PARTITION`"));
        assert!(bigquery(&"n".repeat(301)).contains("300 characters"));
        for name in ["id", "größe", "e\u{301}", "two words", "50%", "a-b"] {
            assert_eq!(bigquery(name), "", "{name}");
        }
        assert_eq!(said(Some(Warehouse::DuckDb), "a.b", &["a.b"]), "");
    }

    #[test]
    fn names_that_differ_in_case_alone_are_told() {
        for (target, says) in [
            (None, "many readers"),
            (Some(Warehouse::BigQuery), "refuses"),
            (Some(Warehouse::Snowflake), "quoted"),
            (Some(Warehouse::DuckDb), "another name"),
        ] {
            for (name, twin) in [("id", "ID"), ("Ö", "ö")] {
                let text = said(target, name, &[name, "other", twin]);
                assert!(text.contains(says) && text.contains(&format!("`{twin}`")), "{text}");
            }
            assert_eq!(said(target, "other", &["id", "ID", "other"]), "");
        }
        assert_eq!(said(Some(Warehouse::ClickHouse), "id", &["id", "ID"]), "");
    }
}
