//! Does things to a site and keeps book: from a script, or from the keys of the live screen.

use std::time::Duration;

use super::client::sleep_until;
use super::inside::orphaned;
use super::measure::{BASE, Figures, Record, Stretch, Window, millis};
use super::member::Member;
use super::site::Site;
use super::story::{Act, ActResult, Story};
use super::timeline::Mark;
use crate::clock;
use crate::units::Time;

/// Everything done to a site so far.
#[derive(Debug)]
pub struct Book {
    /// When it was opened.
    pub begin: Time,
    done: Vec<Done>,
    holder: Option<Member>,
}

/// One thing done.
#[derive(Debug)]
pub struct Done {
    /// What.
    pub act: Act,
    /// When.
    pub at: Time,
    /// To whom.
    pub member: Option<Member>,
    /// Who answered the client then.
    pub holder: Option<Member>,
    /// Why it could not be done, if it could not.
    pub error: Option<String>,
}

impl Book {
    /// An empty book, opened now.
    pub fn open() -> Book {
        Book { begin: clock::now(), done: Vec::new(), holder: None }
    }

    /// Does an act now; `tell` hears of it first.
    pub fn act(&mut self, site: &mut Site, act: &Act, tell: impl FnOnce(&Act, Option<Member>)) {
        // Between two holders nobody answers; an act then is about the one who did last.
        self.holder = site.holder().or(self.holder);
        let last = self.done.last().and_then(|done| done.member);
        let member = act.to.resolve(self.holder, last, site.lan().members());
        tell(act, member);
        let at = clock::now();
        let error = match member {
            Some(member) => site.apply(act.deed, member).err().map(|error| format!("{error:#}")),
            None => Some("nobody is there to do it to".to_owned()),
        };
        self.done.push(Done { act: act.clone(), at, member, holder: self.holder, error });
    }

    /// Everything done, oldest first.
    pub fn done(&self) -> &[Done] {
        &self.done
    }

    /// What came of each act until the next one, the last one until `end`.
    pub fn results(&self, record: &Record, end: Time) -> Vec<ActResult> {
        let ends = self.done.iter().skip(1).map(|next| next.at).chain([end]);
        self.done.iter().zip(ends).map(|(done, end)| done.result(self.begin, end, record)).collect()
    }
}

impl Done {
    /// What was seen from this act until `end`.
    pub fn figures(&self, record: &Record, end: Time) -> Figures {
        let calm = Stretch::before(self.at, BASE);
        record.figures(Window { fault: self.at, end, holder: self.holder, calm })
    }

    /// Its place in a picture.
    pub fn mark(&self, figures: &Figures) -> Mark {
        Mark {
            at: self.at,
            deed: self.act.deed,
            member: self.member,
            gap_ms: figures.gap_ms,
            dual_ms: figures.dual_arp_ms,
        }
    }

    fn result(&self, begin: Time, end: Time, record: &Record) -> ActResult {
        ActResult {
            act: self.act.clone(),
            at_ms: millis(self.at.since(begin)),
            member: self.member,
            error: self.error.clone(),
            figures: self.figures(record, end),
        }
    }
}

/// Performs a story; `tell` hears of each act as it begins. Ends early when the outer process is gone.
pub fn perform(site: &mut Site, story: &Story, mut tell: impl FnMut(&Act, Option<Member>)) -> Book {
    let mut book = Book::open();
    sleep_until(book.begin + PRELUDE);
    for act in &story.acts {
        if orphaned() {
            break;
        }
        let next = clock::now() + act.watch;
        book.act(site, act, &mut tell);
        sleep_until(next);
    }
    book
}

/// The calm before the first act, which its base gap is taken from.
const PRELUDE: Duration = BASE;
