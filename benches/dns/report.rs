//! The table, the JSON and the picture.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use gatehouse::demo::measure::median_and_max;
use serde_json::json;

use crate::cases::{Case, Figures, Scene};
use crate::peers::Subject;

/// One case with what its rounds showed.
pub struct Row {
    pub case: Case,
    pub figures: Vec<Figures>,
}

/// A column: its head and its value.
type Column = (&'static str, fn(&Figures) -> Option<f64>);

const SMALL: &[Column] = &[
    ("answers/s", |f| f.rate),
    ("CPU µs/answer", |f| f.cpu_us),
    ("lost ‰", |f| f.lost_permille),
    ("NXDOMAIN/s", |f| f.missing_rate),
    ("CPU µs/NXDOMAIN", |f| f.missing_cpu_us),
    ("p50 µs", |f| f.median_us),
    ("p99 µs", |f| f.p99_us),
    ("idle MB", |f| f.idle_mb),
    ("loaded MB", |f| f.loaded_mb),
];
const LARGE: &[Column] = &[
    ("load ms", |f| f.load_ms),
    ("answers/s", |f| f.rate),
    ("CPU µs/answer", |f| f.cpu_us),
    ("lost ‰", |f| f.lost_permille),
    ("idle MB", |f| f.idle_mb),
    ("loaded MB", |f| f.loaded_mb),
];
const UPDATES: &[Column] = &[
    ("updates/s, 1 open", |f| f.updates_one),
    ("updates/s, 50 open", |f| f.updates_fifty),
    ("p50 µs", |f| f.median_us),
    ("p99 µs", |f| f.p99_us),
    ("storm p50 µs", |f| f.storm_median_us),
    ("storm p99 µs", |f| f.storm_p99_us),
    ("storm lost", |f| f.storm_lost),
    ("idle MB", |f| f.idle_mb),
    ("loaded MB", |f| f.loaded_mb),
];

impl Row {
    /// A case that has not run yet.
    pub fn new(case: Case) -> Self {
        Self { case, figures: Vec::new() }
    }

    fn median(&self, value: fn(&Figures) -> Option<f64>) -> Option<(f64, f64)> {
        median_and_max(&self.figures.iter().filter_map(value).collect::<Vec<_>>())
    }
}

/// Writes `dns.md`, `dns.json` and `dns.svg` into a folder.
pub fn write(folder: &Path, rows: &[Row]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("dns.md"), table(rows))?;
    fs::write(folder.join("dns.json"), format!("{:#}\n", document(rows)))?;
    fs::write(folder.join("dns.svg"), picture(rows))
}

/// Tables for people, one for each situation: medians over the rounds.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    for (scene, title, columns) in [
        (Scene::Small, "A zone of a thousand names", SMALL),
        (Scene::Large, "A zone of a million names", LARGE),
        (Scene::Updates, "Signed updates, each on disk before it is answered", UPDATES),
    ] {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.case.scene == scene).collect();
        if rows.is_empty() {
            continue;
        }
        let heads: Vec<&str> = columns.iter().map(|(head, _)| *head).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "## {title}\n\n| server | n | {} |", heads.join(" | "));
        let _ = writeln!(text, "|---|---|{}", "---|".repeat(columns.len()));
        for row in rows {
            let cell = |value| row.median(value).map_or_else(|| "-".to_owned(), |(median, _)| short(median));
            let cells: Vec<String> = columns.iter().map(|(_, value)| cell(*value)).collect();
            let _ = writeln!(text, "| {} | {} | {} |", row.case.subject.name(), row.figures.len(), cells.join(" | "));
        }
        text.push('\n');
    }
    text
}

fn short(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn document(rows: &[Row]) -> serde_json::Value {
    let row = |row: &Row| json!({ "server": row.case.subject, "scene": row.case.scene, "rounds": row.figures });
    json!({ "rows": rows.iter().map(row).collect::<Vec<_>>() })
}

const LEFT: usize = 120;
const WIDTH: usize = 480;
const BAR: usize = 22;

/// Bars: the processor time of an answer, and the answers of a core, for the small zone.
fn picture(rows: &[Row]) -> String {
    let (mut body, mut y) = (String::new(), 64);
    let rows: Vec<&Row> = rows.iter().filter(|row| row.case.scene == Scene::Small).collect();
    for (title, value) in [
        ("processor time of an answer, in microseconds: less is better", (|f| f.cpu_us) as fn(&Figures) -> Option<f64>),
        ("answers a second from one core", |f| f.rate),
        ("megabytes after the load", |f| f.loaded_mb),
    ] {
        let longest = rows.iter().filter_map(|row| row.median(value)).map(|(_, max)| max).fold(1.0, f64::max);
        let _ = writeln!(body, r#"<text class="h" x="24" y="{y}">{title}</text>"#);
        y += 10;
        for row in &rows {
            let Some((median, _)) = row.median(value) else { continue };
            let (width, middle) = (median / longest * WIDTH as f64, y + 13);
            let colour = if row.case.subject == Subject::Gatehouse { "#0d9488" } else { "#94a3b8" };
            let name = row.case.subject.name();
            let _ = writeln!(body, r#"<text class="e" x="{}" y="{middle}">{name}</text>"#, LEFT - 10);
            let _ =
                writeln!(body, r#"<rect x="{LEFT}" y="{y}" width="{width:.1}" height="16" rx="2" fill="{colour}"/>"#);
            let x = LEFT as f64 + width + 8.0;
            let _ = writeln!(body, r#"<text class="n" x="{x:.1}" y="{middle}">{}</text>"#, short(median));
            y += BAR;
        }
        y += 26;
    }
    let total = LEFT + WIDTH + 100;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{y}" viewBox="0 0 {total} {y}">
<style>
  text {{ font: 12px system-ui, sans-serif; fill: #334155 }}
  .t {{ font-size: 17px; font-weight: 600; fill: #0f172a }} .h {{ font-weight: 600; fill: #0f172a }}
  .e {{ text-anchor: end }} .n {{ fill: #64748b; font-variant-numeric: tabular-nums }}
</style>
<rect width="{total}" height="{y}" fill="#ffffff"/>
<text class="t" x="24" y="34">DNS over UDP, one core for the server</text>
{body}</svg>
"##
    )
}
