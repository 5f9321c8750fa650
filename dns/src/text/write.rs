//! A zone as a master file.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::{Names, rdata};
use crate::name::NameRef;
use crate::record::{RecordSet, Rtype};
use crate::zone::{Node, Zone};

/// The owner's column is as wide as the longest name, but no wider than this.
const MAX_COLUMN: usize = 40;

/// Writes a zone: the SOA record first, then the names in canonical order, a line for each record, in columns.
///
/// # Errors
/// Those of the sink, to which a few lines go at a time.
pub fn write_zone(zone: &Zone, names: Names<'_>, sink: &mut dyn Write) -> io::Result<()> {
    let nodes = zone.sorted();
    let mut lines = Lines { names, column: 1, owner: String::new(), text: String::new() };
    lines.column = nodes.iter().map(|node| lines.width(node.name())).max().unwrap_or(1).min(MAX_COLUMN);
    if let Names::Relative(origin) = names {
        writeln!(sink, "$ORIGIN {origin}")?;
    }
    for node in nodes {
        let (first, others): (Vec<_>, Vec<_>) =
            node.entries().iter().partition(|entry| entry.set.rtype() == Rtype::SOA);
        for entry in first.into_iter().chain(others) {
            for set in std::iter::once(&entry.set).chain(entry.signatures.as_deref()) {
                lines.set(node, set);
            }
        }
        sink.write_all(lines.text.as_bytes())?;
        lines.text.clear();
    }
    sink.flush()
}

struct Lines<'a> {
    names: Names<'a>,
    column: usize,
    owner: String,
    text: String,
}

impl Lines<'_> {
    fn width(&mut self, name: NameRef<'_>) -> usize {
        self.owner.clear();
        self.names.show(name, &mut self.owner);
        self.owner.len()
    }

    fn set(&mut self, node: &Node, set: &RecordSet) {
        self.width(node.name());
        for octets in set.rdata() {
            let (owner, column) = (&self.owner, self.column);
            let _ = write!(self.text, "{owner:column$} {:>6} IN {:<6} ", set.ttl(), set.rtype());
            rdata::write(set.rtype(), octets, self.names, &mut self.text);
            self.text.push('\n');
        }
    }
}

impl Names<'_> {
    /// Appends a name.
    pub(super) fn show(self, name: NameRef<'_>, out: &mut String) {
        let _ = match self {
            // The origin would be read in its own case.
            Self::Relative(origin) if !origin.is_root() && name.wire().ends_with(origin.wire()) => {
                match name.strip(origin) {
                    Some([]) => out.write_char('@'),
                    Some(_) => name.write_relative(origin.label_count(), out),
                    None => write!(out, "{name}"),
                }
            }
            _ => write!(out, "{name}"),
        };
    }
}
