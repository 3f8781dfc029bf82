//! The real `rivet` binary: run to its end, or killed on the way.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::OnceLock,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long any run may take before the test fails.
const DEADLINE: Duration = Duration::from_secs(300);

/// The binary: `RIVET_BIN`, or `rivet` in the target folder this test was built into.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("RIVET_BIN") {
        return path.into();
    }
    // target/debug/deps/<test>
    let test = std::env::current_exe().unwrap();
    let binary = test.ancestors().nth(2).unwrap().join("rivet");
    assert!(binary.exists(), "{} is not built: run `make test`, or `cargo build --workspace` first", binary.display());
    binary
}

/// Whether the binary can be killed at its crash points (`RIVET_CRASH_AT`), which no release build has. If not, it is
/// said aloud.
#[must_use]
pub fn has_crash_points() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    let has = *HAS.get_or_init(|| holds_crash_points(&fs::read(binary()).unwrap()));
    if !has {
        eprintln!("skipped: this build of rivet has no crash points, as a release has none");
    }
    has
}

/// Whether a program, or the code of a library, was built with crash points: it knows the variable that arms one.
pub fn holds_crash_points(code: &[u8]) -> bool {
    const VARIABLE: &[u8] = b"RIVET_CRASH_AT";
    code.windows(VARIABLE.len()).any(|window| window == VARIABLE)
}

/// The target folder this test was built into.
pub fn target() -> PathBuf {
    // target/debug/deps/<test>
    std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned()
}

/// Where the plugins are: `RIVET_TEST_PLUGIN_DIR`, or beside the binary.
pub fn plugins() -> PathBuf {
    std::env::var_os("RIVET_TEST_PLUGIN_DIR").map_or_else(|| binary().parent().unwrap().to_owned(), PathBuf::from)
}

/// A folder for one test: its configuration, its state, its output. Removed with this value.
pub struct Project {
    folder: TempDir,
}

/// Makes an empty project.
pub fn project() -> Project {
    Project { folder: tempfile::tempdir().unwrap() }
}

impl Project {
    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Writes a file, and the folders it needs.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes the configuration, `rivet.yaml`. `{out}` becomes the path of the folder `out`.
    pub fn config(&self, yaml: &str) -> PathBuf {
        self.write("rivet.yaml", yaml.replace("{out}", self.path("out").to_str().unwrap()))
    }

    /// `rivet COMMAND -c rivet.yaml`, in the folder.
    pub fn rivet(&self, command: &str) -> Command {
        Command::new().arg(command).arg("-c").arg(self.path("rivet.yaml")).folder(self.folder())
    }

    /// The folder that [`Project::config`] calls `{out}`.
    pub fn out(&self) -> PathBuf {
        self.path("out")
    }
}

/// A command line of `rivet`.
#[derive(Debug)]
pub struct Command {
    program: PathBuf,
    arguments: Vec<OsString>,
    plugins: Vec<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
}

impl Default for Command {
    fn default() -> Self {
        Self::new()
    }
}

impl Command {
    /// `rivet`, with the plugins of this build.
    pub fn new() -> Self {
        Self {
            program: binary(),
            arguments: Vec::new(),
            plugins: vec![plugins()],
            environment: Vec::new(),
            folder: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable. `RIVET_*` variables of the test's own environment are not passed on.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Looks for plugins in these folders instead; in none at all, `--plugin-dir` is left out.
    #[must_use]
    pub fn plugins(mut self, folders: &[&Path]) -> Self {
        self.plugins = folders.iter().map(|folder| (*folder).to_owned()).collect();
        self
    }

    /// Runs a copy of the binary that stands elsewhere, where it does not see this build's plugins.
    #[must_use]
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.program = path.into();
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Runs to the end.
    #[track_caller]
    pub fn run(self) -> Output {
        self.spawn().wait()
    }

    /// Runs to the end, which must be exit code 0.
    #[track_caller]
    pub fn ok(self) -> Output {
        let line = format!("{self:?}");
        let output = self.run();
        assert!(output.code == Some(0), "{line}\n{output}");
        output
    }

    /// Runs to the end, which must be this exit code.
    #[track_caller]
    pub fn fails(self, code: i32) -> Output {
        let output = self.run();
        assert!(output.code == Some(code), "exit code {code} expected\n{output}");
        output
    }

    /// Starts it.
    #[track_caller]
    pub fn spawn(self) -> Running {
        let mut command = std::process::Command::new(&self.program);
        for folder in &self.plugins {
            command.arg("--plugin-dir").arg(folder);
        }
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("RIVET_")) {
                command.env_remove(name);
            }
        }
        command.envs(self.environment);
        if let Some(folder) = self.folder {
            command.current_dir(folder);
        }
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Running { child: Some(child), stdout: Some(stdout), stderr: Some(stderr) }
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// A `rivet` that runs. Dropped, it is killed.
pub struct Running {
    child: Option<Child>,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Whether it has ended, by itself or otherwise.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    /// Sends a signal, e.g. `Signal::INT`. One that has ended by then is no fault.
    pub fn signal(&mut self, signal: Signal) {
        if !self.has_ended() {
            // It is our child and nobody has waited for it: the id can't be another's.
            kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
        }
    }

    /// SIGKILL, and what it had said until then.
    pub fn kill(mut self) -> Output {
        self.signal(Signal::KILL);
        self.wait()
    }

    /// SIGINT, as Ctrl-C, and how it ended.
    #[track_caller]
    pub fn interrupt(mut self) -> Output {
        self.signal(Signal::INT);
        self.wait()
    }

    /// Waits until something holds (a file is there, the server sees a session), or it has ended.
    /// Returns whether it holds.
    pub fn until(&mut self, mut holds: impl FnMut() -> bool) -> bool {
        let start = Instant::now();
        while !holds() {
            if self.has_ended() {
                return holds();
            }
            assert!(start.elapsed() < DEADLINE, "waited for {DEADLINE:?}");
            thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Output {
        let start = Instant::now();
        while !self.has_ended() {
            assert!(start.elapsed() < DEADLINE, "rivet still runs after {DEADLINE:?}");
            thread::sleep(Duration::from_millis(2));
        }
        let status = self.child.take().unwrap().wait().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let stdout = self.stdout.take().unwrap().join().unwrap();
        let stderr = text(self.stderr.take().unwrap().join().unwrap());
        Output {
            code: status.code(),
            signal: std::os::unix::process::ExitStatusExt::signal(&status),
            stdout: text(stdout.clone()),
            bytes: stdout,
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How a `rivet` ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// None when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard output as it came, for data.
    pub bytes: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }

    /// Both outputs must leave this out: a secret, say.
    #[track_caller]
    pub fn never_says(&self, text: &str) -> &Self {
        assert!(!self.stdout.contains(text) && !self.stderr.contains(text), "{text:?} was printed\n{self}");
        self
    }

    /// Standard error must hold all of these.
    #[track_caller]
    pub fn says(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} was not said\n{self}");
        }
        self
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => writeln!(f, "exit code {code}")?,
            (_, signal) => writeln!(f, "ended by signal {signal:?}")?,
        }
        writeln!(f, "--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr)
    }
}
