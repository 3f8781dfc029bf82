//! Links in the docs lead somewhere: to a file that is there, to a heading that it has, to a name that it defines.

use std::fs;
use std::path::{Path, PathBuf};

struct Link {
    page: PathBuf,
    text: String,
    target: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn pages() -> Vec<PathBuf> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let root = root();
    let mut found = vec![root.join("README.md"), root.join("CHANGELOG.md")];
    collect(&root.join("docs"), &mut found);
    collect(&root.join("plugins"), &mut found);
    found.push(root.join("tests/bench/README.md"));
    found
}

/// The page's inline links to files of this repository.
fn links(page: &Path) -> Vec<Link> {
    let text = fs::read_to_string(page).unwrap();
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if fenced {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let Some((target, _)) = line[at + 2..].split_once(')') else { continue };
            let text = line[..at].rsplit_once('[').map_or("", |(_, text)| text);
            if !target.contains("://") && !target.starts_with("mailto:") {
                let (text, target) = (text.to_owned(), target.to_owned());
                found.push(Link { page: page.to_owned(), text, target });
            }
        }
    }
    found
}

/// As GitHub makes a heading's anchor.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// What is wrong with a link.
fn fault(link: &Link) -> Option<String> {
    let (file, anchor) = link.target.split_once('#').unwrap_or((&link.target, ""));
    let path = match file {
        "" => link.page.clone(),
        file => link.page.parent().unwrap().join(file),
    };
    if !path.exists() {
        return Some("leads nowhere".to_owned());
    }
    if path.is_dir() {
        return None;
    }
    let Ok(text) = fs::read_to_string(&path) else { return Some("is no text".to_owned()) };
    let rust = path.extension().is_some_and(|extension| extension == "rs");
    if !rust && !anchor.is_empty() && !anchors(&text).iter().any(|known| known == anchor) {
        return Some(format!("has no heading `{anchor}`"));
    }
    // `RunKey::part` is looked for where it is defined: a name that has moved leads astray.
    let name = link.text.strip_prefix('`').and_then(|text| text.strip_suffix('`')).filter(|_| rust)?;
    let module = if path.ends_with("mod.rs") { path.parent()?.file_name() } else { path.file_stem() };
    // A path, a crate, or the file's own module.
    if name.contains(['/', '-']) || name.ends_with(".rs") || module.is_some_and(|module| module == name) {
        return None;
    }
    let undefined = name.split("::").map(|part| part.trim_end_matches("()")).find(|part| !defines(&text, part));
    undefined.map(|part| format!("does not define `{part}`"))
}

/// Whether a Rust file defines an item, a method, a field or a variant of this name.
fn defines(text: &str, name: &str) -> bool {
    let items = ["fn", "struct", "enum", "trait", "type", "const", "static", "mod", "impl", "for"];
    text.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| {
        let words: Vec<&str> = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        let item = words.windows(2).any(|pair| items.contains(&pair[0]) && pair[1] == name);
        let member = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        let member =
            member.strip_prefix(name).is_some_and(|rest| rest.starts_with([':', ',', '(', ' ']) || rest.is_empty());
        item || member
    })
}

#[test]
fn every_link_of_the_docs_leads_somewhere() {
    let links: Vec<Link> = pages().iter().flat_map(|page| links(page)).collect();
    assert!(links.len() > 100, "only {} links were found", links.len());
    let faults: Vec<String> = links
        .iter()
        .filter_map(|link| {
            let page = link.page.strip_prefix(root()).unwrap().display().to_string();
            Some(format!("{page}: [{}]({}) {}", link.text, link.target, fault(link)?))
        })
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_question_of_who_carries_on_has_an_answer_that_is_a_link_into_the_code() {
    let page = root().join("docs/contributing/questions.md");
    let text = fs::read_to_string(&page).unwrap();
    let questions: Vec<&str> = text.split("\n## ").skip(1).collect();
    assert!(questions.len() >= 10, "{}", questions.len());
    for question in questions {
        let into_code = question.contains(".rs)");
        assert!(into_code, "no link into the code: {}", question.lines().next().unwrap_or_default());
    }
}

#[test]
fn the_small_driver_is_as_small_as_its_page_says() {
    let driver = fs::read_to_string(root().join("docs/contributing/sql-driver/src/lib.rs")).unwrap();
    let code = driver.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    let count = code.count();
    assert!((200..400).contains(&count), "{count}");
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let link = |text: &str, target: &str| {
        let (page, text, target) = (root().join("docs/x.md"), text.to_owned(), target.to_owned());
        fault(&Link { page, text, target })
    };
    let keys = "../host/src/commit/keys.rs";
    assert_eq!(link("`RunKey::part`", keys), None);
    assert_eq!(link("`RunKey::elsewhere`", keys), Some("does not define `elsewhere`".to_owned()));
    assert_eq!(link("keys", "../host/src/keys.rs"), Some("leads nowhere".to_owned()));
    assert_eq!(link("two", "../README.md#two-commands"), None);
    assert_eq!(link("three", "../README.md#three-commands"), Some("has no heading `three-commands`".to_owned()));
}
