//! Who holds a lease, and whether that process still lives.

use std::path::Path;
use std::{fs, io};

use rivet_sdk::{Error, ErrorKind, Result};

use crate::files::out_of_files;

/// A process, named so that no other process on any machine has the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    machine: String,
    pid: u32,
    started: String,
}

impl Holder {
    /// This process. Fails only where nothing can be found out for want of file descriptors: under a wrong name, the
    /// lease would outlive its process.
    pub(super) fn this() -> Result<Self> {
        let pid = std::process::id();
        let this = || -> io::Result<Self> {
            Ok(Self { machine: machine()?, pid, started: started(pid)?.unwrap_or_default() })
        };
        this().map_err(|error| {
            Error::new(ErrorKind::ResourceExhausted, format!("this process's name for a lease: {error}"))
                .with_hint(out_of_files(error.raw_os_error()).unwrap_or_default())
        })
    }

    /// As it stands in the lease's row.
    pub(super) fn to_text(&self) -> String {
        format!("{} pid {} started {}", self.machine, self.pid, self.started)
    }

    /// True only if this machine can tell that the process is gone.
    pub(super) fn is_dead(text: &str) -> bool {
        let Some((machine_of, rest)) = text.split_once(" pid ") else { return false };
        let Some((pid, started_at)) = rest.split_once(" started ") else { return false };
        let Ok(pid) = pid.parse() else { return false };
        let is_gone = || -> io::Result<bool> {
            let can_tell = machine_of == machine()? && started(std::process::id())?.is_some();
            Ok(can_tell && started(pid)?.as_deref() != Some(started_at))
        };
        !started_at.is_empty() && is_gone().unwrap_or(false)
    }
}

/// This boot of this machine and its process namespace: pids compare only within it.
fn machine() -> io::Result<String> {
    let host = read("/proc/sys/kernel/hostname")?.unwrap_or_default();
    let boot = read("/proc/sys/kernel/random/boot_id")?.unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    Ok(format!("{} {} {}", host.trim(), boot.trim(), namespace.display()))
}

/// A file of `/proc`; None where it is not there, or not for us. An error where no file can be opened at all.
fn read(path: impl AsRef<Path>) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Err(error) if out_of_files(error.raw_os_error()).is_some() => Err(error),
        read => Ok(read.ok()),
    }
}

/// When a process started, in clock ticks since boot: tells a reused pid from the first. None for one that is
/// gone, and for one that ended and only waits for its parent to take note, which some never do.
fn started(pid: u32) -> io::Result<Option<String>> {
    Ok(read(format!("/proc/{pid}/stat"))?.and_then(|stat| started_in(&stat)))
}

fn started_in(stat: &str) -> Option<String> {
    // The command's name is in parentheses and may hold anything; the third field follows it.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let (state, threads, started) = (fields.first()?, fields.get(17)?, fields.get(19)?);
    // Where other threads are still on their way out, a call of theirs may take effect yet.
    let ended = matches!(*state, "Z" | "X") && matches!(*threads, "0" | "1");
    (!ended).then(|| (*started).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn only_a_process_of_this_machine_is_known_to_be_dead() {
        let this = Holder::this().unwrap();
        assert!(!Holder::is_dead(&this.to_text()));
        assert!(Holder::is_dead(&Holder { started: "1".to_owned(), ..this.clone() }.to_text()));
        assert!(!Holder::is_dead(
            &Holder { machine: "elsewhere".to_owned(), started: "1".to_owned(), ..this }.to_text()
        ));
        assert!(!Holder::is_dead("somebody"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_that_was_killed_is_dead_before_its_parent_takes_note() {
        use std::process::{Command, Stdio};
        use std::time::{Duration, Instant};

        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let holder =
            Holder { pid: child.id(), started: started(child.id()).unwrap().unwrap(), ..Holder::this().unwrap() };
        let holder = holder.to_text();
        assert!(!Holder::is_dead(&holder));
        child.kill().unwrap();
        let since = Instant::now();
        while !Holder::is_dead(&holder) {
            assert!(since.elapsed() < Duration::from_secs(60), "it counts as alive until somebody waits for it");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.wait().unwrap();
    }
}
