//! What goes into the election and what comes out of it.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::settings::Settings;
use crate::units::{Health, Mac, NodeId, Term, Time};
use crate::wire::{Datagram, DmzAddresses, Message};

/// Something that happened. Serialisable: a recorded list of inputs replays exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// A deadline passed, or nothing did: a spurious tick is harmless. **Whatever has arrived is handed over before a
    /// tick is**: a claim that rests on silence must not overlook what lies in a socket's buffer.
    Tick,
    /// A datagram came whose signature and freshness were checked.
    Received {
        /// Where it came from; answers go there.
        from: SocketAddr,
        /// What it says.
        datagram: Datagram,
    },
    /// Somebody answered an ARP probe, a neighbour solicitation or a ping for the DMZ address, or announced it.
    AddressSeen {
        /// The hardware address that answers for it.
        mac: Mac,
    },
    /// The LAN interface can (not) carry packets.
    Link {
        /// Whether it can.
        up: bool,
    },
    /// The fence was flushed by another program and has been put back: the gate is shut.
    FenceRestored,
    /// The checks' verdict on this member changed.
    Health(Health),
    /// Hand the address over to somebody else and stay.
    GiveUp,
    /// Hand the address over and leave the site.
    Stop,
    /// New settings; `node`, `site`, `dmz` and `role` are the same as before.
    Reload(Box<Settings>),
    /// An effect could not be performed; the effects after it in its list were not performed either.
    Failed(Failure),
}

/// The effect that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// [`Effect::Configure`].
    Configure,
    /// [`Effect::ShutGate`].
    ShutGate,
    /// [`Effect::Deconfigure`].
    Deconfigure,
    /// [`Effect::SetLease`]: the kernel may grant the lease of before or, a moment later, this one.
    SetLease,
    /// [`Effect::Send`] of a beacon to the group: it did not leave, also when it would have left too late. A beacon
    /// to one member is dropped silently instead.
    Beacon,
}

/// Something to do. The order of a list of effects is part of its meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Put the DMZ addresses on this machine. The gate stays as it is.
    Configure,
    /// Take the DMZ addresses off this machine.
    Deconfigure,
    /// End the lease now: the kernel no longer answers.
    ShutGate,
    /// Let the kernel keep the gate open for so long after a beacon, from the next one on. The last one of its list.
    SetLease(Duration),
    /// Send a message. A beacon opens the gate when it leaves, or keeps it open.
    Send {
        /// To whom.
        to: Dest,
        /// The term to put into the datagram.
        term: Term,
        /// What to say.
        message: Message,
        /// Do not send after this moment; report [`Failure::Beacon`] instead. Only beacons have one.
        not_after: Option<Time>,
    },
    /// Tell the LAN which hardware address answers: one gratuitous ARP request and reply, one unsolicited NA.
    Announce,
    /// Ask the wire who answers for the DMZ address: ARP probe, neighbour solicitation, ping.
    Probe,
    /// Tell people.
    Note(Note),
    /// The machine has left the site and everything is undone; only after [`Input::Stop`].
    Finished,
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dest {
    /// The multicast group, and every configured unicast peer.
    Group,
    /// One member.
    Unicast(SocketAddr),
}

/// A change that an operator would tell a colleague.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// This member's state changed.
    Role {
        /// What it was.
        from: State,
        /// What it is.
        to: State,
        /// Why.
        reason: Reason,
    },
    /// Another member holds now, or nobody is known to.
    Holder {
        /// Who.
        node: Option<NodeId>,
        /// In which term.
        term: Term,
    },
    /// A member was heard for the first time.
    Joined {
        /// Who.
        node: NodeId,
        /// Its name.
        name: String,
    },
    /// A member left or was not heard for too long.
    Left {
        /// Who.
        node: NodeId,
        /// Its name.
        name: String,
        /// Whether it said so.
        announced: bool,
    },
    /// A machine that is no member uses the DMZ address.
    Stranger {
        /// Its hardware address.
        mac: Mac,
        /// The addresses concerned.
        dmz: DmzAddresses,
    },
    /// This member holds now.
    Takeover {
        /// How long the holder before had been silent, if there was one.
        silence: Option<Duration>,
        /// Why.
        reason: Reason,
    },
    /// A beacon left later than the lease lasted: the gate was shut for a moment.
    LateBeacon {
        /// How long the gate was shut at least, in microseconds.
        shut_micros: u64,
    },
    /// Nobody can take the address over.
    GiveUpRefused,
}

/// Where the machine is; the drawing is in [`super`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The LAN interface is missing or has no carrier.
    Down,
    /// Never holds, only watches.
    Observer,
    /// Finding out at start whether the address is taken.
    Probing,
    /// Somebody else holds.
    Standby,
    /// The holder is silent; it is being asked.
    Suspecting,
    /// The holder is about to hand over to this member: configured, gate shut.
    Prepared,
    /// Holds.
    Holding,
    /// Holds, and is handing over.
    HandingOver,
    /// Nobody is known to hold: asks everyone before it does. Also whoever was frozen for longer than its lease.
    Asking,
    /// A stranger uses the address.
    Conflict,
    /// Has left the site.
    Stopped,
}

/// Why a state changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The daemon started, or the link came up.
    Start,
    /// Nobody answers for the address.
    AddressFree,
    /// A holder was heard.
    HolderHeard,
    /// The holder fell silent.
    HolderSilent,
    /// The holder answered a question.
    HolderAnswered,
    /// The holder said it released the address.
    HolderReleased,
    /// The holder handed it over.
    HandedOver,
    /// Someone asked for it (`give-up`).
    GiveUp,
    /// A healthier member is there.
    Health,
    /// A member of higher priority is there.
    Priority,
    /// The daemon is stopping.
    Stop,
    /// Another holder with a higher claim was heard.
    OutrankedByHolder,
    /// This member was frozen for longer than its lease.
    Frozen,
    /// The link went down.
    LinkDown,
    /// A stranger answered for the address.
    Stranger,
    /// The stranger is gone.
    StrangerGone,
    /// The address could not be put on this machine.
    CannotConfigure,
}
