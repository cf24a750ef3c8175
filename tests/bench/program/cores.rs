//! Which cores the servers run on, and which the load: neither may take from the other.

use std::num::NonZero;

/// The cores of this machine, dealt out.
#[derive(Clone, Debug)]
pub(crate) struct Cores {
    /// Those of the server that is measured.
    pub(crate) servers: Vec<usize>,
    /// Those of the load.
    pub(crate) load: Vec<usize>,
}

impl Cores {
    /// Half of the cores for each side; the larger half for servers. With one core, both are on it.
    pub(crate) fn deal() -> Self {
        Self::halves(&allowed())
    }

    /// Those of both sides.
    pub(crate) fn all(&self) -> Vec<usize> {
        self.servers.iter().chain(&self.load).copied().collect()
    }

    fn halves(all: &[usize]) -> Self {
        let (servers, load) = all.split_at(all.len().div_ceil(2));
        let load = if load.is_empty() { servers } else { load };
        Self { servers: servers.to_vec(), load: load.to_vec() }
    }
}

/// Does some work on a thread that runs on these cores only, as do the threads and processes that it starts.
pub(crate) fn on<R: Send>(cores: &[usize], work: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let pinned = scope.spawn(|| {
            pin(cores);
            work()
        });
        pinned.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Keeps the calling thread, and those that it starts from now on, to these cores, where the system can.
pub(crate) fn pin(cores: &[usize]) {
    #[cfg(target_os = "linux")]
    {
        let mut set = rustix::thread::CpuSet::new();
        cores.iter().for_each(|core| set.set(*core));
        // Where it is refused, the two sides share the cores: rougher, and no less fair.
        let _pinned = rustix::thread::sched_setaffinity(None, &set);
    }
    #[cfg(not(target_os = "linux"))]
    let _anywhere = cores;
}

/// The cores that this process may use.
fn allowed() -> Vec<usize> {
    #[cfg(target_os = "linux")]
    if let Ok(set) = rustix::thread::sched_getaffinity(None) {
        return (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect();
    }
    (0..std::thread::available_parallelism().map_or(1, NonZero::get)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_has_cores_of_its_own_if_there_are_two() {
        let halves = |all: &[usize]| {
            let Cores { servers, load } = Cores::halves(all);
            (servers, load)
        };
        assert_eq!(halves(&[3]), (vec![3], vec![3]));
        assert_eq!(halves(&[0, 1]), (vec![0], vec![1]));
        assert_eq!(halves(&[0, 2, 4, 6, 7]), (vec![0, 2, 4], vec![6, 7]));
    }

    #[test]
    fn what_is_pinned_sees_no_other_cores() {
        let all = allowed();
        let seen = on(&all[..1], || std::thread::spawn(allowed).join().expect("a thread"));
        if cfg!(target_os = "linux") {
            assert_eq!(seen, all[..1]);
        }
        assert_eq!(allowed(), all);
    }
}
