//! The fabric: nodes on any machines of any sites that trust one key, and the engines on them, which find, start and
//! call each other as if they were in one place.
//!
//! Nothing here knows of sites, elections or DNS; the daemon joins the two.

pub mod clock;
pub mod durable;
pub mod identity;
pub mod random;
pub mod transport;
pub mod units;
pub mod wire;
