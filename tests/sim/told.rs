//! Inputs as one readable line each, for a failure's report.

use gatehouse::election::Input;

use super::transcript::{message, node};

/// One input.
pub fn input(input: &Input) -> String {
    match input {
        Input::Tick => "tick".into(),
        Input::Received { from: _, datagram } => {
            format!("{} from {} term {}", message(&datagram.message), node(datagram.node), datagram.term)
        }
        Input::AddressSeen { mac } => format!("address seen at {mac}"),
        Input::Link { up } => format!("link {}", if *up { "up" } else { "down" }),
        Input::FenceRestored => "fence restored".into(),
        Input::Health(health) => format!("health {}", health.0),
        Input::GiveUp => "give-up".into(),
        Input::Stop => "stop".into(),
        Input::Reload(settings) => {
            format!("reload priority {} lease {:?}", settings.priority.0, settings.timing.lease)
        }
        Input::Failed(failure) => format!("failed {failure:?}").to_lowercase(),
    }
}
