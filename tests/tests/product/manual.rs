//! Manual pages and completion scripts, read by those who show them: `mandoc`, and the shells.

use std::{collections::BTreeSet, fs, process};

use rivet_tests::rivet;

/// The commands that `docs/reference/cli.md` lists: `plugin verify`.
fn listed() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/cli.md");
    let page = fs::read_to_string(path).unwrap();
    let names = page.lines().filter_map(|line| line.strip_prefix("| [`")?.split_once('`'));
    names.map(|(name, _)| name.to_owned()).collect()
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = process::Command::new(program).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {stdout}{stderr}");
    assert_eq!(stderr, "", "{program} {arguments:?}");
    stdout
}

#[test]
fn every_command_has_a_page_that_is_well_formed() {
    let project = rivet::project();
    let folder = project.path("man");
    rivet::Command::new().arg("man").arg(&folder).ok();
    let written: BTreeSet<String> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let groups = ["", "-plugin", "-state", "-schema"].map(|group| format!("rivet{group}.1"));
    let commands = listed().into_iter().map(|name| format!("rivet-{}.1", name.replace(' ', "-")));
    assert_eq!(written, commands.chain(groups).collect());
    for name in &written {
        let path = folder.join(name);
        let path = path.to_str().unwrap();
        // A page is of no day, so that the same sources make the same page.
        let lint = process::Command::new("mandoc").args(["-Tlint", "-Wwarning", path]).output().unwrap();
        let lint = String::from_utf8(lint.stdout).unwrap();
        let faults: Vec<&str> = lint.lines().filter(|line| !line.contains(" date, using ")).collect();
        assert!(faults.is_empty(), "{faults:#?}");
        let shown = run("mandoc", &["-Tascii", "-O", "width=200", path]);
        let shown = without_overstrikes(&shown);
        for heading in ["NAME", "SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"] {
            assert!(shown.lines().any(|line| line == heading), "{name}: no {heading}\n{shown}");
        }
    }
    let shown = without_overstrikes(&run("mandoc", &["-Tascii", folder.join("rivet-run.1").to_str().unwrap()]));
    for word in ["-c, --config FILE", "--parallel-exports[=N]", "--locked", "NO_COLOR", "130", "rivet(1)"] {
        assert!(shown.contains(word), "no {word}\n{shown}");
    }
}

/// Bold and underlined letters are written over each other.
fn without_overstrikes(text: &str) -> String {
    let mut plain: Vec<char> = Vec::new();
    for letter in text.chars() {
        if letter == '\u{8}' {
            plain.pop();
        } else {
            plain.push(letter);
        }
    }
    plain.into_iter().collect()
}

#[test]
fn each_shell_reads_its_completions() {
    let project = rivet::project();
    for shell in ["bash", "zsh", "fish"] {
        let script = rivet::Command::new().args(["completions", shell]).ok().stdout;
        let script = project.write(&format!("rivet.{shell}"), script);
        run(shell, &["-n", script.to_str().unwrap()]);
    }
    let complete =
        "source \"$1\"; COMP_WORDS=(rivet plugin ver); COMP_CWORD=2; _rivet rivet ver plugin; echo \"${COMPREPLY[@]}\"";
    let script = project.path("rivet.bash");
    assert_eq!(run("bash", &["-c", complete, "bash", script.to_str().unwrap()]).trim(), "verify");
    let complete = format!("source {}; complete -C 'rivet plugin ver'", project.path("rivet.fish").display());
    let offered = run("fish", &["--no-config", "-c", &complete]);
    assert!(offered.starts_with("verify"), "{offered}");
}
