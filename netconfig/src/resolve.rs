//! Asks the LAN who has an address, and the kernel which gateway it uses; independent of any DMZ address.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

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
    let mut route = Route::open()?;
    let link = route.link(interface)?.ok_or(io::ErrorKind::NotFound)?;
    route.default_gateway(link.index)
}

async fn first_answer(tap: &Tap) -> io::Result<MacBytes> {
    loop {
        tap.readable().await?;
        if let Some(claim) = tap.take().first() {
            return Ok(claim.mac);
        }
    }
}
