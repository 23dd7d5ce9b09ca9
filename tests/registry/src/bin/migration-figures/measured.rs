//! Runs a command, and measures it from outside: time, CPU, memory.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(100);
const POLL: Duration = Duration::from_millis(5);

/// What a run took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    pub seconds: f64,
    /// CPU of the process that was started, and of all that it waited for, in user and system mode.
    pub own_cpu: f64,
    pub children_cpu: f64,
    /// The highest memory of one process of the program, and of all others together, in MB.
    pub memory: f64,
    pub others_memory: f64,
    pub status: i32,
}

/// The process that is measured just now; 0: none.
static RUNS: AtomicI32 = AtomicI32::new(0);

/// Ends what is measured just now.
pub fn end() {
    let runs = RUNS.swap(0, Ordering::Relaxed);
    if runs > 0 {
        // It leads a group of its own.
        let _ = killpg(Pid::from_raw(runs), Signal::SIGKILL);
    }
}

/// Runs it to its end. `program` names the processes whose memory is the tool's own. `seen` is called all the time.
pub fn measure(mut command: Command, program: &str, mut seen: impl FnMut()) -> anyhow::Result<Measured> {
    let began = Instant::now();
    let mut child = command.process_group(0).spawn().with_context(|| format!("cannot run {program}"))?;
    let root = Pid::from_raw(child.id().try_into()?);
    RUNS.store(root.as_raw(), Ordering::Relaxed);
    let (mut memory, mut others_memory, mut looked) = (0, 0, Instant::now());
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while waitid(Id::Pid(root), ended)? == WaitStatus::StillAlive {
        seen();
        std::thread::sleep(POLL);
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            let (own, others) = memory_of(root.as_raw(), program);
            memory = memory.max(own);
            others_memory = others_memory.max(others);
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    RUNS.store(0, Ordering::Relaxed);
    // It is not waited for yet, so what it used can still be read.
    let [own_cpu, children_cpu] = cpu(root.as_raw())?;
    let status = child.wait()?.code().unwrap_or(-1);
    let megabytes = |kib: u64| kib as f64 * 1024.0 / 1e6;
    Ok(Measured {
        seconds,
        own_cpu,
        children_cpu,
        memory: megabytes(memory),
        others_memory: megabytes(others_memory),
        status,
    })
}

/// The seconds of a process and of those it waited for.
pub fn cpu(pid: i32) -> anyhow::Result<[f64; 2]> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = text.rsplit_once(')').context("no stat")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = sysconf(SysconfVar::CLK_TCK)?.context("no clock")? as f64;
    let at = |number: usize| -> anyhow::Result<f64> {
        Ok(fields.get(number).context("a short stat")?.parse::<f64>()? / ticks)
    };
    Ok([at(11)? + at(12)?, at(13)? + at(14)?])
}

/// The highest VmHWM of the program's processes, and what all others below `root` hold together, shared pages once. In KiB.
fn memory_of(root: i32, program: &str) -> (u64, u64) {
    let mut parents: BTreeMap<i32, i32> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let parent = fs::read_to_string(entry.path().join("stat"))
            .ok()
            .and_then(|text| text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok());
        parents.extend(parent.map(|parent| (pid, parent)));
    }
    let below = |pid: &i32| {
        let mut at = *pid;
        loop {
            if at == root {
                return true;
            }
            match parents.get(&at) {
                Some(parent) if *parent != at => at = *parent,
                _ => return false,
            }
        }
    };
    let (mut own, mut others) = (0, 0);
    for pid in parents.keys().filter(|pid| below(pid)) {
        let folder = Path::new("/proc").join(pid.to_string());
        let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
        // The kernel keeps 15 letters of it.
        if program.starts_with(name.trim()) && !name.trim().is_empty() {
            own = own.max(field(&folder.join("status"), "VmHWM:"));
        } else {
            others += field(&folder.join("smaps_rollup"), "Pss:");
        }
    }
    (own, others)
}

fn field(file: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
