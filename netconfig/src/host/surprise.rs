//! What the kernel and the LAN say unasked, and what follows from it.
//!
//! A notification is only a reason to look: what happened is read off the difference between two looks
//! ([`surprises`], pure), so a lost, late or repeated one changes nothing. The one exception: a link that is lost is
//! believed at once. A look waits for the kernel's lock and for its thread's turn on a busy machine, and by then the
//! link may be back; whoever was deaf meanwhile would take silence for an answer.

use super::keeper::{Answer, Ended, Keeper};
use super::{Event, Host, Purpose, fence_stands};
use crate::Wanted;
use crate::netlink::Message;
use crate::packet::Tap;
use crate::plan::{self, Address, Place, Seen, SeenFence, Step};
use crate::route;
use crate::seen::SeeError;
use crate::watch::link_events;

impl Host {
    /// Waits for the next thing that happens.
    ///
    /// Cancel-safe: nothing is taken from a socket before all waiting is over, and what was found is kept.
    pub async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return event;
            }
            let ready = tokio::select! {
                ready = self.route_events.readable() => ready,
                ready = self.nft_events.readable() => ready,
                ready = heard(self.tap.as_ref()) => ready,
                answer = self.keeper.answer() => {
                    self.answered(answer);
                    continue;
                }
            };
            if let Err(error) = ready {
                tracing::error!(%error, "cannot wait for notifications");
                std::future::pending::<()>().await;
            }
            self.react();
        }
    }

    fn react(&mut self) {
        let rules = self.nft_events.take();
        if rules.lost || rules.messages.iter().any(|message| self.nft.concerns(message)) {
            self.check_fence();
        }
        let links = self.route_events.take();
        for message in &links.messages {
            self.believe_loss(message);
        }
        if links.lost || links.messages.iter().any(|message| self.concerns(message)) {
            self.look(Purpose::Repair);
        }
        if let Some(tap) = &self.tap {
            let seen = tap.take().into_iter().map(|claim| Event::AddressSeen { mac: claim.mac });
            self.pending.extend(seen);
        }
    }

    /// A link that is lost is no matter of looking.
    fn believe_loss(&mut self, message: &Message) {
        if let (Some(nic), Some((index, up))) = (&mut self.seen.nic, route::lost_link(message))
            && nic.index == index
            && nic.running
        {
            (nic.running, nic.up) = (false, up);
            self.pending.push_back(Event::Link { up: false });
        }
    }

    fn check_fence(&mut self) {
        let Some(index) = self.index() else { return };
        match self.nft.see() {
            Ok(fence) if fence_stands(fence, &self.wanted, index) => return,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "cannot look at the fence"),
        }
        if let Err(error) = self.perform(&Step::PutFence(plan::fence_spec(&self.wanted, index))) {
            tracing::error!(%error, "cannot put the fence back");
            self.pending.push_back(Event::AddressLost);
        }
        self.pending.push_back(Event::FenceLost);
    }

    /// Asks for a look; one at a time, and one more if a reason comes meanwhile.
    pub(super) fn look(&mut self, purpose: Purpose) {
        if self.looking.is_some() {
            self.look_again = self.look_again.max(Some(purpose));
        } else {
            self.looking = Some(purpose);
            if self.keeper.look(self.changes, &self.wanted) == Err(Ended) {
                self.replace_keeper();
            }
        }
    }

    /// Nobody would renew the address, or look: another thread shall, and the caller itself once, for what this one
    /// has left undone. Where none can be started, the next renewal or look tries again.
    pub(super) fn replace_keeper(&mut self) {
        match Keeper::start(self.keeper.kept.clone()) {
            Ok(keeper) => {
                tracing::error!("the thread that renews the address had ended; another one has taken its place");
                self.keeper = keeper;
            }
            Err(error) => tracing::error!(%error, "the thread that renews the address has ended"),
        }
        (self.looking, self.look_again) = (None, None);
        self.pending.push_back(Event::Compared { as_wanted: false });
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Ended => self.replace_keeper(),
            Answer::NotRenewed(error) => {
                tracing::warn!(%error, "an address could not be renewed");
                self.pending.push_back(Event::AddressLost);
            }
            Answer::Looked { changes, devices } => {
                let Some(purpose) = self.looking.take() else { return };
                if let Some(again) = self.look_again.take() {
                    self.look(again.max(purpose));
                } else if changes != self.changes {
                    self.look(purpose);
                } else {
                    self.looked(devices, purpose);
                }
            }
        }
    }

    fn looked(&mut self, devices: Result<Seen, SeeError>, purpose: Purpose) {
        let fence = devices.and_then(|devices| Ok((devices, self.nft.see().map_err(SeeError::Fence)?)));
        let now = match fence {
            Ok((devices, fence)) => Seen { fence, ..devices },
            Err(error) => {
                tracing::warn!(%error, "cannot look at the machine after a change");
                return;
            }
        };
        let before = std::mem::replace(&mut self.seen, now);
        let events = surprises(&before, &self.seen, &self.wanted);
        if let Err(error) = self.open_tap() {
            tracing::warn!(%error, "cannot listen on the LAN interface");
        }
        let steps = plan::plan(&self.seen, &self.wanted);
        if purpose == Purpose::Compare {
            self.pending.extend(events);
            return self.pending.push_back(Event::Compared { as_wanted: steps.is_empty() });
        }
        for step in steps {
            // Whether a lost address comes back is the caller's decision.
            if self.wanted.configured && matches!(step, Step::AddAddress(_) | Step::DeleteAddress(_)) {
                continue;
            }
            if let Err(error) = self.perform(&step) {
                tracing::warn!(%error, ?step, "cannot repair the machine after a change");
                break;
            }
        }
        self.pending.extend(events);
    }

    /// Whether a notification tells of a change to our devices by somebody else.
    fn concerns(&self, message: &Message) -> bool {
        let devices = [&self.seen.nic, &self.seen.carrier];
        let ours = |index: u32, name: Option<&str>| {
            devices.into_iter().flatten().any(|link| link.index == index)
                || name
                    .is_some_and(|name| name == self.wanted.interface || plan::carrier_name(&self.wanted) == Some(name))
        };
        ![self.route.port(), self.keeper.port].contains(&message.port) && route::concerns(message, ours)
    }
}

async fn heard(tap: Option<&Tap>) -> std::io::Result<()> {
    match tap {
        Some(tap) => tap.readable().await,
        None => std::future::pending().await,
    }
}

/// What happened between two looks.
fn surprises(before: &Seen, now: &Seen, wanted: &Wanted) -> Vec<Event> {
    let mut events = link_events(before.nic.as_ref(), now.nic.as_ref());
    let fenced = |seen: &Seen| matches!(seen.fence, SeenFence::Intact { .. });
    if now.nic.is_some() && fenced(before) && !fenced(now) {
        events.push(Event::FenceLost);
    }
    let dmz = |seen: &Seen| {
        let ips = seen.addresses.iter().map(|address| address.ip);
        ips.filter(|ip| plan::is_dmz(wanted, *ip)).count()
    };
    if wanted.configured && dmz(now) < dmz(before) {
        events.push(Event::AddressLost);
    }
    let own = |seen: &Seen| -> Vec<Address> {
        let on_nic = seen.addresses.iter().filter(|address| address.on == Place::Nic);
        on_nic.filter(|address| !plan::is_dmz(wanted, address.ip)).copied().collect()
    };
    if own(before) != own(now) {
        events.push(Event::AddressesChanged);
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    #[test]
    fn a_look_without_change_says_nothing() {
        let wanted = fake::wanted();
        let seen = fake::seen();
        assert_eq!(surprises(&seen, &seen, &wanted), []);
    }

    #[test]
    fn a_replaced_interface_went_down_and_came_up() {
        let before = fake::seen();
        let mut now = before.clone();
        now.nic.as_mut().unwrap().index += 7;
        let events = surprises(&before, &now, &fake::wanted());
        assert_eq!(events, [Event::Link { up: false }, Event::Link { up: true }]);
    }

    #[test]
    fn an_address_is_lost_only_while_it_is_wanted() {
        let mut wanted = fake::wanted();
        let now = fake::seen();
        let mut before = now.clone();
        before.addresses.extend(plan::dmz_addresses(&now, &wanted));
        assert_eq!(surprises(&before, &now, &wanted), []);
        wanted.configured = true;
        assert_eq!(surprises(&before, &now, &wanted), [Event::AddressLost]);
    }

    #[test]
    fn a_lost_fence_is_told_however_it_was_noticed() {
        let now = fake::seen();
        let before = Seen { fence: SeenFence::Intact { index: 2, tag: 7 }, ..now.clone() };
        assert_eq!(surprises(&before, &now, &fake::wanted()), [Event::FenceLost]);
        assert_eq!(surprises(&now, &before, &fake::wanted()), []);
    }

    #[test]
    fn a_new_own_address_is_told() {
        let before = fake::seen();
        let mut now = before.clone();
        now.addresses.insert(Address { on: Place::Nic, ip: [10, 0, 0, 1].into(), prefix: 8, routed: true });
        assert_eq!(surprises(&before, &now, &fake::wanted()), [Event::AddressesChanged]);
    }
}
