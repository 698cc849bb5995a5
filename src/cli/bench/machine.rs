//! System data about processes and cores: CPU time, resident memory, and the cores on which a process may run.
//!
//! Only Linux provides these without a C library. On other systems every figure is unknown, and the report says so.

use serde::Serialize;

/// The machine as the report describes it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    pub(super) cores: usize,
    pub(super) model: Option<String>,
    pub(super) system: Option<String>,
    pub(super) version: &'static str,
    /// Whether this is a release build. The bench starts its own server from the same build.
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

/// Returns the CPU time of all threads of a process, in ns.
pub(super) fn cpu_ns(process: u32) -> Option<u64> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).ok()?;
    // A thread may end between the two reads.
    let of_thread =
        |task: std::fs::DirEntry| schedstat(&task.path().join("schedstat").display().to_string());
    let sum = tasks.flatten().filter_map(of_thread).sum();
    (sum > 0).then_some(sum)
}

/// Returns the CPU time of the calling thread, in ns.
pub(super) fn own_cpu_ns() -> Option<u64> {
    schedstat("/proc/thread-self/schedstat")
}

fn schedstat(path: &str) -> Option<u64> {
    read(path)?.split_whitespace().next()?.parse().ok()
}

/// Returns the resident memory of a process, in bytes.
pub(super) fn resident_bytes(process: u32) -> Option<u64> {
    let status = read(&format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Returns the busy time of all cores, in ns, for all processes.
pub(super) fn busy_ns() -> Option<u64> {
    /// Length of a tick in ns (`USER_HZ` is 100 on every Linux).
    const TICK_NS: u64 = 10_000_000;
    let stat = read("/proc/stat")?;
    let mut columns = stat.lines().next()?.split_whitespace().skip(1);
    let mut ticks =
        |columns_left_out: usize| -> Option<u64> { columns.nth(columns_left_out)?.parse().ok() };
    // Counted: user, nice, system, irq, softirq and steal. Skipped: idle and iowait.
    let busy = ticks(0)? + ticks(0)? + ticks(0)?;
    Some(TICK_NS * (busy + ticks(2)? + ticks(0)? + ticks(0)?))
}

/// Returns the cores on which a process may run. `None` means the calling thread.
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

/// Restricts this thread and the processes that it starts to these cores. Returns whether that succeeded.
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
        // Spin until the scheduler updates the figure, which it does at its ticks.
        let began = std::time::Instant::now();
        while own_cpu_ns().unwrap() == thread || cpu_ns(own).unwrap() <= all {
            assert!(began.elapsed().as_secs() < 10, "the figures stand still");
        }
        assert!(!cores_of(None).unwrap().is_empty());
        assert_eq!(cores_of(None), cores_of(Some(own)));
    }
}
