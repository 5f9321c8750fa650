//! Asks the LAN who has an address, and the kernel which gateway it uses; independent of any DMZ address.
//!
//! These questions are asked from an ordinary runtime and may take their time, so the kernel's come by the `rtnetlink`
//! crate; what a takeover waits for goes straight to the kernel instead (`route`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage};
use rtnetlink::{Handle, RouteMessageBuilder};

use crate::MacBytes;
use crate::frame;
use crate::packet::Tap;
use crate::route::Route;

/// A question or its answer may be lost: it is asked this often within the timeout.
const QUESTIONS: u32 = 3;

/// The hardware address that answers for `target` on `interface`, by ARP or neighbour discovery; `None` when nobody
/// answers within `timeout`. Must run inside a tokio runtime with time.
///
/// # Errors
/// Without CAP_NET_RAW, without the interface, or when it is down.
pub async fn arp_resolve(interface: &str, target: IpAddr, timeout: Duration) -> io::Result<Option<MacBytes>> {
    let link = Route::open()?.link(interface)?.ok_or(io::ErrorKind::NotFound)?;
    let own = link.mac.ok_or(io::ErrorKind::Unsupported)?;
    let (tap, question) = match target {
        IpAddr::V4(target) => (Tap::open(link.index, Some(target), None)?, frame::arp_probe(own, target)),
        IpAddr::V6(target) => (Tap::open(link.index, None, Some(target))?, frame::neighbor_probe(own, target)),
    };
    for _ in 0..QUESTIONS {
        tap.send(link.index, &question)?;
        let answer = tokio::time::timeout(timeout / QUESTIONS, first_answer(&tap)).await;
        if let Ok(answer) = answer {
            return answer.map(Some);
        }
    }
    Ok(None)
}

/// The gateway of this machine's default route through `interface`, IPv4 before IPv6.
///
/// # Errors
/// When the kernel cannot be asked, or there is no such interface.
pub async fn default_gateway(interface: &str) -> io::Result<Option<IpAddr>> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let connection = tokio::spawn(connection);
    let gateway = gateway_through(&handle, interface).await;
    connection.abort();
    gateway
}

async fn gateway_through(handle: &Handle, interface: &str) -> io::Result<Option<IpAddr>> {
    let mut links = std::pin::pin!(handle.link().get().match_name(interface.to_owned()).execute());
    let link = links.try_next().await.map_err(plain)?.ok_or(io::ErrorKind::NotFound)?;
    let v4 = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let v6 = RouteMessageBuilder::<Ipv6Addr>::new().build();
    for question in [v4, v6] {
        let routes: Vec<RouteMessage> = handle.route().get(question).execute().try_collect().await.map_err(plain)?;
        let gateways = routes.iter().filter_map(|route| default_route(route, link.header.index));
        if let Some((_, gateway)) = gateways.min_by_key(|(metric, _)| *metric) {
            return Ok(Some(gateway));
        }
    }
    Ok(None)
}

/// The kernel's own word, where there is one.
fn plain(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        error => io::Error::other(error),
    }
}

fn default_route(route: &RouteMessage, index: u32) -> Option<(u32, IpAddr)> {
    if route.header.destination_prefix_length != 0 || route.header.table != RouteHeader::RT_TABLE_MAIN {
        return None;
    }
    let mut through = None;
    let mut metric = 0;
    let mut gateway = None;
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => through = Some(*index),
            RouteAttribute::Priority(value) => metric = *value,
            RouteAttribute::Gateway(RouteAddress::Inet(ip)) => gateway = Some(IpAddr::V4(*ip)),
            RouteAttribute::Gateway(RouteAddress::Inet6(ip)) => gateway = Some(IpAddr::V6(*ip)),
            _ => {}
        }
    }
    (through == Some(index)).then_some(())?;
    Some((metric, gateway?))
}

async fn first_answer(tap: &Tap) -> io::Result<MacBytes> {
    loop {
        tap.readable().await?;
        if let Some(claim) = tap.take().first() {
            return Ok(claim.mac);
        }
    }
}
