//! The site's shell: sockets, clock and kernel around the election.

pub mod health;
