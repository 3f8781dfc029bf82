//! A primary of a test's own and its standby, which has stopped replaying: what comes later is on the primary alone.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Both servers; they end with this value.
pub struct Pair {
    /// The primary's port on 127.0.0.1.
    pub primary: u16,
    /// The standby's.
    pub standby: u16,
    first: Option<Server>,
    second: Option<Server>,
    _folder: TempDir,
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // An immediate shutdown: nobody needs these data again.
        let _ = kill_process(Pid::from_child(&self.0), Signal::QUIT);
        let _ = self.0.wait();
    }
}

/// Starts a primary, runs `sql` on it, makes a standby of it, and pauses its replay.
pub fn paused(sql: &str) -> Pair {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let own = user();
    let inside = folder.path().join("own");
    fs::create_dir(&inside).unwrap();
    if let Some((user, group)) = own {
        chown(&inside, Some(user), Some(group)).unwrap();
    }
    let data = |name: &str| inside.join(name);
    run(
        "initdb",
        &[
            "-D",
            text(&data("primary")),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
            "--no-instructions",
        ],
    );
    let (primary, first) = start(&data("primary"));
    let mut client = connect(primary);
    client.batch_execute(sql).unwrap();
    let from = format!("postgresql://postgres@127.0.0.1:{primary}/postgres");
    run("pg_basebackup", &["-D", text(&data("standby")), "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", &from]);
    let (standby, second) = start(&data("standby"));
    connect(standby).batch_execute("SELECT pg_wal_replay_pause()").unwrap();
    Pair { primary, standby, first: Some(first), second: Some(second), _folder: folder }
}

impl Pair {
    /// Both, in this order, as a URL's hosts.
    pub fn url(&self, ports: [u16; 2], query: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?{query}", ports[0], ports[1])
    }

    /// Runs statements on the primary.
    pub fn run(&self, sql: &str) {
        connect(self.primary).batch_execute(sql).unwrap();
    }

    /// Ends the standby.
    pub fn end_standby(&mut self) {
        self.second = None;
    }

    /// Ends the primary.
    pub fn end_primary(&mut self) {
        self.first = None;
    }
}

fn connect(port: u16) -> Client {
    let url = format!("postgresql://postgres@127.0.0.1:{port}/postgres");
    let begin = Instant::now();
    loop {
        match Client::connect(&url, NoTls) {
            Ok(client) => return client,
            Err(error) => assert!(begin.elapsed() < Duration::from_secs(60), "PostgreSQL does not start: {error}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// PostgreSQL refuses to run as root: the user that the runner's own server runs as.
fn user() -> Option<(u32, u32)> {
    if !rustix::process::getuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:")).expect("no user postgres");
    let mut ids = line.split(':').skip(2).map(|id| id.parse().unwrap());
    Some((ids.next().unwrap(), ids.next().unwrap()))
}

fn command(program: &str) -> Command {
    let Some((user, group)) = user() else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &user.to_string(), "--regid", &group.to_string(), "--clear-groups"]);
    command.args(["--pdeathsig", "QUIT", program]);
    command
}

fn run(program: &str, arguments: &[&str]) {
    let output = command(program).args(arguments).current_dir("/").output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

fn start(data: &Path) -> (u16, Server) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut postgres = command("postgres");
    postgres.args(["-D", text(data), "-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
    postgres.args(["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=16MB"]);
    postgres.args(["-c", "max_connections=30", "-c", "wal_level=replica", "-c", "hot_standby=on"]);
    postgres.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // A parent-death signal comes when the thread that started it ends: that one stays.
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        sender.send(postgres.spawn().unwrap()).unwrap();
        loop {
            thread::park();
        }
    });
    (port, Server(receiver.recv().unwrap()))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
