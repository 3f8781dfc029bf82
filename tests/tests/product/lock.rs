//! `rivet.lock`: with `--locked`, only the pinned plugins are loaded, byte for byte.

use std::path::PathBuf;
use std::sync::LazyLock;

use rivet_tests::{
    readers,
    rivet::{self, Command, Project},
};

/// The binary outside its build folder, where it would find this build's plugins too.
static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let path = tempfile::tempdir().unwrap().keep().join("rivet");
    std::fs::copy(rivet::binary(), &path).unwrap();
    path
});

const PLUGIN: &str = "plugins/librivet_plugin_example.so";

fn built() -> Vec<u8> {
    std::fs::read(rivet::plugins().join("librivet_plugin_example.so")).unwrap()
}

/// A project with the example plugin in a folder of its own.
fn project() -> Project {
    let project = rivet::project();
    project.config(
        "
source: {type: example, rows: 500}
plugins: {dirs: [plugins]}
exports:
  - {name: numbers, table: numbers, format: csv, destination: {type: local, path: '{out}'}}
",
    );
    install(&project, &built());
    project
}

/// As a package manager would: a new file, renamed over the old one.
fn install(project: &Project, bytes: &[u8]) {
    let new = project.write("plugins/new", bytes);
    std::fs::rename(new, project.path(PLUGIN)).unwrap();
}

fn alone(project: &Project, command: Command) -> Command {
    command.program(&*BINARY).plugins(&[]).folder(project.folder()).env("XDG_DATA_HOME", project.path("data"))
}

fn rivet(project: &Project, command: &str) -> Command {
    alone(project, project.rivet(command))
}

fn pin(project: &Project) -> rivet::Output {
    alone(project, Command::new()).args(["plugin", "lock"]).ok()
}

#[test]
fn what_is_pinned_runs_and_a_changed_byte_does_not() {
    let project = project();
    let pinned = pin(&project);
    let lock = std::fs::read_to_string(project.path("rivet.lock")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert!(pinned.stdout.starts_with(&format!("example {version} ")), "{pinned}");
    let sha256 = pinned.stdout.trim().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(
        lock,
        format!(
            "{{\n  \"lock_version\": 1,\n  \"plugins\": {{\n    \"example\": {{\n      \"version\": \"{version}\",\n      \
             \"abi\": \"1.0\",\n      \"sha256\": \"{sha256}\"\n    }}\n  }}\n}}\n"
        )
    );
    for command in ["check", "doctor", "plan", "run"] {
        rivet(&project, command).arg("--locked").ok();
    }
    assert_eq!(readers::sql(project.out(), "SELECT count(*) FROM t")[0], [Some("500".to_owned())]);
    let plan = project.path("plan.json");
    rivet(&project, "plan").arg("-o").arg(&plan).ok();

    // It still works, which nobody may rely on.
    install(&project, &[built(), b"!".to_vec()].concat());
    let apply = || {
        alone(&project, Command::new())
            .args(["apply", "--locked"])
            .arg(&plan)
            .arg("--plugin-dir")
            .arg(project.path("plugins"))
    };
    for command in ["check", "doctor", "plan", "run", "apply"] {
        let command = if command == "apply" { apply() } else { rivet(&project, command).arg("--locked") };
        let output = command.fails(2);
        let said = format!("{}{}", output.stdout, output.stderr);
        for text in [
            "`example` is not the one in",
            "rivet.lock: sha256 ",
            "pinned is ",
            &sha256,
            PLUGIN,
            "hint:",
            "rivet plugin lock",
        ] {
            assert!(said.contains(text), "{text}\n{output}");
        }
    }
    rivet(&project, "run").ok();
    pin(&project);
    apply().ok();
}

#[test]
fn a_newer_version_says_which() {
    let project = project();
    pin(&project);
    let version = env!("CARGO_PKG_VERSION");
    let old = format!("\"version\":\"{version}\"").into_bytes();
    let mut bytes = built();
    let places: Vec<usize> =
        bytes.windows(old.len()).enumerate().filter(|(_, window)| *window == old).map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + old.len() - 2] = b'9';
    }
    install(&project, &bytes);
    let newer = format!("{}9", &version[..version.len() - 1]);
    let output = rivet(&project, "run").arg("--locked").fails(2);
    output.says(&[&format!("version {newer}, pinned is {version}; sha256 "), "rivet plugin lock"]);
}

#[test]
fn what_is_not_pinned_is_not_loaded() {
    let project = project();
    project.write("rivet.lock", "{\"lock_version\": 1, \"plugins\": {}}");
    let output = rivet(&project, "run").arg("--locked").fails(2);
    output.says(&["plugin `example` is not in ", "rivet.lock", "hint: ", "rivet plugin lock"]);
    assert!(!project.out().exists());
    let verify = || alone(&project, Command::new()).args(["plugin", "verify", "--locked"]).arg(project.path(PLUGIN));
    let output = verify().fails(1);
    assert!(output.stdout.contains("plugin `example` is not in rivet.lock"), "{output}");
    pin(&project);
    verify().ok();
}

#[test]
fn the_pinned_file_is_taken_wherever_it_lies() {
    let project = project();
    let pinned = pin(&project);
    let sha256 = pinned.stdout.trim().rsplit(' ').next().unwrap();
    let changed = [built(), b"!".to_vec()].concat();
    let more = "more/librivet_plugin_example.so";
    let here = |command: rivet::Command| {
        command.arg("--locked").arg("--plugin-dir").arg("plugins").env("RIVET_PLUGIN_PATH", project.path("more"))
    };
    let run = || here(rivet(&project, "run"));
    let info = || here(alone(&project, Command::new()).args(["plugin", "info", "example", "--json"]));
    let listed = || {
        let json = here(alone(&project, Command::new()).args(["plugin", "list", "--json"])).ok().json();
        let plugins = json["plugins"].as_array().unwrap().clone();
        plugins.iter().map(|plugin| plugin["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };

    // The same file twice.
    project.write(more, built());
    run().ok().never_says("shadowed");
    assert_eq!(listed(), ["used", "shadowed"]);

    // Another before it, as a package's beside another package's.
    install(&project, &changed);
    run().ok().never_says("shadowed");
    let info = info().ok().json();
    assert!(info["path"].as_str().unwrap().ends_with(more), "{info}");
    assert_eq!(info["sha256"], sha256);
    assert_eq!(listed(), ["shadowed", "used"]);
    let url = project.write(
        "by-url.yaml",
        std::fs::read_to_string(project.path("rivet.yaml"))
            .unwrap()
            .replace("{type: example, rows: 500}", "{url: 'example://nothing'}"),
    );
    let by_scheme = here(alone(&project, Command::new()).args(["check", "-c"]).arg(url)).run();
    assert!(!format!("{}{}", by_scheme.stdout, by_scheme.stderr).contains("the one in"), "{by_scheme}");
    here(alone(&project, Command::new()).args(["plugin", "verify", "example"])).ok();

    // One that nobody may trust, before it.
    std::fs::set_permissions(project.path(PLUGIN), std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    run().ok();

    // None: each is named with its hash.
    install(&project, &changed);
    let other = [built(), b"?".to_vec()].concat();
    project.write(more, &other);
    let hash = |name: &str| {
        let output = std::process::Command::new("sha256sum").arg(project.path(name)).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
    };
    run().fails(2).says(&[
        "plugin `example`: no file of it is the one in ",
        &format!("{PLUGIN}: sha256 {}, pinned is {sha256}", hash(PLUGIN)),
        &format!("{more}: sha256 {}, pinned is {sha256}", hash(more)),
        "rivet plugin lock",
    ]);
}

#[test]
fn of_two_files_the_used_one_is_pinned_without_a_word() {
    let project = project();
    project.write("more/librivet_plugin_example.so", [built(), b"!".to_vec()].concat());
    let pin = alone(&project, Command::new()).args(["plugin", "lock"]).env("RIVET_PLUGIN_PATH", project.path("more"));
    pin.ok().never_says("refuse").never_says("twice");
    rivet(&project, "run").arg("--locked").env("RIVET_PLUGIN_PATH", project.path("more")).ok();
}

#[test]
fn a_lock_file_must_be_there_and_whole() {
    let project = project();
    rivet(&project, "run").arg("--locked").fails(2).says(&["rivet.lock: ", "hint: `rivet plugin lock` writes it"]);
    for (text, why) in [
        ("", "not a lock file"),
        ("{\"lock_version\": 1, \"plugins\": {\"example\": {\"version\": \"1\"}}}", "missing field `abi`"),
        ("{\"lock_version\": 2, \"anything\": 1}", "written by a newer rivet"),
    ] {
        project.write("rivet.lock", text);
        rivet(&project, "run").arg("--locked").fails(2).says(&["rivet.lock: ", why, "hint:"]);
    }
    // Without --locked nobody looks at it.
    rivet(&project, "run").ok();
}

#[test]
fn the_configuration_names_its_lock_file() {
    let project = project();
    let text = std::fs::read_to_string(project.path("rivet.yaml")).unwrap();
    project.write("rivet.yaml", text.replace("dirs: [plugins]", "dirs: [plugins], lock: locks/of-this.lock"));
    std::fs::create_dir(project.path("locks")).unwrap();
    pin(&project);
    assert!(project.path("locks/of-this.lock").exists() && !project.path("rivet.lock").exists());
    rivet(&project, "run").arg("--locked").ok();
    let all = alone(&project, Command::new()).args(["plugin", "lock", "--all", "--plugin-dir", "plugins"]).ok();
    assert!(all.stderr.contains("pinned in rivet.lock") && project.path("rivet.lock").exists(), "{all}");
}
