//! The table, the JSON and the picture.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use gatehouse::demo::measure::{Figures, median_and_max};
use serde_json::json;

use crate::cases::{Case, Outcome, Subject};

/// One case with all that its runs showed.
pub struct Row {
    /// What was done.
    pub case: Case,
    /// What came of it, run by run.
    pub outcomes: Vec<Outcome>,
    /// Runs that did not get as far as the fault, and why.
    pub failures: Vec<String>,
}

impl Row {
    /// A case that has not run yet.
    pub fn new(case: Case) -> Row {
        Row { case, outcomes: Vec::new(), failures: Vec::new() }
    }

    fn first(&self, value: impl Fn(&Figures) -> f64) -> Vec<f64> {
        self.outcomes.iter().map(|outcome| value(&outcome.first)).collect()
    }

    fn second(&self, value: impl Fn(&Figures) -> f64) -> Vec<f64> {
        self.outcomes.iter().filter_map(|outcome| outcome.second.as_ref()).map(value).collect()
    }
}

/// Writes `failover.md`, `failover.json` and `failover.svg` into a folder.
pub fn write(folder: &Path, rows: &[Row]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("failover.md"), table(rows))?;
    fs::write(folder.join("failover.json"), format!("{:#}\n", document(rows)))?;
    fs::write(folder.join("failover.svg"), picture(rows))
}

/// A table for people: median/maximum in milliseconds, or in pieces where the head says so.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| fault | daemon | members | n | base gap | gap | change gap | takeover | lost | lost after | dual ARP | apart | dual address \
         | old answers | heal base gap | heal gap | heal dual ARP | holders |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let takeovers: Vec<f64> = row.outcomes.iter().filter_map(|outcome| outcome.first.takeover_ms).collect();
        let changes: Vec<f64> = row.outcomes.iter().filter_map(|outcome| outcome.first.change_gap_ms).collect();
        let failed = if row.failures.is_empty() { String::new() } else { format!(" ({} failed)", row.failures.len()) };
        let holders: Vec<f64> = row.outcomes.iter().map(|outcome| outcome.holders as f64).collect();
        let cells = [
            cell(&row.first(|f| f.base_gap_ms)),
            cell(&row.first(|f| f.gap_ms)),
            cell(&changes),
            cell(&takeovers),
            cell(&row.first(|f| f.lost as f64)),
            cell(&row.first(|f| f.lost_after_takeover as f64)),
            cell(&row.first(|f| f.dual_arp_ms)),
            cell(&row.first(|f| f.dual_arp_apart_ms)),
            cell(&row.first(|f| f.dual_address_ms)),
            cell(&row.first(|f| f.old_answers as f64)),
            cell(&row.second(|f| f.base_gap_ms)),
            cell(&row.second(|f| f.gap_ms)),
            cell(&row.second(|f| f.dual_arp_ms)),
            cell(&holders),
        ];
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {}{failed} | {} |",
            row.case.fault.name(),
            row.case.subject.software().name(),
            row.case.members,
            row.outcomes.len(),
            cells.join(" | "),
        );
    }
    text
}

fn cell(values: &[f64]) -> String {
    median_and_max(values).map_or_else(|| "-".to_owned(), |(median, max)| format!("{}/{}", short(median), short(max)))
}

fn short(value: f64) -> String {
    if value.fract() == 0.0 || value >= 10.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn document(rows: &[Row]) -> serde_json::Value {
    let row = |row: &Row| {
        json!({
            "fault": row.case.fault,
            "daemon": row.case.subject.software().name(),
            "members": row.case.members,
            "runs": row.outcomes,
            "failures": row.failures,
        })
    };
    json!({ "unit": "milliseconds", "rows": rows.iter().map(row).collect::<Vec<_>>() })
}

const LEFT: usize = 250;
const WIDTH: usize = 560;
const BAR: usize = 20;
/// Bars are drawn on a logarithmic scale from 1 ms to 10 s.
const DECADES: f64 = 4.0;

/// Bars of median gaps with their maxima, one block per fault.
pub fn picture(rows: &[Row]) -> String {
    let mut body = String::new();
    let mut y = 84;
    let mut fault = None;
    for row in rows.iter().filter(|row| !row.outcomes.is_empty()) {
        if fault != Some(row.case.fault) {
            fault = Some(row.case.fault);
            y += 34;
            let _ = writeln!(body, r#"<text class="h" x="24" y="{}">{}</text>"#, y - 8, row.case.fault.name());
        }
        bar(&mut body, y, row);
        y += BAR;
    }
    let (height, total) = (y + 24, LEFT + WIDTH + 150);
    let mut text = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{height}" viewBox="0 0 {total} {height}">
<style>
  text {{ font: 12px system-ui, sans-serif; fill: #334155 }}
  .t {{ font-size: 17px; font-weight: 600; fill: #0f172a }} .h {{ font-weight: 600; fill: #0f172a }}
  .e {{ text-anchor: end }} .n {{ fill: #64748b; font-variant-numeric: tabular-nums }} .m {{ text-anchor: middle }}
</style>
<rect width="{total}" height="{height}" fill="#ffffff"/>
<text class="t" x="24" y="34">How long a client behind the router waits</text>
<text class="n" x="24" y="54">longest gap between two answers; bar: median, whisker: maximum; ring: the second wait, when the fault is put right; dark: two machines answer at once</text>
"##
    );
    for (power, label) in ["1 ms", "10 ms", "100 ms", "1 s", "10 s"].iter().enumerate() {
        let x = LEFT + WIDTH * power / 4;
        let _ = writeln!(text, r##"<line x1="{x}" x2="{x}" y1="88" y2="{}" stroke="#e2e8f0"/>"##, y + 4);
        let _ = writeln!(text, r#"<text class="n m" x="{x}" y="82">{label}</text>"#);
    }
    text.push_str(&body);
    text.push_str("</svg>\n");
    text
}

fn bar(body: &mut String, y: usize, row: &Row) {
    let (gap, gap_max) = median_and_max(&row.first(|f| f.gap_ms)).unwrap_or_default();
    let (dual, _) = median_and_max(&row.first(|f| f.dual_arp_ms)).unwrap_or_default();
    let colour = match row.case.subject {
        Subject::Gatehouse(_) => "#0d9488",
        Subject::Keepalived(..) => "#94a3b8",
        Subject::Ucarp(_) => "#cbd5e1",
    };
    let name = format!("{} ({})", row.case.subject.software().name(), row.case.members);
    let (left, middle) = (LEFT as f64, y + 8);
    let _ = writeln!(body, r#"<text class="e" x="{}" y="{}">{name}</text>"#, LEFT - 10, y + 12);
    let _ =
        writeln!(body, r#"<rect x="{LEFT}" y="{y}" width="{:.1}" height="14" rx="2" fill="{colour}"/>"#, along(gap));
    if dual > 0.0 {
        let width = along(dual);
        let _ = writeln!(body, r##"<rect x="{LEFT}" y="{}" width="{width:.1}" height="4" fill="#7f1d1d"/>"##, y + 10);
    }
    let (from, to) = (left + along(gap), left + along(gap_max));
    let _ = writeln!(body, r##"<path d="M{from:.1} {middle}H{to:.1}m0 -4v8" stroke="#475569" fill="none"/>"##);
    if let Some((second, _)) = median_and_max(&row.second(|f| f.gap_ms)) {
        let x = left + along(second);
        let _ = writeln!(
            body,
            r##"<circle cx="{x:.1}" cy="{}" r="4" fill="#fff" stroke="#b45309" stroke-width="1.6"/>"##,
            y + 7
        );
    }
    let label = format!("{} / {} ms", short(gap), short(gap_max));
    let _ =
        writeln!(body, r#"<text class="n" x="{:.1}" y="{}">{label}</text>"#, to.max(left + along(dual)) + 8.0, y + 12);
}

fn along(millis: f64) -> f64 {
    (millis.max(1.0).log10() / DECADES).min(1.0) * WIDTH as f64
}
