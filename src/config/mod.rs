//! Text to settings that cannot be wrong.

mod settings;

pub use settings::{Check, CheckProbe, Cost, Dmz, KeySource, Lan, MacMode, Settings};
