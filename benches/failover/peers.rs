//! The other daemons that let machines share an address, as their packages install them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use anyhow::{Context, Result};
use gatehouse::demo::net::DMZ;
use gatehouse::demo::software::{Seat, Software};

/// keepalived: VRRP version 3.
pub struct Keepalived {
    /// Its advertisement interval in seconds, as its configuration takes it.
    pub interval: &'static str,
    /// Whether a macvlan with the virtual router's hardware address carries the address.
    pub virtual_mac: bool,
}

impl Software for Keepalived {
    fn name(&self) -> String {
        format!("keepalived {} s{}", self.interval, if self.virtual_mac { ", use_vmac" } else { "" })
    }

    fn command(&self, seat: &Seat) -> Result<Command> {
        let config = seat.file("keepalived.conf");
        let virtual_mac = if self.virtual_mac { "use_vmac vrrp51" } else { "" };
        let text = format!(
            "global_defs {{
    vrrp_version 3
    router_id {member}
}}
vrrp_instance site {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int {interval}
    {virtual_mac}
    virtual_ipaddress {{
        {DMZ}/24
    }}
}}
",
            member = seat.member,
            priority = 200 - seat.member.index(),
            interval = self.interval,
        );
        fs::write(&config, text).with_context(|| config.display().to_string())?;
        let mut command = Command::new("keepalived");
        command.args(["--dont-fork", "--log-console", "--log-detail", "--vrrp"]);
        command.arg("--use-file").arg(config);
        command.arg("--pid").arg(seat.file("pid")).arg("--vrrp_pid").arg(seat.file("vrrp.pid"));
        Ok(command)
    }
}

/// ucarp: CARP in user space.
pub struct Ucarp {
    /// Missed advertisements, each of a second, until a backup takes over; ucarp's default is 3.
    pub dead_ratio: u8,
}

impl Software for Ucarp {
    fn name(&self) -> String {
        format!("ucarp deadratio {}", self.dead_ratio)
    }

    fn command(&self, seat: &Seat) -> Result<Command> {
        let script = |name: &str, verb: &str| -> Result<_> {
            let path = seat.file(name);
            let text = format!("#!/bin/sh\nexec ip addr {verb} {DMZ}/24 dev eth0\n");
            fs::write(&path, text).with_context(|| path.display().to_string())?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            Ok(path)
        };
        let (up, down) = (script("up", "add")?, script("down", "del")?);
        let mut command = Command::new("ucarp");
        command.args(["--interface=eth0", "--vhid=51", "--pass=site", "--advbase=1", "--shutdown"]);
        command.arg(format!("--advskew={}", 1 + seat.member.index() * 10));
        command.arg(format!("--deadratio={}", self.dead_ratio));
        command.arg(format!("--srcip={}", seat.member.address())).arg(format!("--addr={DMZ}"));
        command.arg(format!("--upscript={}", up.display())).arg(format!("--downscript={}", down.display()));
        Ok(command)
    }
}
