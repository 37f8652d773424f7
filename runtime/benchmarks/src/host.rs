//! The machine that all this runs on: processors, clocks, threads, and what to say about them in a report.

use rustix::thread::{CpuSet, Pid};
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::fs;
use std::io;
use std::path::Path;

/// The processors that the cells use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpus {
    /// Where the runtime's thread runs, and what it starts.
    pub(crate) runtime: usize,
    /// Where the other side runs if it is to have a processor of its own. The same one if there is no other.
    pub(crate) other: usize,
}

impl Cpus {
    /// The first two that this process may use.
    pub(crate) fn allowed() -> io::Result<Self> {
        let set = rustix::thread::sched_getaffinity(None)?;
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu));
        let runtime = allowed.next().ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { runtime, other: allowed.next().unwrap_or(runtime) })
    }
}

/// Moves the calling thread to one processor, and what it starts from now on with it.
pub(crate) fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    rustix::thread::sched_setaffinity(None, &set).expect("an allowed processor can be chosen");
}

/// The processor time that the calling thread has used, in nanoseconds.
#[inline]
pub(crate) fn thread_cpu_ns() -> f64 {
    ns(clock_gettime(ClockId::ThreadCPUTime))
}

/// The time, in nanoseconds of `CLOCK_MONOTONIC`.
#[inline]
pub(crate) fn now_ns() -> f64 {
    ns(clock_gettime(ClockId::Monotonic))
}

fn ns(time: Timespec) -> f64 {
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// The calling thread's id, as the kernel and `strace` know it.
pub(crate) fn thread_id() -> Pid {
    rustix::thread::gettid()
}

/// The processor time that all threads of this process but one have used, in nanoseconds. Exact for threads that sleep;
/// up to a scheduler's tick behind for those that run.
pub(crate) fn cpu_of_all_but_ns(excluded: Pid) -> io::Result<f64> {
    let mut total = 0.0;
    for thread in fs::read_dir("/proc/self/task")? {
        let thread = thread?;
        if thread.file_name().to_str() == Some(&excluded.to_string()) {
            continue;
        }
        total += on_cpu_ns(&thread.path())?;
    }
    Ok(total)
}

/// The processor time that this thread of the process has used, in nanoseconds; as exact.
pub(crate) fn cpu_of_ns(thread: Pid) -> io::Result<f64> {
    on_cpu_ns(Path::new(&format!("/proc/self/task/{thread}")))
}

fn on_cpu_ns(thread: &Path) -> io::Result<f64> {
    let line = fs::read_to_string(thread.join("schedstat"))?;
    let on_cpu = line.split(' ').next().and_then(|field| field.parse().ok());
    on_cpu.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Lines that say where the figures come from.
pub(crate) fn description(cpus: Cpus) -> Vec<String> {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = field(&processors, "model name").unwrap_or("unknown processor");
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = rustix::system::uname();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    vec![
        format!(
            "{count} processors ({model}); runtime on {}, other side on {}; load {load} before the start",
            cpus.runtime, cpus.other
        ),
        format!(
            "{} {}, {}",
            kernel.sysname().to_string_lossy(),
            kernel.release().to_string_lossy(),
            kernel.machine().to_string_lossy()
        ),
        env!("COMPILER").to_owned(),
    ]
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}
