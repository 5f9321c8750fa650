//! The fence: one nftables table of family `netdev` on the LAN interface, by netlink.
//!
//! Its egress chain sees marked beacons leave and renews the lease of the address they name; both chains drop what
//! would make this machine answer for an address whose lease has run out (`rules`). Frames of the macvlan pass the
//! LAN interface's hooks too, so one table guards both.
//!
//! **Invariant:** the table is only ever replaced in one transaction, with empty leases: the gate is shut afterwards.
//! Where the kernel can (6.9), the table belongs to this process, so that no other program can remove it, and outlives
//! it, so that a killed daemon stays fenced.

mod mark;
mod rules;

use std::io;

use crate::netlink::{Attributes, Message, Requests, Writer};
use crate::plan::{FenceSpec, SeenFence};
use mark::{Mark, recognise};
use rules::{Chain, LEASE4, LEASE6};

/// `NETLINK_NETFILTER`.
pub(crate) const FAMILY: isize = 12;
/// The bit of the group `NFNLGRP_NFTABLES`.
pub(crate) const GROUP: u32 = 1 << 6;

/// Why the fence could not be changed or read.
#[derive(Debug, thiserror::Error)]
pub enum NftError {
    /// This process lacks CAP_NET_ADMIN in the network namespace. Nothing was changed.
    #[error("no permission to change nftables")]
    Permission,
    /// The kernel has no nftables, or no egress hook (5.16). Nothing was changed.
    #[error("this kernel has no nftables with a netdev egress hook (linux 5.16 or later, CONFIG_NF_TABLES_NETDEV)")]
    Unsupported(#[source] io::Error),
    /// The table belongs to another running process: two daemons on one interface. Nothing was changed.
    #[error("the nftables table `{0}` belongs to another running process")]
    Taken(String),
    /// The kernel refused. Nothing was changed.
    #[error("the kernel refused to change nftables")]
    Refused(#[source] io::Error),
}

/// Whether the table is protected from other programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protection {
    /// Owned by this process where the kernel can, else open.
    #[default]
    Owned,
    /// Anybody may change it, as on kernels before 6.9; it is watched and put back.
    Open,
}

/// The door to nftables for one interface.
pub(crate) struct Nft {
    requests: Requests,
    table: String,
    protection: Protection,
    installed: bool,
}

impl Nft {
    /// Opens the door; asks the kernel one harmless question to see whether it is locked.
    pub(crate) fn open(interface: &str, protection: Protection) -> Result<Nft, NftError> {
        let mut requests = Requests::open(FAMILY).map_err(NftError::Unsupported)?;
        requests.ask(kind(GETGEN), 0, &header(UNSPEC)).map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM) => NftError::Permission,
            _ => NftError::Unsupported(error),
        })?;
        Ok(Nft { requests, table: FenceSpec::table(interface), protection, installed: false })
    }

    /// The port that this process's own changes are notified with.
    pub(crate) fn port(&self) -> u32 {
        self.requests.port()
    }

    /// What is there. A table that this process did not put there counts as broken; one that belongs to another
    /// running process is an error.
    pub(crate) fn see(&mut self) -> Result<SeenFence, NftError> {
        let table = match self.requests.ask(kind(GETTABLE), 0, &self.named_table()) {
            Ok(table) => table,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(SeenFence::Absent),
            Err(error) => return Err(NftError::Refused(error)),
        };
        let number = |kind| {
            let bytes = table.iter().find_map(|message| attribute(message, kind)?.first_chunk().copied());
            bytes.map(u32::from_be_bytes)
        };
        if number(TABLE_OWNER).is_some_and(|owner| owner != self.port()) {
            return Err(NftError::Taken(self.table.clone()));
        }
        let dormant = number(TABLE_FLAGS).is_some_and(|flags| flags & TABLE_F_DORMANT != 0);
        if dormant || !self.installed {
            return Ok(SeenFence::Broken);
        }
        let rules = self.requests.dump(kind(GETRULE), &self.named_table()).map_err(NftError::Refused)?;
        Ok(recognise(&rules, &self.table))
    }

    /// Puts a new table in the place of whatever has its name.
    pub(crate) fn put(&mut self, spec: &FenceSpec) -> Result<(), NftError> {
        // The table may come or go between the look and the change.
        for _ in 0..3 {
            let exists = self.see()? != SeenFence::Absent;
            let flags = match self.protection {
                Protection::Owned => TABLE_F_OWNER | TABLE_F_PERSIST,
                Protection::Open => 0,
            };
            let table = self.table.clone();
            let result = self.transact(|batch| {
                if exists {
                    batch.change(DELTABLE, 0, |w| w.text(TABLE_NAME, &table));
                }
                batch.create(spec, &table, flags);
                batch.rules(spec, &table);
            });
            match result.as_ref().map_err(io::Error::raw_os_error) {
                Ok(()) => {
                    self.installed = true;
                    return Ok(());
                }
                Err(Some(libc::EOPNOTSUPP | libc::EINVAL)) if self.protection == Protection::Owned => {
                    tracing::info!(table, "this kernel cannot protect the fence from other programs; it is watched");
                    self.protection = Protection::Open;
                }
                Err(Some(libc::EOPNOTSUPP)) => return result.map_err(NftError::Unsupported),
                Err(Some(libc::EPERM)) => return Err(NftError::Taken(table)),
                Err(Some(libc::EEXIST | libc::ENOENT)) if self.see().is_ok() => {}
                Err(_) => return result.map_err(NftError::Refused),
            }
        }
        Err(NftError::Refused(io::ErrorKind::ResourceBusy.into()))
    }

    /// Changes the rules and keeps the leases.
    pub(crate) fn change(&mut self, spec: &FenceSpec) -> Result<(), NftError> {
        let table = self.table.clone();
        self.transact(|batch| {
            batch.change(DELRULE, 0, |w| w.text(RULE_TABLE, &table));
            batch.rules(spec, &table);
        })
        .map_err(NftError::Refused)
    }

    /// Takes the table away; it is no error if it is not there.
    pub(crate) fn remove(&mut self) -> Result<(), NftError> {
        let table = self.table.clone();
        match self.transact(|batch| batch.change(DELTABLE, 0, |w| w.text(TABLE_NAME, &table))) {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => Err(NftError::Taken(table)),
            Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(NftError::Refused(error)),
            _ => {
                self.installed = false;
                Ok(())
            }
        }
    }

    /// Ends both leases.
    pub(crate) fn shut(&mut self) -> Result<(), NftError> {
        let table = self.table.clone();
        self.transact(|batch| {
            for set in [LEASE4, LEASE6] {
                batch.change(DELSETELEM, 0, |w| {
                    w.text(ELEMENTS_TABLE, &table);
                    w.text(ELEMENTS_SET, set);
                });
            }
        })
        .map_err(NftError::Refused)
    }

    /// Whether a notification tells of a change to the fence by somebody else.
    pub(crate) fn concerns(&self, message: &Message) -> bool {
        let ours = message.port == self.port();
        let family = message.payload.first() == Some(&NETDEV);
        let name = attribute(message, TABLE_NAME).map(|name| name.strip_suffix(&[0]).unwrap_or(name));
        !ours && family && name == Some(self.table.as_bytes())
    }

    fn named_table(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.raw(&header(NETDEV));
        w.text(TABLE_NAME, &self.table);
        w.into_bytes()
    }

    fn transact(&mut self, build: impl FnOnce(&mut Transaction<'_>)) -> io::Result<()> {
        self.requests.transact(|writer, next| {
            let edge = [UNSPEC, 0, 0, SUBSYSTEM];
            writer.message(BATCH_BEGIN, NLM_F_REQUEST, next(), |w| w.raw(&edge));
            let mut batch = Transaction { writer: &mut *writer, next: &mut *next };
            build(&mut batch);
            writer.message(BATCH_END, NLM_F_REQUEST, next(), |w| w.raw(&edge));
        })
    }
}

struct Transaction<'a> {
    writer: &'a mut Writer,
    next: &'a mut dyn FnMut() -> u32,
}

impl Transaction<'_> {
    /// Every change is acknowledged: 1 KiB of socket buffer each, for some twenty of them.
    fn change(&mut self, message: u8, flags: u16, body: impl FnOnce(&mut Writer)) {
        self.writer.message(kind(message), NLM_F_REQUEST | NLM_F_ACK | flags, (self.next)(), |w| {
            w.raw(&header(NETDEV));
            body(w);
        });
    }

    fn create(&mut self, spec: &FenceSpec, table: &str, flags: u32) {
        self.change(NEWTABLE, NLM_F_CREATE, |w| {
            w.text(TABLE_NAME, table);
            w.number(TABLE_FLAGS, flags);
        });
        for (id, (name, key_type, key_length)) in
            [(LEASE4, TYPE_IPADDR, 4), (LEASE6, TYPE_IP6ADDR, 16)].iter().enumerate()
        {
            self.change(NEWSET, NLM_F_CREATE, |w| {
                w.text(SET_TABLE, table);
                w.text(SET_NAME, name);
                w.number(SET_FLAGS, SET_F_TIMEOUT | SET_F_EVAL);
                w.number(SET_KEY_TYPE, *key_type);
                w.number(SET_KEY_LEN, *key_length);
                w.number(SET_ID, u32::try_from(id).unwrap_or(0) + 1);
                w.nest(SET_DESC, |w| w.number(SET_DESC_SIZE, LEASE_SET_SIZE));
            });
        }
        for (chain, hook, priority) in [(Chain::Ingress, HOOK_INGRESS, FIRST), (Chain::Egress, HOOK_EGRESS, LAST)] {
            self.change(NEWCHAIN, NLM_F_CREATE, |w| {
                w.text(CHAIN_TABLE, table);
                w.text(CHAIN_NAME, chain.name());
                w.nest(CHAIN_HOOK, |w| {
                    w.number(HOOK_HOOKNUM, hook);
                    w.attribute(HOOK_PRIORITY, &priority.to_be_bytes());
                    w.text(HOOK_DEV, &spec.interface);
                });
                w.number(CHAIN_POLICY, NF_ACCEPT);
                w.text(CHAIN_TYPE, "filter");
            });
        }
    }

    fn rules(&mut self, spec: &FenceSpec, table: &str) {
        let rules = rules::rules(spec);
        let mark = Mark { of: rules.len(), index: spec.index, tag: spec.tag() };
        for (number, rule) in rules.iter().enumerate() {
            self.change(NEWRULE, NLM_F_CREATE | NLM_F_APPEND, |w| {
                w.text(RULE_TABLE, table);
                w.text(RULE_CHAIN, rule.chain.name());
                w.nest(RULE_EXPRESSIONS, |w| rule.write(w));
                w.attribute(RULE_USERDATA, &mark.comment(number));
            });
        }
    }
}

fn attribute(message: &Message, kind: u16) -> Option<&[u8]> {
    Attributes::find(message.payload.get(4..)?, kind)
}

fn kind(message: u8) -> u16 {
    u16::from_be_bytes([SUBSYSTEM, message])
}

/// `struct nfgenmsg`.
fn header(family: u8) -> [u8; 4] {
    [family, 0, 0, 0]
}

/// One address is in a lease; expired ones count until the kernel sweeps them, once a second.
const LEASE_SET_SIZE: u32 = 256;
/// Before any other program's ingress chain.
const FIRST: i32 = -500;
/// After any other program's egress chain: a beacon that is dropped there renews nothing.
const LAST: i32 = 500;

// linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_APPEND: u16 = 0x800;
const UNSPEC: u8 = 0;
const NETDEV: u8 = 5;
const SUBSYSTEM: u8 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEWTABLE: u8 = 0;
const GETTABLE: u8 = 1;
const DELTABLE: u8 = 2;
const NEWCHAIN: u8 = 3;
const NEWRULE: u8 = 6;
const GETRULE: u8 = 7;
const DELRULE: u8 = 8;
const NEWSET: u8 = 9;
const DELSETELEM: u8 = 14;
const GETGEN: u8 = 16;
const TABLE_NAME: u16 = 1;
const TABLE_FLAGS: u16 = 2;
const TABLE_OWNER: u16 = 7;
const TABLE_F_DORMANT: u32 = 1;
const TABLE_F_OWNER: u32 = 2;
const TABLE_F_PERSIST: u32 = 4;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_HOOKNUM: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const HOOK_DEV: u16 = 3;
const HOOK_INGRESS: u32 = 0;
const HOOK_EGRESS: u32 = 1;
const NF_ACCEPT: u32 = 1;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USERDATA: u16 = 7;
const SET_TABLE: u16 = 1;
const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const SET_F_TIMEOUT: u32 = 0x10;
const SET_F_EVAL: u32 = 0x20;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LEN: u16 = 5;
const SET_DESC: u16 = 9;
const SET_DESC_SIZE: u16 = 1;
const SET_ID: u16 = 10;
const TYPE_IPADDR: u32 = 7;
const TYPE_IP6ADDR: u32 = 8;
const ELEMENTS_TABLE: u16 = 1;
const ELEMENTS_SET: u16 = 2;
