//! Who holds a lease, and whether that process still lives.

use std::fs;

/// A process, named so that no other process on any machine has the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    machine: String,
    pid: u32,
    started: String,
}

impl Holder {
    /// This process.
    pub(super) fn this() -> Self {
        let pid = std::process::id();
        Self { machine: machine(), pid, started: started(pid).unwrap_or_default() }
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
        let can_tell = !started_at.is_empty() && machine_of == machine() && started(std::process::id()).is_some();
        can_tell && started(pid).as_deref() != Some(started_at)
    }
}

/// This boot of this machine and its process namespace: pids compare only within it.
fn machine() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {} {}", host.trim(), boot.trim(), namespace.display())
}

/// When a process started, in clock ticks since boot: tells a reused pid from the first. None for one that is
/// gone, and for one that ended and only waits for its parent to take note, which some never do.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
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
        let this = Holder::this();
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
        let holder = Holder { pid: child.id(), started: started(child.id()).unwrap(), ..Holder::this() }.to_text();
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
