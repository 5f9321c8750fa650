//! The kernel's lock for network configuration (RTNL), held as long as a test likes.
//!
//! Another program's interfaces that come or go hold it for tens of milliseconds, more on a large machine. Here a
//! thread asks a question about `lo` (ethtool) that lies half in a page which is not there: the kernel reads it with
//! the lock held, and waits for the page, which userfaultfd lets this program give it.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{null_mut, write_unaligned};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Holds the lock for `span`. False: this takes CAP_SYS_PTRACE on the whole machine, which rootless labs lack.
pub fn hold(span: Duration) -> Result<bool> {
    let Some(pages) = Pages::absent_second()? else { return Ok(false) };
    let asker = ask(pages.at + PAGE - size_of::<u32>());
    std::thread::sleep(span);
    pages.give_second()?;
    asker.join().ok().context("the asker panicked")?;
    Ok(true)
}

/// Two pages, of which the second one is missing until it is given.
struct Pages {
    at: usize,
    faults: OwnedFd,
}

impl Pages {
    fn absent_second() -> Result<Option<Pages>> {
        // SAFETY: the call takes one integer; a descriptor it returns is open and nobody else's.
        let faults = unsafe {
            let fd = libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | libc::O_NONBLOCK);
            if fd < 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM) {
                return Ok(None);
            }
            ensure!(fd >= 0, "userfaultfd: {}", std::io::Error::last_os_error());
            OwnedFd::from_raw_fd(i32::try_from(fd)?)
        };
        // SAFETY: a new anonymous mapping overlaps nothing, and is never unmapped.
        let at = unsafe {
            let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            libc::mmap(null_mut(), 2 * PAGE, access, kind, -1, 0)
        };
        ensure!(at != libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
        let pages = Pages { at: at as usize, faults };
        pages.control(UFFDIO_API, &mut [UFFD_API, 0, 0])?;
        pages.control(UFFDIO_REGISTER, &mut [pages.second(), PAGE as u64, UFFDIO_REGISTER_MODE_MISSING, 0])?;
        // SAFETY: the last four bytes of the first page are mapped and nobody else's.
        unsafe { write_unaligned((pages.at + PAGE - size_of::<u32>()) as *mut u32, ETHTOOL_GSTRINGS) };
        Ok(Some(pages))
    }

    fn give_second(&self) -> Result<()> {
        self.control(UFFDIO_ZEROPAGE, &mut [self.second(), PAGE as u64, 0, 0])
    }

    fn second(&self) -> u64 {
        (self.at + PAGE) as u64
    }

    fn control(&self, request: libc::Ioctl, argument: &mut [u64]) -> Result<()> {
        // SAFETY: each request reads and writes a structure of as many 64-bit words as its caller gives.
        let done = unsafe { libc::ioctl(self.faults.as_raw_fd(), request, argument.as_mut_ptr()) };
        ensure!(done == 0, "userfaultfd {request:#x}: {}", std::io::Error::last_os_error());
        Ok(())
    }
}

/// Asks the kernel the question that begins at this address, on a thread of its own.
fn ask(question: usize) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let Ok(socket) = std::net::UdpSocket::bind(("0.0.0.0", 0)) else { return };
        // SAFETY: all bytes of `ifreq` may be zero; the question's pages stay mapped.
        unsafe {
            let mut request: libc::ifreq = std::mem::zeroed();
            (request.ifr_name[0], request.ifr_name[1]) = (b'l' as libc::c_char, b'o' as libc::c_char);
            request.ifr_ifru.ifru_data = question as *mut libc::c_char;
            // `lo` has no strings to tell: the answer is an error, after the whole question was read.
            libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, (&raw mut request).cast::<c_void>());
        }
    })
}

const PAGE: usize = 4096;

// linux/ethtool.h, linux/sockios.h, linux/userfaultfd.h
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const SIOCETHTOOL: libc::Ioctl = 0x8946;
const UFFD_API: u64 = 0xaa;
const UFFDIO_API: libc::Ioctl = 0xc018_aa3f_u32 as libc::Ioctl;
const UFFDIO_REGISTER: libc::Ioctl = 0xc020_aa00_u32 as libc::Ioctl;
const UFFDIO_ZEROPAGE: libc::Ioctl = 0xc020_aa04_u32 as libc::Ioctl;
const UFFDIO_REGISTER_MODE_MISSING: u64 = 1;
