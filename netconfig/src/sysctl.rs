//! Kernel settings below `/proc/sys/net`, of the calling thread's network namespace.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::plan::Sysctl;

/// Its value, or `None` when this kernel or this device has no such setting.
pub(crate) fn read(key: &Sysctl) -> io::Result<Option<String>> {
    match fs::read_to_string(path(key)) {
        Ok(text) => Ok(Some(text.trim_end().to_owned())),
        // Some settings exist but cannot be read until the device is configured.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sets it; a setting that this kernel does not have is left alone.
pub(crate) fn write(key: &Sysctl, value: &str) -> io::Result<()> {
    match fs::write(path(key), value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn path(key: &Sysctl) -> PathBuf {
    PathBuf::from("/proc/sys/net").join(&key.0)
}
