//! Real-time priority for the beacon thread and locked memory for the process, where the system allows it.
#![allow(unsafe_code)]

use std::io;

use rustix::mm::{MlockAllFlags, mlockall};

/// Above ordinary work and below the kernel's own threads (interrupts run at 50).
const PRIORITY: i32 = 40;

/// Runs the calling thread at real-time priority; threads and processes that it starts are ordinary again.
pub(super) fn prioritise() -> io::Result<()> {
    schedule(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, PRIORITY)
}

/// Runs the calling thread at ordinary priority again.
pub(super) fn relax() -> io::Result<()> {
    schedule(libc::SCHED_OTHER | libc::SCHED_RESET_ON_FORK, 0)
}

fn schedule(policy: libc::c_int, priority: i32) -> io::Result<()> {
    // SAFETY: an all-zero sched_param is valid, and the call reads it only for its duration; pid 0 is the caller.
    let done = unsafe {
        let mut parameters: libc::sched_param = std::mem::zeroed();
        parameters.sched_priority = priority;
        libc::sched_setscheduler(0, policy, &raw const parameters)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Keeps the process's pages in memory once they were touched.
pub(super) fn lock_memory() -> io::Result<()> {
    Ok(mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)?)
}
