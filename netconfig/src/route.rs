//! Links, addresses and routes over rtnetlink: one function for each question and each change.

use std::io;

use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, CacheInfo};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoMacVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::MacBytes;
use crate::netlink::{Message, Requests};
use crate::plan::{Address, Link, Place};

/// `NETLINK_ROUTE`.
pub(crate) const FAMILY: isize = 0;
/// The bits of the groups `RTNLGRP_LINK`, `RTNLGRP_IPV4_IFADDR` and `RTNLGRP_IPV6_IFADDR`.
pub(crate) const GROUPS: u32 = 1 | 1 << 4 | 1 << 8;

/// How long an address stays when nobody renews it; whole seconds is what the kernel counts in.
const VALID_SECONDS: u32 = 2;
/// What people see as the macvlan's alias.
const ALIAS: &str = "gatehouse";

const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;

/// The door to rtnetlink.
pub(crate) struct Route {
    requests: Requests,
}

impl Route {
    /// Opens the door.
    pub(crate) fn open() -> io::Result<Route> {
        Ok(Route { requests: Requests::open(FAMILY)? })
    }

    /// The port that this process's own changes are notified with.
    pub(crate) fn port(&self) -> u32 {
        self.requests.port()
    }

    /// The link of this name, if there is one.
    pub(crate) fn link(&mut self, name: &str) -> io::Result<Option<Link>> {
        let mut ask = LinkMessage::default();
        ask.attributes.push(LinkAttribute::IfName(name.to_owned()));
        let answer = match self.perform(RouteNetlinkMessage::GetLink(ask), 0) {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(None),
            answer => answer?,
        };
        Ok(answer.iter().find_map(|message| match parse(message) {
            Some(RouteNetlinkMessage::NewLink(link)) => Some(describe(&link)),
            _ => None,
        }))
    }

    /// All addresses on a link.
    pub(crate) fn addresses(&mut self, index: u32, on: Place) -> io::Result<Vec<Address>> {
        let mut ask = AddressMessage::default();
        ask.header.index = index;
        let ask = RouteNetlinkMessage::GetAddress(ask);
        let answer = self.requests.dump(ask.message_type(), &payload(&ask))?;
        Ok(answer
            .iter()
            .filter_map(|message| match parse(message) {
                Some(RouteNetlinkMessage::NewAddress(address)) if address.header.index == index => {
                    read_address(&address, on)
                }
                _ => None,
            })
            .collect())
    }

    /// Makes a macvlan in private mode: what it sends and hears passes the parent's hooks, never a sibling.
    pub(crate) fn create_macvlan(&mut self, parent: u32, name: &str, mac: MacBytes) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Link(parent),
            LinkAttribute::Address(mac.to_vec()),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::MacVlan),
                LinkInfo::Data(InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Private)])),
            ]),
        ];
        self.perform(RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL)?;
        let mut alias = LinkMessage::default();
        alias.attributes = vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::IfAlias(ALIAS.to_owned())];
        self.perform(RouteNetlinkMessage::SetLink(alias), 0).map(|_| ())
    }

    /// Deletes a link; it is no error if it is gone.
    pub(crate) fn delete_link(&mut self, name: &str) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(name.to_owned()));
        let result = self.perform(RouteNetlinkMessage::DelLink(link), 0);
        forgive(result, &[libc::ENODEV])
    }

    /// Sets a link up.
    pub(crate) fn set_up(&mut self, name: &str) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        link.attributes.push(LinkAttribute::IfName(name.to_owned()));
        self.perform(RouteNetlinkMessage::SetLink(link), 0).map(|_| ())
    }

    /// Puts an address on a link for [`VALID_SECONDS`], or renews it.
    pub(crate) fn put_address(&mut self, index: u32, address: &Address) -> io::Result<()> {
        let mut message = address_message(index, address);
        let mut flags = AddressFlags::empty();
        if !address.routed {
            flags |= AddressFlags::Noprefixroute;
        }
        let mut lifetime = CacheInfo::default();
        lifetime.ifa_valid = VALID_SECONDS;
        lifetime.ifa_preferred = VALID_SECONDS;
        if address.ip.is_ipv6() {
            // Whether it is free has been asked on the wire. Deprecated: never the sender of this machine's own talk.
            flags |= AddressFlags::Nodad;
            lifetime.ifa_preferred = 0;
        }
        message.attributes.push(AddressAttribute::Flags(flags));
        message.attributes.push(AddressAttribute::CacheInfo(lifetime));
        self.perform(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE).map(|_| ())
    }

    /// Takes an address off a link; it is no error if either is gone.
    pub(crate) fn delete_address(&mut self, index: u32, address: &Address) -> io::Result<()> {
        let message = address_message(index, address);
        let result = self.perform(RouteNetlinkMessage::DelAddress(message), 0);
        forgive(result, &[libc::EADDRNOTAVAIL, libc::ENODEV])
    }

    fn perform(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<Message>> {
        self.requests.ask(message.message_type(), flags, &payload(&message))
    }
}

fn payload(message: &RouteNetlinkMessage) -> Vec<u8> {
    let mut bytes = vec![0; NetlinkSerializable::buffer_len(message)];
    message.serialize(&mut bytes);
    bytes
}

/// A message in a form that is not known is as good as none.
fn parse(message: &Message) -> Option<RouteNetlinkMessage> {
    let mut header = NetlinkHeader::default();
    header.message_type = message.kind;
    RouteNetlinkMessage::deserialize(&header, &message.payload).ok()
}

/// Whether a notification tells of a link, or of an address on one, that is `ours` by its index or, where that is told,
/// its name. One that cannot be read may be.
pub(crate) fn concerns(message: &Message, ours: impl Fn(u32, Option<&str>) -> bool) -> bool {
    match parse(message) {
        Some(RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link)) => {
            let name = link.attributes.iter().find_map(|attribute| match attribute {
                LinkAttribute::IfName(name) => Some(name.as_str()),
                _ => None,
            });
            ours(link.header.index, name)
        }
        Some(RouteNetlinkMessage::NewAddress(address) | RouteNetlinkMessage::DelAddress(address)) => {
            ours(address.header.index, None)
        }
        Some(_) => false,
        None => true,
    }
}

/// The index of a link that can no longer carry packets by this notification, and whether it is still administratively
/// up.
pub(crate) fn lost_link(message: &Message) -> Option<(u32, bool)> {
    let (link, gone) = match parse(message)? {
        RouteNetlinkMessage::NewLink(link) => (link, false),
        RouteNetlinkMessage::DelLink(link) => (link, true),
        _ => return None,
    };
    // A port that leaves a bridge is told of as a link that goes, in the bridge's family.
    if link.header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let Link { index, up, running, .. } = describe(&link);
    (gone || !running).then_some((index, up && !gone))
}

fn describe(link: &LinkMessage) -> Link {
    let flags = link.header.flags;
    let mut parent = None;
    let mut private = false;
    let mut mac = None;
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::Address(bytes) => mac = MacBytes::try_from(bytes.as_slice()).ok(),
            LinkAttribute::Link(index) => parent = Some(*index),
            LinkAttribute::LinkInfo(infos) => {
                private = infos.iter().any(|info| match info {
                    LinkInfo::Data(InfoData::MacVlan(data)) => data.contains(&InfoMacVlan::Mode(MacVlanMode::Private)),
                    _ => false,
                });
            }
            _ => {}
        }
    }
    Link {
        index: link.header.index,
        mac,
        up: flags.contains(LinkFlags::Up),
        running: flags.contains(LinkFlags::Up | LinkFlags::Running),
        private_on: parent.filter(|_| private),
    }
}

fn read_address(message: &AddressMessage, on: Place) -> Option<Address> {
    let mut local = None;
    let mut peer = None;
    let mut routed = true;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Address(ip) => peer = Some(*ip),
            AddressAttribute::Flags(flags) => routed = !flags.contains(AddressFlags::Noprefixroute),
            _ => {}
        }
    }
    Some(Address { on, ip: local.or(peer)?, prefix: message.header.prefix_len, routed })
}

fn address_message(index: u32, address: &Address) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = address.prefix;
    message.header.family = if address.ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.attributes = vec![AddressAttribute::Local(address.ip), AddressAttribute::Address(address.ip)];
    message
}

fn forgive<T>(result: io::Result<T>, codes: &[i32]) -> io::Result<()> {
    match result {
        Err(error) if !error.raw_os_error().is_some_and(|code| codes.contains(&code)) => Err(error),
        _ => Ok(()),
    }
}
