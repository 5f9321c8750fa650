//! `gatehouse demo`: a whole site on one machine, with faults to order and a client who notices.
//!
//! The same parts serve the labs (`tests/lab`) and the benchmark (`benches/failover`): a LAN of its own
//! ([`net`]) inside private namespaces ([`inside`]), what runs on its members ([`software`], [`site`]), who watches
//! ([`client`], [`witness`]) and what is made of it ([`measure`], [`story`], [`timeline`]).

mod args;
pub mod client;
pub mod command;
pub mod daemon;
pub mod deed;
pub mod inside;
pub mod measure;
pub mod member;
pub mod net;
mod packet;
mod play;
mod screen;
pub mod server;
pub mod site;
pub mod software;
pub mod stage;
pub mod status;
pub mod story;
pub mod timeline;
pub mod witness;
mod worker;

pub use args::DemoArgs;
pub use play::run;
