//! No file of the host's core uses one that uses it in turn: each name is followed to the file that defines it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The folders and files of `host/src` that may have no circle.
const CORE: [&str; 7] = ["commit", "config", "plan", "planner", "run", "session", "sink"];

/// `crate::plan::ties` is `["plan", "ties"]`.
type Place = Vec<String>;

/// A file of the crate, which is a module.
#[derive(Default, Debug)]
struct Module {
    /// What it defines: functions, types, constants, modules written in it.
    defines: BTreeSet<String>,
    /// What it imports, by the name that it has here.
    imports: BTreeMap<String, Place>,
    /// Modules of which it imports everything.
    globs: Vec<Place>,
    /// Every path in its code, resolved no further than to the crate's root.
    uses: BTreeSet<Place>,
}

/// Tokens as texts, `::` in one piece; a group is its own list.
enum Token {
    Word(String),
    Sign(String),
    Group(Delimiter, Vec<Token>),
}

fn tokens(stream: TokenStream) -> Vec<Token> {
    let mut found = Vec::new();
    for tree in stream {
        match tree {
            TokenTree::Ident(ident) => found.push(Token::Word(ident.to_string())),
            TokenTree::Punct(sign) => match found.last_mut() {
                Some(Token::Sign(last)) if last == ":" && sign.as_char() == ':' => last.push(':'),
                _ => found.push(Token::Sign(sign.as_char().to_string())),
            },
            TokenTree::Group(group) => found.push(Token::Group(group.delimiter(), tokens(group.stream()))),
            TokenTree::Literal(literal) => found.push(Token::Sign(literal.to_string())),
        }
    }
    found
}

fn is_word(token: Option<&Token>, text: &str) -> bool {
    matches!(token, Some(Token::Word(word)) if word == text)
}

fn is_sign(token: Option<&Token>, text: &str) -> bool {
    matches!(token, Some(Token::Sign(sign)) if sign == text)
}

/// `crate`, `self` and `super` at a path's head taken away; None for a path into another crate.
fn absolute(path: &[String], here: &Place) -> Option<Place> {
    let mut base = match path.first()?.as_str() {
        "crate" => Place::new(),
        "self" => here.clone(),
        "super" => here[..here.len().checked_sub(1)?].to_vec(),
        _ => return None,
    };
    for segment in &path[1..] {
        match segment.as_str() {
            "super" => drop(base.pop()?),
            segment => base.push(segment.to_owned()),
        }
    }
    Some(base)
}

/// Reads the tree after `use`: each name here and the path it stands for, `*` for everything; and whether it was `self`.
fn use_tree(tree: &[Token], head: &[String], found: &mut Vec<(String, Vec<String>, bool)>) {
    let mut path = head.to_vec();
    let mut at = 0;
    while at < tree.len() {
        match &tree[at] {
            Token::Word(word) if word == "as" => {
                let Some(Token::Word(name)) = tree.get(at + 1) else { return };
                found.push((name.clone(), path, false));
                return;
            }
            Token::Word(word) => path.push(word.clone()),
            Token::Sign(sign) if sign == "*" => {
                found.push(("*".to_owned(), path, false));
                return;
            }
            Token::Group(_, inner) => {
                for one in inner.split(|token| is_sign(Some(token), ",")).filter(|one| !one.is_empty()) {
                    use_tree(one, &path, found);
                }
                return;
            }
            Token::Sign(_) => {}
        }
        at += 1;
    }
    let module_only = path.last().is_some_and(|last| last == "self") && path.len() > 1;
    if module_only {
        path.pop();
    }
    if let Some(name) = path.last().cloned() {
        found.push((name, path, module_only));
    }
}

impl Module {
    /// Reads a file's tokens; `top` outside of any braces, where definitions and re-exports stand.
    fn read(&mut self, list: &[Token], here: &Place, top: bool) {
        let mut at = 0;
        // Whether the item that comes is public, and how far.
        let mut public = false;
        while at < list.len() {
            // An attribute; what is for tests only is no part of the program.
            if is_sign(list.get(at), "#")
                && let Some(Token::Group(Delimiter::Bracket, inner)) = list.get(at + 1)
            {
                let for_tests =
                    matches!(inner.get(1), Some(Token::Group(_, inside)) if is_word(inside.first(), "test"));
                at += 2;
                if is_word(inner.first(), "cfg") && for_tests {
                    while at < list.len()
                        && !is_sign(list.get(at), ";")
                        && !matches!(list[at], Token::Group(Delimiter::Brace, _))
                    {
                        at += 1;
                    }
                    at += 1;
                }
                continue;
            }
            match &list[at] {
                Token::Word(word) if word == "pub" => {
                    public = true;
                    at += 1;
                    if matches!(list.get(at), Some(Token::Group(Delimiter::Parenthesis, _))) {
                        at += 1;
                    }
                    continue;
                }
                Token::Word(word) if word == "use" => {
                    let end = (at..list.len()).find(|end| is_sign(list.get(*end), ";")).unwrap_or(list.len());
                    let mut found = Vec::new();
                    use_tree(&list[at + 1..end], &[], &mut found);
                    for (name, path, module_only) in found {
                        // A module of this one's may be named without `self`.
                        let path = absolute(&path, here).unwrap_or_else(|| [vec!["?".to_owned()], path].concat());
                        if name == "*" {
                            self.globs.push(path);
                            continue;
                        }
                        // A module as such has nothing that could be used; `self` imports no more.
                        if !(module_only || public && top) {
                            self.uses.insert(path.clone());
                        }
                        self.imports.insert(name, path);
                    }
                    at = end;
                }
                Token::Word(word) if top && DEFINES.contains(&word.as_str()) => {
                    // A module with a file of its own is no definition of this one's.
                    if let Some(Token::Word(name)) = list.get(at + 1)
                        && !(word == "mod" && is_sign(list.get(at + 2), ";"))
                    {
                        self.defines.insert(name.clone());
                    }
                }
                Token::Word(_) => {
                    let mut path = Vec::new();
                    let mut end = at;
                    while let Some(Token::Word(word)) = list.get(end) {
                        path.push(word.clone());
                        end += 1;
                        if !is_sign(list.get(end), "::") || !matches!(list.get(end + 1), Some(Token::Word(_))) {
                            break;
                        }
                        end += 1;
                    }
                    if path.len() > 1 {
                        self.uses
                            .insert(absolute(&path, here).unwrap_or_else(|| [vec!["?".to_owned()], path].concat()));
                    }
                    at = end.max(at + 1);
                    public = false;
                    continue;
                }
                Token::Group(_, inner) => self.read(inner, here, false),
                Token::Sign(_) => {}
            }
            public = false;
            at += 1;
        }
    }
}

const DEFINES: [&str; 9] = ["const", "enum", "fn", "mod", "static", "struct", "trait", "type", "union"];

struct Crate {
    modules: BTreeMap<Place, Module>,
}

impl Crate {
    fn read(root: &Path) -> Self {
        let mut modules = BTreeMap::new();
        for path in files(root) {
            let inside = path.strip_prefix(root).unwrap().with_extension("");
            let mut place: Place = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            if place.iter().any(|part| part == "tests" || part.ends_with("_tests")) || place == ["main"] {
                continue;
            }
            if place.last().is_some_and(|last| last == "mod" || last == "lib") {
                place.pop();
            }
            let text = fs::read_to_string(&path).unwrap();
            let stream: TokenStream = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let mut module = Module::default();
            module.read(&tokens(stream), &place, true);
            modules.insert(place, module);
        }
        Self { modules }
    }

    /// The module whose file defines what a path names; None outside of the crate, or for a module as such.
    fn home(&self, path: &[String], from: &Place, depth: u32) -> Option<Place> {
        assert!(depth < 30, "{path:?}");
        // The head is a name that the file itself imports, or a module of its own.
        if path[0] == "?" {
            let (head, rest) = (&path[1], &path[2..]);
            let child = [from.as_slice(), std::slice::from_ref(head)].concat();
            let base = match self.modules[from].imports.get(head) {
                _ if !rest.is_empty() && self.modules.contains_key(&child) => &child,
                Some(known) if known != path => known,
                _ => return None,
            };
            return self.home(&[base.as_slice(), rest].concat(), from, depth + 1);
        }
        let mut at = Place::new();
        for (index, segment) in path.iter().enumerate() {
            let child = [at.as_slice(), std::slice::from_ref(segment)].concat();
            let module = &self.modules[&at];
            // A function may bear the name of its module; the path to a module as such ends nowhere.
            let last = index + 1 == path.len();
            let other = module.defines.contains(segment) || module.imports.contains_key(segment);
            if self.modules.contains_key(&child) && !(last && other) {
                at = child;
                continue;
            }
            if module.defines.contains(segment) {
                return Some(at);
            }
            if let Some(known) = module.imports.get(segment) {
                return self.home(&[known.as_slice(), &path[index + 1..]].concat(), &at, depth + 1);
            }
            return module
                .globs
                .iter()
                .find_map(|glob| self.home(&[glob.as_slice(), &path[index..]].concat(), &at, depth + 1));
        }
        None
    }

    /// Which file uses which.
    fn all_edges(&self) -> BTreeMap<Place, BTreeSet<Place>> {
        let uses = |from: &Place, module: &Module| {
            module.uses.iter().filter_map(|path| self.home(path, from, 0)).filter(|to| to != from).collect()
        };
        self.modules.iter().map(|(from, module)| (from.clone(), uses(from, module))).collect()
    }

    /// Which file of the core uses which.
    fn edges(&self) -> BTreeMap<Place, BTreeSet<Place>> {
        let core = |place: &Place| CORE.contains(&folder(place));
        let mut edges = self.all_edges();
        edges.retain(|from, to| {
            to.retain(&core);
            core(from)
        });
        edges
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The module of the crate that a file belongs to; empty for the crate's root.
fn folder(place: &Place) -> &str {
    place.first().map_or("", String::as_str)
}

/// Every file that each file reaches.
fn reached(edges: &BTreeMap<Place, BTreeSet<Place>>) -> BTreeMap<&Place, BTreeSet<&Place>> {
    edges
        .keys()
        .map(|from| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
            while let Some(at) = next.pop() {
                next.extend(edges[at].iter().filter(|to| seen.insert(*to)));
            }
            (from, seen)
        })
        .collect()
}

/// Groups of files each of which reaches all others of its group.
fn circles(edges: &BTreeMap<Place, BTreeSet<Place>>) -> Vec<Vec<String>> {
    let reached = reached(edges);
    let mut groups: BTreeSet<Vec<String>> = BTreeSet::new();
    for (from, to) in &reached {
        let group: Vec<String> =
            to.iter().filter(|to| reached[**to].contains(from)).map(|place| place.join("/")).collect();
        if group.len() > 1 {
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

#[test]
fn no_file_of_the_core_uses_one_that_uses_it() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src");
    let edges = Crate::read(&host).edges();
    // The reading itself: what everybody can see in the code.
    let uses = |from: &str, to: &str| {
        let place = |text: &str| text.split('/').map(str::to_owned).collect::<Place>();
        edges[&place(from)].contains(&place(to))
    };
    assert!(uses("commit/chain", "commit/runs") && uses("commit/chain", "commit/removal"));
    assert!(!uses("commit/runs", "commit/chain"));
    let circles = circles(&edges);
    if !circles.is_empty() {
        for group in &circles {
            for from in group {
                let place: Place = from.split('/').map(str::to_owned).collect();
                let to: Vec<String> =
                    edges[&place].iter().map(|to| to.join("/")).filter(|to| group.contains(to)).collect();
                eprintln!("{from} -> {}", to.join(", "));
            }
            eprintln!();
        }
    }
    assert_eq!(circles, Vec::<Vec<String>>::new());
}

/// A plan is applied where there is no configuration: nothing that it holds is of the configuration's types.
#[test]
fn a_sealed_plan_depends_on_no_configuration() {
    let edges = Crate::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src")).edges();
    let used = |from: &str| -> BTreeSet<&str> {
        edges.iter().filter(|(place, _)| folder(place) == from).flat_map(|(_, to)| to.iter().map(folder)).collect()
    };
    assert_eq!(used("plan"), ["plan"].into());
    // The reading itself: who makes plans uses both.
    assert!(used("planner").is_superset(&["config", "plan"].into()), "{:?}", used("planner"));
}

#[test]
fn a_module_uses_those_that_are_declared_above_it() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src");
    let root = fs::read_to_string(host.join("lib.rs")).unwrap();
    let declared =
        |line: &str| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned);
    let order: Vec<String> = root.lines().filter_map(declared).collect();
    let position = |module: &str| order.iter().position(|known| known == module).unwrap_or_else(|| panic!("{module}"));
    let (mut followed, mut wrong) = (0, BTreeSet::new());
    for (from, uses) in Crate::read(&host).all_edges() {
        for to in uses.iter().filter(|to| !to.is_empty() && folder(to) != folder(&from)) {
            let (user, used) = (folder(&from), folder(to));
            followed += 1;
            if position(used) > position(user) {
                wrong.insert(format!("{} uses {}", from.join("/"), to.join("/")));
            }
        }
    }
    assert_eq!(wrong, BTreeSet::new());
    assert!(followed > 100, "{followed} names were followed");
}

/// A crate of three files in which a circle passes through a re-export.
#[test]
fn a_circle_through_a_re_export_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        fs::create_dir_all(folder.path().join(path).parent().unwrap()).unwrap();
        fs::write(folder.path().join(path), text).unwrap();
    };
    write("lib.rs", "pub mod plan; pub mod run; #[cfg(test)] mod tests { use crate::run::begin; }");
    write("plan/mod.rs", "mod seal; pub use seal::seal; pub struct Plan;");
    write("plan/seal.rs", "use crate::run; pub fn seal() { run::begin() }");
    write("run.rs", "use crate::plan::{Plan, self}; pub fn begin() { let _ = plan::seal; }");
    let edges = Crate::read(folder.path()).edges();
    assert_eq!(circles(&edges), [["plan/seal", "run"]]);
}
