//! The servers, each told to use one core and to serve one zone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::zones::APEX;

/// The key that updates are signed with.
pub const KEY: &str = "hmac-sha256:bench:c2VjcmV0IG9mIHRoZSBiZW5jaG1hcmshISEhISEhISE=";
const SECRET: &str = "c2VjcmV0IG9mIHRoZSBiZW5jaG1hcmshISEhISEhISE=";

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// Ours.
    Gatehouse,
    /// Knot DNS.
    Knot,
    /// NSD, which takes no updates.
    Nsd,
    /// BIND.
    Bind,
    /// Hickory DNS.
    Hickory,
}

/// What a server is to serve.
pub struct Task<'a> {
    /// Our program.
    pub ours: &'a Path,
    /// A folder of its own, empty.
    pub folder: &'a Path,
    /// Copied for each run: servers may write to it.
    pub zone: PathBuf,
    /// On loopback.
    pub port: u16,
    /// Whether the zone takes updates, which are to be on disk before they are answered.
    pub takes_updates: bool,
}

impl Subject {
    pub const ALL: [Self; 5] = [Self::Gatehouse, Self::Knot, Self::Nsd, Self::Bind, Self::Hickory];

    /// In tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gatehouse => "gatehouse",
            Self::Knot => "knot",
            Self::Nsd => "nsd",
            Self::Bind => "bind",
            Self::Hickory => "hickory",
        }
    }

    /// The program that must be there; ours always is.
    pub fn program(self) -> &'static str {
        match self {
            Self::Gatehouse => "",
            Self::Knot => "knotd",
            Self::Nsd => "nsd",
            Self::Bind => "named",
            Self::Hickory => "hickory-dns",
        }
    }

    pub fn is_required(self) -> bool {
        self != Self::Hickory
    }

    /// Whether it is measured with updates: it takes them, and the others' figures are not better known from elsewhere.
    pub fn takes_updates(self) -> bool {
        matches!(self, Self::Gatehouse | Self::Knot | Self::Bind)
    }

    /// Writes its configuration; what starts it.
    pub fn command(self, task: &Task<'_>) -> Result<Command> {
        let config = task.folder.join("config");
        let text = match self {
            Self::Gatehouse => gatehouse(task),
            Self::Knot => knot(task),
            Self::Nsd => nsd(task),
            Self::Bind => bind(task),
            Self::Hickory => hickory(task),
        };
        fs::write(&config, text).with_context(|| config.display().to_string())?;
        let mut command = match self {
            Self::Gatehouse => Command::new(task.ours),
            _ => Command::new(self.program()),
        };
        match self {
            Self::Gatehouse => command.args(["dns", "serve", "--config"]).arg(config),
            Self::Knot => command.arg("-c").arg(config),
            Self::Nsd => command.args(["-d", "-c"]).arg(config),
            Self::Bind => command.args(["-g", "-n", "1", "-U", "1", "-c"]).arg(config),
            Self::Hickory => command.args(["--workers", "1", "-q", "-c"]).arg(config),
        };
        Ok(command)
    }
}

fn gatehouse(task: &Task<'_>) -> String {
    let (folder, zone, port) = (task.folder.display(), task.zone.display(), task.port);
    let updates = if task.takes_updates {
        format!(
            "[[dns.zone.update]]\nkey = \"bench\"\nnames = [\"*.{APEX}\"]\ntypes = [\"A\"]\n\n\
             [[dns.key]]\nname = \"bench\"\nalgorithm = \"hmac-sha256\"\nsecret = {{ base64 = \"{SECRET}\" }}\n"
        )
    } else {
        String::new()
    };
    format!(
        "name = \"bench\"\nstate = \"{folder}\"\ncontrol = \"{folder}/control.sock\"\n\n\
         [dns]\nlisten = [\"127.0.0.1:{port}\"]\n\n\
         [[dns.zone]]\nname = \"{APEX}\"\nfile = \"{zone}\"\n{updates}"
    )
}

fn knot(task: &Task<'_>) -> String {
    let (folder, zone, port) = (task.folder.display(), task.zone.display(), task.port);
    let (keys, rights) = if task.takes_updates {
        (
            format!(
                "key:\n  - id: bench\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
                 acl:\n  - id: bench\n    key: bench\n    action: update\n"
            ),
            "    acl: bench\n    journal-content: changes\n    zonefile-load: whole\n",
        )
    } else {
        (String::new(), "    journal-content: none\n")
    };
    format!(
        "server:\n    rundir: {folder}\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    tcp-workers: 1\n    \
         background-workers: 1\n\
         log:\n  - target: stderr\n    any: error\n\
         database:\n    storage: {folder}/db\n{keys}\
         zone:\n  - domain: {APEX}\n    file: {zone}\n    zonefile-sync: -1\n{rights}"
    )
}

fn nsd(task: &Task<'_>) -> String {
    let (folder, zone, port) = (task.folder.display(), task.zone.display(), task.port);
    format!(
        "server:\n    server-count: 1\n    ip-address: 127.0.0.1@{port}\n    username: \"\"\n    chroot: \"\"\n    \
         zonesdir: {folder}\n    database: \"\"\n    pidfile: {folder}/pid\n    xfrdfile: {folder}/xfrd\n    \
         zonelistfile: {folder}/list\n    xfrdir: {folder}\n    rrl-ratelimit: 0\n    rrl-whitelist-ratelimit: 0\n\
         remote-control:\n    control-enable: no\n\
         zone:\n    name: {APEX}\n    zonefile: {zone}\n"
    )
}

fn bind(task: &Task<'_>) -> String {
    let (folder, zone, port) = (task.folder.display(), task.zone.display(), task.port);
    let (key, rights) = if task.takes_updates {
        (
            format!("key bench {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n"),
            "update-policy { grant bench zonesub A; };",
        )
    } else {
        (String::new(), "")
    };
    format!(
        "{key}options {{ directory \"{folder}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
         pid-file none; recursion no; session-keyfile none; managed-keys-directory \"{folder}\"; \
         dnssec-validation no; notify no; }};\n\
         controls {{ }};\nlogging {{ category default {{ null; }}; category update {{ null; }}; \
         category update-security {{ null; }}; }};\n\
         zone \"{APEX}\" {{ type primary; file \"{zone}\"; {rights} }};\n"
    )
}

fn hickory(task: &Task<'_>) -> String {
    let (folder, zone, port) = (task.folder.display(), task.zone.display(), task.port);
    format!(
        "listen_addrs_ipv4 = [\"127.0.0.1\"]\nlisten_port = {port}\ndirectory = \"{folder}\"\n\
         user = \"root\"\ngroup = \"root\"\n\n\
         [[zones]]\nzone = \"{APEX}\"\nzone_type = \"Primary\"\n\
         stores = {{ type = \"file\", zone_path = \"{zone}\" }}\n"
    )
}
