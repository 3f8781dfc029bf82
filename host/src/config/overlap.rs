//! Tables whose rows another one shows as well: partitions and what they are parts of, parents and their children.

use std::collections::{HashMap, HashSet};

use rivet_sdk::{TableName, TableSummary};

/// A table that a pattern matches and whose rows another export delivers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    pub table: TableName,
    /// The one that shows its rows, and is exported.
    pub within: TableName,
}

/// The tables chosen, and which of them are only parts of others.
pub struct Overlap<'a> {
    within: HashMap<&'a TableName, &'a [TableName]>,
    chosen: HashSet<&'a TableName>,
    named: HashSet<&'a TableName>,
}

impl<'a> Overlap<'a> {
    /// Of the tables `chosen` among those `listed`; what is `named` in full is the user's word.
    pub fn new(listed: &'a [TableSummary], chosen: &[&'a TableName], named: &[&'a TableName]) -> Self {
        Self {
            within: listed.iter().map(|table| (&table.table, table.within.as_slice())).collect(),
            chosen: chosen.iter().copied().collect(),
            named: named.iter().copied().collect(),
        }
    }

    /// Takes the parts out of `tables`, and gives them with what they are parts of.
    pub fn take_out(&self, tables: &mut Vec<&'a TableName>) -> Vec<LeftOut> {
        let mut left_out = Vec::new();
        tables.retain(|table| match self.shown_by(table) {
            Some(within) => {
                left_out.push(LeftOut { table: (*table).clone(), within: within.clone() });
                false
            }
            None => true,
        });
        left_out.sort();
        left_out
    }

    /// The table that shows the rows of `table` and is exported itself; None where nothing does, and for what the user
    /// has named.
    fn shown_by(&self, table: &TableName) -> Option<&'a TableName> {
        if self.named.contains(table) {
            return None;
        }
        // A chosen one that is part of another chosen one is left out itself: it delivers nothing.
        let delivers = |outer: &&TableName| {
            self.chosen.contains(outer)
                && (self.named.contains(outer)
                    || !self.outer(outer).iter().any(|further| self.chosen.contains(further)))
        };
        self.outer(table).into_iter().find(delivers)
    }

    /// All tables that `table` lies within.
    fn outer(&self, table: &TableName) -> Vec<&'a TableName> {
        let mut found: Vec<&'a TableName> = Vec::new();
        let mut next: Vec<&'a TableName> = self.within.get(table).copied().unwrap_or_default().iter().collect();
        while let Some(outer) = next.pop() {
            if outer != table && !found.contains(&outer) {
                found.push(outer);
                next.extend(self.within.get(outer).copied().unwrap_or_default());
            }
        }
        found.sort();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> TableName {
        TableName::unqualified(text)
    }

    fn listed(tables: &[(&str, &[&str])]) -> Vec<TableSummary> {
        let summary = |(table, within): &(&str, &[&str])| {
            TableSummary::new(name(table), "table").with_within(within.iter().map(|outer| name(outer)).collect())
        };
        tables.iter().map(summary).collect()
    }

    fn left(tables: &[(&str, &[&str])], chosen: &[&str], named: &[&str]) -> Vec<(String, String)> {
        let listed = listed(tables);
        let of = |names: &[&str]| -> Vec<TableName> { names.iter().map(|text| name(text)).collect() };
        let (chosen, named) = (of(chosen), of(named));
        let mut tables: Vec<&TableName> = chosen.iter().collect();
        let named: Vec<&TableName> = named.iter().collect();
        let left_out = Overlap::new(&listed, &tables.clone(), &named).take_out(&mut tables);
        assert_eq!(left_out.len() + tables.len(), chosen.len());
        left_out.into_iter().map(|one| (one.table.name, one.within.name)).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
    }

    #[test]
    fn a_part_is_left_out_where_a_whole_is_exported() {
        let tables: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"]), ("c", &["b"]), ("d", &[])];
        assert_eq!(left(tables, &["a", "b", "c", "d"], &[]), pairs(&[("b", "a"), ("c", "a")]));
        // The one between is in no export: its parts are still the whole's.
        assert_eq!(left(tables, &["a", "c"], &[]), pairs(&[("c", "a")]));
        assert_eq!(left(tables, &["b", "c"], &[]), pairs(&[("c", "b")]));
        assert_eq!(left(tables, &["c", "d"], &[]), []);
    }

    #[test]
    fn what_is_named_stays_and_holds_its_parts() {
        let tables: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"]), ("c", &["b", "a"])];
        assert_eq!(left(tables, &["a", "b", "c"], &["a", "b", "c"]), []);
        assert_eq!(left(tables, &["a", "b", "c"], &["b"]), pairs(&[("c", "a")]));
    }

    #[test]
    fn a_circle_takes_no_table_out() {
        let tables: &[(&str, &[&str])] = &[("a", &["b"]), ("b", &["a"]), ("c", &["c"])];
        assert_eq!(left(tables, &["a", "b", "c"], &[]), []);
    }
}
