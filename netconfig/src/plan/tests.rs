//! Every state of a small world, and the plans that a reader should know by heart.

use super::*;
use crate::fake;

#[test]
fn from_every_state_the_wanted_one_is_reached_and_stays() {
    let mut count = 0;
    for_every_state(|seen, wanted| {
        count += 1;
        let mut now = seen.clone();
        for step in plan(&seen, &wanted) {
            apply(&mut now, &wanted, &step);
        }
        assert_eq!(plan(&now, &wanted), [], "from {seen:?} for {wanted:?}");
        if let Some(nic) = &seen.nic {
            let there: Vec<Address> = now.addresses.iter().filter(|a| is_dmz(&wanted, a.ip)).copied().collect();
            let mut right = if wanted.configured && nic.up { dmz_addresses(&now, &wanted) } else { Vec::new() };
            right.sort();
            assert_eq!(there, right, "from {seen:?} for {wanted:?}");
        }
    });
    assert!(count > 5_000, "the world is not empty: {count}");
}

#[test]
fn after_a_crash_between_any_two_steps_no_address_is_without_its_fence() {
    for_every_state(|seen, wanted| {
        let Some(nic) = &seen.nic else { return };
        let spec = fence_spec(&wanted, nic.index);
        let right = SeenFence::Intact { index: spec.index, tag: spec.tag() };
        let mut now = seen.clone();
        for step in plan(&seen, &wanted) {
            apply(&mut now, &wanted, &step);
            let fenced = now.fence == right;
            assert!(fenced || !has_dmz(&now, &wanted), "after {step:?} from {seen:?} for {wanted:?}");
            let mut again = now.clone();
            for step in plan(&now, &wanted) {
                apply(&mut again, &wanted, &step);
            }
            assert_eq!(plan(&again, &wanted), [], "a later start goes on from there");
        }
    });
}

#[test]
fn removal_leaves_nothing_and_takes_the_fence_last() {
    for_every_state(|seen, wanted| {
        let restore: BTreeMap<Sysctl, String> = seen.sysctls.keys().map(|key| (key.clone(), "7".to_owned())).collect();
        let mut now = seen.clone();
        for step in removal(&seen, &wanted, &restore) {
            assert!(step != Step::RemoveFence || !has_dmz(&now, &wanted), "from {seen:?}");
            apply(&mut now, &wanted, &step);
        }
        assert_eq!((now.carrier.is_some(), now.fence, has_dmz(&now, &wanted)), (false, SeenFence::Absent, false));
        assert!(now.sysctls.values().all(|value| value.as_deref().is_none_or(|value| value == "7")), "{now:?}");
        assert_eq!(removal(&now, &wanted, &restore), []);
    });
}

#[test]
fn the_first_plan_fences_then_carries() {
    let (seen, wanted) = (fake::seen(), fake::wanted());
    let steps = plan(&seen, &wanted);
    let names: Vec<&str> = steps.iter().map(name).collect();
    let settings = ["set"; 9];
    assert_eq!(names, [&["fence", "carrier"][..], &settings, &["up"]].concat());
}

#[test]
fn a_takeover_only_adds_addresses() {
    let (mut seen, mut wanted) = ready();
    wanted.configured = true;
    let steps = plan(&seen, &wanted);
    let v4 = Address { on: Place::Carrier, ip: [192, 168, 1, 11].into(), prefix: 24, routed: false };
    let v6 = Address { on: Place::Carrier, ip: "fd00::11".parse().unwrap(), prefix: 64, routed: true };
    assert_eq!(
        steps,
        [Step::AddAddress(v4), Step::AddAddress(v6)],
        "the machine has its own IPv4 address, no IPv6 one"
    );
    steps.iter().for_each(|step| apply(&mut seen, &wanted, step));
    wanted.configured = false;
    assert_eq!(plan(&seen, &wanted), [Step::DeleteAddress(v4), Step::DeleteAddress(v6)]);
}

#[test]
fn a_new_lease_changes_rules_and_a_new_card_gets_a_new_fence() {
    let (mut seen, mut wanted) = ready();
    wanted.fence.lease *= 2;
    assert!(matches!(plan(&seen, &wanted).as_slice(), [Step::ChangeFence(_)]));
    seen.nic.as_mut().unwrap().index = 9;
    assert!(matches!(plan(&seen, &wanted).first(), Some(Step::PutFence(_))));
}

fn name(step: &Step) -> &'static str {
    match step {
        Step::PutFence(_) | Step::ChangeFence(_) => "fence",
        Step::RemoveFence => "no fence",
        Step::CreateCarrier { .. } => "carrier",
        Step::DeleteCarrier => "no carrier",
        Step::CarrierUp => "up",
        Step::SetSysctl { .. } => "set",
        Step::AddAddress(_) => "address",
        Step::DeleteAddress(_) => "no address",
    }
}

/// A machine on which everything but the address is as wanted.
fn ready() -> (Seen, Wanted) {
    let (mut seen, wanted) = (fake::seen(), fake::wanted());
    for step in plan(&seen, &wanted) {
        apply(&mut seen, &wanted, &step);
    }
    (seen, wanted)
}

fn has_dmz(seen: &Seen, wanted: &Wanted) -> bool {
    seen.addresses.iter().any(|address| is_dmz(wanted, address.ip))
}

/// Every combination of wishes, devices, addresses, fences and settings.
fn for_every_state(mut check: impl FnMut(Seen, Wanted)) {
    for wanted in wishes() {
        for (nic, carrier) in devices(&wanted) {
            for addresses in subsets(&possible_addresses(carrier.is_some())) {
                for fence in fences(&wanted) {
                    for sysctls in setting_states(&wanted, nic.is_some(), carrier.is_some()) {
                        let addresses = if nic.is_some() { addresses.clone() } else { BTreeSet::new() };
                        check(
                            Seen { nic: nic.clone(), carrier: carrier.clone(), addresses, fence, sysctls },
                            wanted.clone(),
                        );
                    }
                }
            }
        }
    }
}

fn wishes() -> Vec<Wanted> {
    let mut all = Vec::new();
    for carrier in [fake::wanted().carrier, Carrier::Nic] {
        for (v4, v6) in [(true, true), (true, false), (false, true)] {
            for configured in [false, true] {
                let base = fake::wanted();
                let (v4, v6) = (base.v4.filter(|_| v4), base.v6.filter(|_| v6));
                all.push(Wanted { carrier: carrier.clone(), v4, v6, configured, ..base });
            }
        }
    }
    all
}

fn devices(wanted: &Wanted) -> Vec<(Option<Link>, Option<Link>)> {
    let nic = fake::seen().nic.unwrap();
    let down = Link { up: false, running: false, ..nic.clone() };
    let mut all = vec![(None, None), (Some(down), None), (Some(nic.clone()), None)];
    if let Carrier::Macvlan { mac, .. } = wanted.carrier {
        let right = Link { index: 3, mac: Some(mac), up: true, running: true, private_on: Some(nic.index) };
        let down = Link { up: false, running: false, ..right.clone() };
        let wrong_mac = Link { mac: Some([2; 6]), ..right.clone() };
        let wrong_parent = Link { private_on: Some(77), ..right.clone() };
        all.extend([right, down, wrong_mac, wrong_parent].map(|carrier| (Some(nic.clone()), Some(carrier))));
    }
    all
}

fn possible_addresses(with_carrier: bool) -> Vec<Address> {
    let v4 = [192, 168, 1, 11].into();
    let v6 = "fd00::11".parse().unwrap();
    let mut all = vec![
        Address { on: Place::Nic, ip: [192, 168, 1, 2].into(), prefix: 24, routed: true },
        Address { on: Place::Nic, ip: v4, prefix: 24, routed: true },
    ];
    if with_carrier {
        all.extend([
            Address { on: Place::Carrier, ip: v4, prefix: 24, routed: false },
            Address { on: Place::Carrier, ip: v6, prefix: 64, routed: true },
        ]);
    }
    all
}

fn subsets(addresses: &[Address]) -> Vec<BTreeSet<Address>> {
    (0..1_u32 << addresses.len())
        .map(|bits| {
            let chosen = addresses.iter().enumerate().filter(|(number, _)| bits & 1 << number != 0);
            chosen.map(|(_, address)| *address).collect()
        })
        .collect()
}

fn fences(wanted: &Wanted) -> Vec<SeenFence> {
    let spec = fence_spec(wanted, 2);
    let tag = spec.tag();
    vec![
        SeenFence::Absent,
        SeenFence::Broken,
        SeenFence::Intact { index: 2, tag },
        SeenFence::Intact { index: 2, tag: !tag },
        SeenFence::Intact { index: 9, tag },
    ]
}

fn setting_states(wanted: &Wanted, nic: bool, carrier: bool) -> Vec<BTreeMap<Sysctl, Option<String>>> {
    let all = |value: fn(&'static str) -> Option<String>| -> BTreeMap<Sysctl, Option<String>> {
        let there = settings(wanted).into_iter().filter(|(key, _)| {
            let on_carrier = carrier_name(wanted).is_some_and(|name| key.concerns(name));
            if on_carrier { carrier } else { nic }
        });
        there.map(|(key, right)| (key, value(right))).collect()
    };
    vec![all(|right| Some(right.to_owned())), all(|_| Some("5".to_owned())), all(|_| None)]
}
