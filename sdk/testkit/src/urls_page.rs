//! A page of a documentation: what becomes of each parameter of a URL, made from the tables that drivers read by.

use std::path::Path;

use rivet_sdk::parameters::Parameters;

/// Compares the section `name` of the page at `path` (from `<!-- name -->` to `<!-- /name -->`) with the table, or
/// writes it under `RIVET_BLESS`.
pub fn check_urls_page(path: impl AsRef<Path>, name: &str, parameters: &Parameters) {
    let path = path.as_ref();
    let page = std::fs::read_to_string(path).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (head, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("{} has no section {name}", path.display()));
    let (written, tail) = rest.split_once(&end).unwrap();
    let table = parameters.to_markdown();
    if std::env::var_os("RIVET_BLESS").is_some() {
        std::fs::write(path, format!("{head}{begin}{table}{end}{tail}")).unwrap();
    } else {
        assert_eq!(
            written,
            table,
            "{} is stale: RIVET_BLESS=1 cargo test --workspace --lib -- urls_page",
            path.display()
        );
    }
}
