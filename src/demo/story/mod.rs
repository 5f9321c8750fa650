//! A story: what is done to whom, one act after the other, and what came of each.
//!
//! Pure: text to acts, results to a table. A story is a TOML file:
//! ```toml
//! members = 3                      # unless the command line says otherwise
//! [[act]]
//! say = "somebody trips over the holder's cable"
//! do = "cut"                       # kill freeze thaw cut blackhole heal stop restart give-up
//! to = "holder"                    # holder, standby, last (whom the act before was about) or m1, m2 …
//! watch = "2s"                     # how long until the next act
//! ```

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::deed::Deed;
use super::measure::Figures;
use super::member::Member;
use crate::config::{DurationError, parse_duration};

/// A story has at most this many acts.
pub const MAX_ACTS: usize = 100;
/// No act is watched longer.
pub const MAX_WATCH: Duration = Duration::from_secs(60);

/// The stories that are always there, and their texts.
pub const BUILTIN: &[(&str, &str)] = &[
    ("tour", include_str!("builtin/tour.toml")),
    ("cut", include_str!("builtin/cut.toml")),
    ("blackhole", include_str!("builtin/blackhole.toml")),
    ("kill", include_str!("builtin/kill.toml")),
    ("freeze", include_str!("builtin/freeze.toml")),
    ("stop", include_str!("builtin/stop.toml")),
    ("give-up", include_str!("builtin/give-up.toml")),
];

/// A whole story.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Story {
    /// How many members it wants.
    pub members: Option<usize>,
    /// What happens, in order.
    #[serde(rename = "act")]
    pub acts: Vec<Act>,
}

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Act {
    /// What is said of it.
    #[serde(default)]
    pub say: String,
    /// What is done.
    #[serde(rename = "do")]
    pub deed: Deed,
    /// To whom.
    #[serde(default)]
    pub to: Target,
    /// How long it is watched before the next act.
    #[serde(default = "usual_watch", with = "span")]
    pub watch: Duration,
}

/// Whom an act is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    /// Who answers the client when the act begins.
    #[default]
    Holder,
    /// The first member that does not.
    Standby,
    /// Whom the act before was about.
    Last,
    /// This one.
    Member(Member),
}

/// What came of an act.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActResult {
    /// The act.
    #[serde(flatten)]
    pub act: Act,
    /// Milliseconds since the story began.
    pub at_ms: f64,
    /// Whom it was about in the end.
    pub member: Option<Member>,
    /// Why it could not be done, if it could not.
    pub error: Option<String>,
    /// What the client and the witnesses saw until the next act.
    pub figures: Figures,
}

/// Why a text is no story.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// It is not the TOML described above.
    #[error("not a story: {0}")]
    Shape(#[from] Box<toml::de::Error>),
    /// Nothing happens in it.
    #[error("a story has at least one [[act]]")]
    Empty,
    /// Too much happens in it.
    #[error("a story has at most {MAX_ACTS} acts")]
    TooLong,
    /// An act is watched for too long.
    #[error("an act is watched for at most {MAX_WATCH:?}")]
    WatchTooLong,
}

impl Story {
    /// The story that a text tells.
    ///
    /// # Errors
    /// The first thing wrong with it.
    pub fn parse(text: &str) -> Result<Story, StoryError> {
        let story: Story = toml::from_str(text).map_err(Box::new)?;
        match story.acts.len() {
            0 => Err(StoryError::Empty),
            count if count > MAX_ACTS => Err(StoryError::TooLong),
            _ if story.acts.iter().any(|act| act.watch > MAX_WATCH) => Err(StoryError::WatchTooLong),
            _ => Ok(story),
        }
    }

    /// The builtin story of that name.
    pub fn builtin(name: &str) -> Option<&'static str> {
        BUILTIN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }
}

impl Target {
    /// Who is meant, if anybody is there to be meant.
    pub fn resolve(self, holder: Option<Member>, last: Option<Member>, members: &[Member]) -> Option<Member> {
        match self {
            Target::Holder => holder,
            Target::Standby => members.iter().copied().find(|member| Some(*member) != holder),
            Target::Last => last,
            Target::Member(member) => Some(member).filter(|member| members.contains(member)),
        }
    }
}

impl TryFrom<String> for Target {
    type Error = TargetError;
    fn try_from(text: String) -> Result<Target, TargetError> {
        match text.as_str() {
            "holder" => Ok(Target::Holder),
            "standby" => Ok(Target::Standby),
            "last" => Ok(Target::Last),
            _ => Member::try_from(text).map(Target::Member).map_err(|_| TargetError),
        }
    }
}

impl From<Target> for String {
    fn from(target: Target) -> String {
        match target {
            Target::Holder => "holder".to_owned(),
            Target::Standby => "standby".to_owned(),
            Target::Last => "last".to_owned(),
            Target::Member(member) => member.to_string(),
        }
    }
}

/// A text names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an act is about the holder, a standby, the last one, or m1, m2 … m32")]
pub struct TargetError;

/// The results as a table for people.
pub fn table(results: &[ActResult]) -> String {
    let mut text = format!(
        "{:>8}  {:<15} {:>10} {:>10} {:>6} {:>10} {:>13}  {}\n",
        "at", "act", "base gap", "gap", "lost", "takeover", "two answered", "then answers"
    );
    for result in results {
        let who = result.member.map_or_else(String::new, |member| member.to_string());
        let figures = &result.figures;
        let takeover = figures.takeover_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
        let after = match (&result.error, figures.holder_after) {
            (Some(error), _) => format!("could not be done: {error}"),
            (None, Some(member)) => member.to_string(),
            (None, None) => "nobody".to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:>6.2} s  {:<15} {:>7.1} ms {:>7.1} ms {:>6} {:>10} {:>10.0} ms  {}",
            result.at_ms / 1e3,
            format!("{} {who}", result.act.deed.name()),
            figures.base_gap_ms,
            figures.gap_ms,
            figures.lost,
            takeover,
            figures.dual_arp_ms,
            after,
        );
    }
    text
}

/// Whether every act could be done and somebody answered in the end.
pub fn ended_well(results: &[ActResult]) -> bool {
    let done = results.iter().all(|result| result.error.is_none());
    done && results.last().is_some_and(|result| result.figures.holder_after.is_some())
}

fn usual_watch() -> Duration {
    Duration::from_secs(2)
}

mod span {
    use super::{Duration, DurationError, parse_duration};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map_err(|error: DurationError| serde::de::Error::custom(error))
    }

    pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}ms", span.as_millis()))
    }
}
