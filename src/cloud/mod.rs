//! The site's face in DNS: what joins the server of the crate `dns` to this machine and its site.
//!
//! `register` decides what the main server is told of this member and its site, and when; `registration` is its shell,
//! which learns addresses from the sources in `public` and sends updates by `telling`. `dyndns2` takes updates over HTTP
//! from routers. **Invariant:** nothing here knows of elections: the daemon says who holds.

pub mod dyndns2;
mod lookup;
mod public;
pub mod register;
mod registration;
mod telling;

pub use registration::{Plan, Progress, Registration};
