//! What can be done to a member of the demo's site.

use serde::{Deserialize, Serialize};

/// Something done to one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// SIGKILL to its daemon; the kernel lives on.
    Kill,
    /// SIGSTOP to its daemon.
    Freeze,
    /// SIGCONT to its daemon.
    Thaw,
    /// Its cable is pulled: no carrier.
    Cut,
    /// Its frames are dropped silently; the link looks fine.
    Blackhole,
    /// Cable and switch work again.
    Heal,
    /// SIGTERM to its daemon.
    Stop,
    /// Its daemon is started again.
    Restart,
    /// It is asked to hand the address over.
    GiveUp,
}

impl Deed {
    /// All of them.
    pub const ALL: [Deed; 9] = [
        Deed::Kill,
        Deed::Freeze,
        Deed::Thaw,
        Deed::Cut,
        Deed::Blackhole,
        Deed::Heal,
        Deed::Stop,
        Deed::Restart,
        Deed::GiveUp,
    ];

    /// Whether it takes something away, rather than giving it back.
    pub fn is_fault(self) -> bool {
        !matches!(self, Deed::Thaw | Deed::Heal | Deed::Restart)
    }

    /// Its name in stories and tables.
    pub fn name(self) -> &'static str {
        match self {
            Deed::Kill => "kill",
            Deed::Freeze => "freeze",
            Deed::Thaw => "thaw",
            Deed::Cut => "cut",
            Deed::Blackhole => "blackhole",
            Deed::Heal => "heal",
            Deed::Stop => "stop",
            Deed::Restart => "restart",
            Deed::GiveUp => "give-up",
        }
    }
}
