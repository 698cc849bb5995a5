//! What the system tells of processes and cores: CPU time, resident memory, where a process may run.
//!
//! Linux alone tells it without a library in C; elsewhere everything here is unknown, and the report says so.

use serde::Serialize;

/// The machine, as the report names it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    pub(super) cores: usize,
    pub(super) model: Option<String>,
    pub(super) system: Option<String>,
    pub(super) version: &'static str,
    /// Whether this is a release build, and so its own server too.
    pub(super) optimised: bool,
}

impl Machine {
    pub(super) fn new() -> Self {
        let cores = read("/proc/cpuinfo").map(|text| text.matches("processor\t").count());
        let cores = cores.filter(|cores| *cores > 0);
        let cores =
            cores.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let model = read("/proc/cpuinfo").and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
        let system =
            read("/proc/sys/kernel/osrelease").map(|text| format!("Linux {}", text.trim()));
        Self {
            cores,
            model,
            system,
            version: env!("CARGO_PKG_VERSION"),
            optimised: !cfg!(debug_assertions),
        }
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// CPU time that all threads of a process took, in ns.
pub(super) fn cpu_ns(process: u32) -> Option<u64> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).ok()?;
    // A thread may end between the two reads.
    let of_thread =
        |task: std::fs::DirEntry| schedstat(&task.path().join("schedstat").display().to_string());
    let sum = tasks.flatten().filter_map(of_thread).sum();
    (sum > 0).then_some(sum)
}

/// CPU time of the calling thread, in ns.
pub(super) fn own_cpu_ns() -> Option<u64> {
    schedstat("/proc/thread-self/schedstat")
}

fn schedstat(path: &str) -> Option<u64> {
    read(path)?.split_whitespace().next()?.parse().ok()
}

/// Resident memory of a process, in bytes.
pub(super) fn resident_bytes(process: u32) -> Option<u64> {
    let status = read(&format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// CPU time that all cores were busy, in ns, whoever made them so.
pub(super) fn busy_ns() -> Option<u64> {
    /// A tick of these figures (`USER_HZ`, which is 100 on every Linux).
    const TICK_NS: u64 = 10_000_000;
    let stat = read("/proc/stat")?;
    let mut columns = stat.lines().next()?.split_whitespace().skip(1);
    let mut ticks =
        |columns_left_out: usize| -> Option<u64> { columns.nth(columns_left_out)?.parse().ok() };
    // user, nice, system; idle and iowait are left out; irq, softirq, steal.
    let busy = ticks(0)? + ticks(0)? + ticks(0)?;
    Some(TICK_NS * (busy + ticks(2)? + ticks(0)? + ticks(0)?))
}

/// The cores that a process may run on; none stands for this thread.
#[cfg(target_os = "linux")]
pub(super) fn cores_of(process: Option<u32>) -> Option<Vec<usize>> {
    let process = match process {
        Some(process) => Some(rustix::process::Pid::from_raw(
            i32::try_from(process).ok()?,
        )?),
        None => None,
    };
    let set = rustix::thread::sched_getaffinity(process).ok()?;
    let all = 0..rustix::thread::CpuSet::MAX_CPU;
    Some(all.filter(|core| set.is_set(*core)).collect())
}

/// Lets this thread, and the processes that it starts, run on these cores only.
#[cfg(target_os = "linux")]
pub(super) fn pin(cores: &[usize]) -> bool {
    let mut set = rustix::thread::CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    rustix::thread::sched_setaffinity(None, &set).is_ok()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn cores_of(_process: Option<u32>) -> Option<Vec<usize>> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn pin(_cores: &[usize]) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen_to_work() {
        let own = std::process::id();
        let (all, thread) = (cpu_ns(own).unwrap(), own_cpu_ns().unwrap());
        assert!(all >= thread);
        assert!(resident_bytes(own).unwrap() > 1024 * 1024);
        assert!(busy_ns().unwrap() > 0);
        // Until the scheduler has noted it: its figure moves with its ticks.
        while own_cpu_ns().unwrap() == thread {}
        assert!(cpu_ns(own).unwrap() > all);
        assert!(!cores_of(None).unwrap().is_empty());
        assert_eq!(cores_of(None), cores_of(Some(own)));
    }
}
