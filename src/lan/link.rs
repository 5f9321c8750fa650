//! The LAN interface as the driver sees it: its coming and going, and what is made anew with it.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::Warning;
use super::driver::{Driver, Site};
use super::record::Recorder;
use super::site::election_settings;
use super::sockets::{Sockets, Wanted};
use crate::clock;
use crate::config::MacMode;
use crate::election::{Input, Machine};
use crate::units::Mac;
use crate::wire::{Intake, Outbox};

impl Driver {
    /// The interface can carry packets, or can not: the sockets, the site and the election follow.
    pub(super) async fn link_changed(&mut self, up: bool) {
        let index = self.means.kernel.index();
        let about_link = |warning: &Warning| {
            matches!(warning, Warning::InterfaceMissing(_) | Warning::LinkDown(_) | Warning::NoHardwareAddress(_))
        };
        let name = self.plan.lan.interface.clone();
        let wrong = match (index, self.means.kernel.nic_mac()) {
            (None, _) => Some(Warning::InterfaceMissing(name)),
            (Some(_), _) if !up => Some(Warning::LinkDown(name)),
            (Some(_), None) => Some(Warning::NoHardwareAddress(name)),
            (Some(_), Some(_)) => None,
        };
        self.means.warnings.clear(|warning| about_link(warning) && Some(warning) != wrong.as_ref());
        if let Some(wrong) = wrong {
            self.means.warnings.raise(wrong);
        }
        if up {
            self.open_sockets();
            if self.site.is_none() {
                self.found_site();
            }
        }
        self.step(Input::Link { up }).await;
        self.follow_nic().await;
    }

    /// Joins the groups on the interface as it is now. What cannot be opened is tried again at the next resync.
    pub(super) fn open_sockets(&mut self) {
        let Some(index) = self.means.kernel.index() else { return };
        let lan = &self.plan.lan;
        let port = lan.group_v4.map_or(0, |group| group.port());
        let broadcast = lan.broadcast.then(|| SocketAddrV4::new(Ipv4Addr::BROADCAST, port));
        let wanted = Wanted {
            interface: lan.interface.clone(),
            index,
            group_v4: lan.group_v4,
            group_v6: lan.group_v6,
            peers: lan.peers.clone(),
            broadcast,
            mark: self.means.kernel.mark(),
            role: lan.role,
        };
        match Sockets::open(&wanted) {
            Ok(sockets) => {
                self.means.sockets = Some(sockets);
                self.means.warnings.clear(|warning| matches!(warning, Warning::Network(_)));
            }
            Err(error) => {
                let text = format!(
                    "the LAN sockets on {} could not be opened: {error}; trying again every few seconds",
                    lan.interface
                );
                self.means.warnings.clear(|warning| matches!(warning, Warning::Network(other) if *other != text));
                self.means.warnings.raise(Warning::Network(text));
            }
        }
    }

    /// The interface is there: now it is known who this member is.
    fn found_site(&mut self) {
        let Some(nic) = self.means.kernel.nic_mac() else { return };
        let identity = self.plan.identity;
        let node = identity.node(Mac(nic));
        let settings = election_settings(&self.plan, node, Mac(nic));
        let seed = clock::seed();
        let mut machine = Machine::new(settings.clone(), identity.term, seed);
        let mut recorder = Recorder::none();
        if let Some(path) = &self.plan.record {
            match Recorder::start(path, &settings, identity.term, seed) {
                Ok(started) => recorder = started,
                Err(error) => self.means.warnings.raise(Warning::Record(format!("{}: {error}", path.display()))),
            }
        }
        let health = *self.health.borrow_and_update();
        let mut effects = Vec::new();
        let (now, input) = (clock::now(), Input::Health(health));
        machine.step(now, input.clone(), &mut effects);
        recorder.step(now, &input, &effects);
        self.means.outbox = Outbox::new(self.plan.key.clone(), settings.site, node, identity.epoch);
        let intake = Intake::new(self.plan.key.public(), settings.site, node, identity.epoch);
        self.site = Some(Site { machine, intake, recorder });
    }

    /// With `mac = "nic"` the address answers from the interface's own hardware address, which may have changed.
    async fn follow_nic(&mut self) {
        let (Some(site), Some(nic)) = (&self.site, self.means.kernel.nic_mac().map(Mac)) else { return };
        let now = site.machine.settings();
        if self.plan.dmz.mac == MacMode::Nic && now.mac != nic {
            let settings = election_settings(&self.plan, now.node, nic);
            self.step(Input::Reload(Box::new(settings))).await;
        }
    }
}
