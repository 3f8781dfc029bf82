//! "Did you mean": the nearest of some names.

/// The name closest to `wanted`, if any is close; upper and lower case are one.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let limit = wanted.chars().count() / 3 + 1;
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wanted, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_name_and_nonsense_finds_none() {
        let names = ["l_orderkey", "l_partkey", "l_comment"];
        assert_eq!(nearest("l_ordrekey", names), Some("l_orderkey"));
        assert_eq!(nearest("L_COMMENT", names), Some("l_comment"));
        assert_eq!(nearest("zzz", names), None);
    }
}
