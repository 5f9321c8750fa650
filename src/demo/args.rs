//! What can be typed after `gatehouse demo`.

use std::path::PathBuf;

use clap::ValueHint;

use super::member::MAX_MEMBERS;
use super::software::Profile;

/// A site of its own on this machine: members, a router, and a client who notices everything.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// How many members the site has (3, or what the story says)
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=MAX_MEMBERS as i64))]
    pub members: Option<u8>,
    /// How fast the members notice that the holder is gone
    #[arg(long, value_enum, default_value_t)]
    pub profile: Profile,
    /// Perform this story instead of showing the live screen: a file, or one of tour, cut, blackhole, kill, freeze,
    /// stop, give-up
    #[arg(long, value_name = "FILE|NAME", value_hint = ValueHint::FilePath)]
    pub script: Option<PathBuf>,
    /// Print what came of it as JSON
    #[arg(long)]
    pub json: bool,
    /// Write a picture of who answered when
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub svg: Option<PathBuf>,
}
