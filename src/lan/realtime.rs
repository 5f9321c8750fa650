//! Real-time priority for the beacon thread and locked memory for the process, where the system allows it.
#![allow(unsafe_code)]

use std::io;

use rustix::mm::{MlockAllFlags, mlockall};

/// Above ordinary work and below the kernel's own threads (interrupts run at 50).
const PRIORITY: i32 = 40;
/// Above ordinary work and below the beacon thread: a thread that waits for a lock of the kernel may spin meanwhile,
/// and at the same priority would keep the beacon thread from its processor.
const BESIDE: i32 = 20;

/// Runs the calling thread at real-time priority; threads and processes that it starts are ordinary again.
pub(super) fn prioritise() -> io::Result<()> {
    schedule(PRIORITY, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK)
}

/// Runs the calling thread at the priority of the threads beside it, and those that it starts from now on too.
pub(super) fn prioritise_beside() -> io::Result<()> {
    schedule(BESIDE, libc::SCHED_FIFO)
}

fn schedule(priority: i32, policy: libc::c_int) -> io::Result<()> {
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
