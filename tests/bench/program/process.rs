//! Servers as processes of their own: started on their cores, looked at through `/proc`, gone with the value.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use portico_bench::ports::free_port;

use crate::cores::on;

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What it took from its start to its first answer.
    pub(crate) started_in: Duration,
}

impl Process {
    /// Starts a server on these cores, and waits for its first answer with a 200 to a path.
    ///
    /// # Errors
    /// In words for whoever runs this: it does not start, it ends, or it does not answer.
    pub(crate) fn start(
        mut command: Command,
        cores: &[usize],
        address: SocketAddr,
        path: &str,
    ) -> Result<Self, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let begun = Instant::now();
        let child =
            on(cores, || command.spawn()).map_err(|error| format!("{name} does not start: {error}"))?;
        let mut process = Self { child, address, started_in: Duration::ZERO };
        while !answers(address, path) {
            if let Ok(Some(status)) = process.child.try_wait() {
                return Err(format!("{name} ended at once, with {status}"));
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{name} does not answer within {PATIENCE:?}"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        process.started_in = begun.elapsed();
        Ok(process)
    }

    /// Starts a server that takes its settings from its input, and tells its address in the first line of its output.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) fn start_with(mut command: Command, cores: &[usize], input: &str) -> Result<Self, String> {
        let begun = Instant::now();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = on(cores, || command.spawn()).map_err(|error| error.to_string())?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        // From here on, whatever goes wrong, the process ends with the value.
        let mut process = Self { child, address: ([127, 0, 0, 1], 0).into(), started_in: Duration::ZERO };
        let written = stdin.map(|mut stdin| stdin.write_all(input.as_bytes()));
        process.address = match (written, stdout.and_then(first_line)) {
            (Some(Ok(())), Some(line)) => line.parse().map_err(|_| format!("{line:?} is no address"))?,
            _ => return Err("it ended at once".to_owned()),
        };
        process.started_in = begun.elapsed();
        Ok(process)
    }

    /// The memory that it has resident now, in bytes.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub(crate) fn resident(&self) -> Result<u64, String> {
        self.memory("VmRSS:")
    }

    /// The most that it had so far, in bytes.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub(crate) fn peak(&self) -> Result<u64, String> {
        self.memory("VmHWM:")
    }

    /// What all its threads have computed so far.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub(crate) fn cpu(&self) -> Result<Duration, String> {
        cpu(self.child.id())
    }

    fn memory(&self, name: &str) -> Result<u64, String> {
        let text = self.read("status")?;
        kibibytes(&text, name).map(|kib| kib * 1024).ok_or_else(|| format!("/proc knows no {name}"))
    }

    fn read(&self, name: &str) -> Result<String, String> {
        let path = path(self.child.id(), name);
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// What all threads of a process have computed so far.
///
/// # Errors
/// Where there is no `/proc`.
pub(crate) fn cpu(pid: u32) -> Result<Duration, String> {
    // The sum in `stat` counts in hundredths of a second, which is too coarse for what is mostly idle.
    let threads = path(pid, "task");
    let listed = std::fs::read_dir(&threads).map_err(|error| format!("{}: {error}", threads.display()))?;
    let each = listed.flatten().filter_map(|thread| {
        // A thread may end in between.
        computed_ns(&std::fs::read_to_string(thread.path().join("schedstat")).ok()?)
    });
    Ok(Duration::from_nanos(each.sum()))
}

fn path(pid: u32, name: &str) -> PathBuf {
    ["/proc", &pid.to_string(), name].iter().collect()
}

/// An address of this machine on which nobody listens.
pub(crate) fn free_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()))
}

/// Whether a request on a connection of its own is answered with a 200.
fn answers(address: SocketAddr, path: &str) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).ok()?;
        Some(head)
    };
    ask().is_some_and(|head| head.ends_with(b" 200"))
}

fn first_line(mut output: ChildStdout) -> Option<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while output.read_exact(&mut byte).is_ok() && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8(line).ok()
}

/// The time that a thread was on a core; the time that it waited for one follows.
fn computed_ns(schedstat: &str) -> Option<u64> {
    schedstat.split(' ').next()?.parse().ok()
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_shows_is_understood() {
        assert_eq!(computed_ns("123456789 42 7\n"), Some(123_456_789));
        assert_eq!(computed_ns(""), None);
        let status = "Name:\tx\nVmHWM:\t   20480 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(kibibytes(status, "VmRSS:"), Some(1024));
        assert_eq!(kibibytes(status, "VmHWM:"), Some(20480));
        assert_eq!(kibibytes(status, "VmSwap:"), None);
    }

    #[test]
    fn what_does_not_start_says_so() {
        let address = free_address();
        let absent = Process::start(Command::new("/nonexistent"), &[0], address, "/");
        assert!(absent.expect_err("no program").contains("does not start"));
        let hasty = Process::start(Command::new("true"), &[0], address, "/");
        assert!(hasty.expect_err("no server").contains("ended at once"));
    }
}
