//! What the picture is drawn with: frames, axes, colours.

use std::fmt::Write as _;
use std::time::Duration;

use crate::demo::measure::millis;
use crate::demo::member::Member;
use crate::units::Time;

/// A stretch of time on paper.
pub struct Frame {
    /// Its left edge.
    pub x: f64,
    /// Its upper edge.
    pub y: f64,
    /// Its width.
    pub width: f64,
    /// The moment at the left edge.
    pub from: Time,
    /// The moment at the right edge.
    pub to: Time,
}

impl Frame {
    /// Where a moment is; moments outside are at the edges.
    pub fn x_of(&self, at: Time) -> f64 {
        let whole = self.to.since(self.from).as_secs_f64().max(1e-9);
        self.x + (at.since(self.from).as_secs_f64() / whole).min(1.0) * self.width
    }
}

/// Draws the time axis of a frame: a line each `step`, counted from `zero` after the left edge.
pub fn time_axis(body: &mut String, frame: &Frame, height: f64, (step, zero): (Duration, Duration)) {
    let count = frame.to.since(frame.from).as_millis() / step.as_millis().max(1);
    // A long story gets fewer labels, not smaller ones.
    let stride = usize::try_from(count / 24 + 1).unwrap_or(1);
    for index in (0..=u32::try_from(count).unwrap_or(0)).step_by(stride) {
        let offset = step * index;
        let (x, bottom) = (frame.x_of(frame.from + offset), frame.y + height + 5.0);
        let _ = writeln!(body, r#"<line class="g" x1="{x:.1}" x2="{x:.1}" y1="{:.1}" y2="{bottom:.1}"/>"#, frame.y);
        let label = if zero.is_zero() {
            format!("{} s", offset.as_secs())
        } else {
            format!("{:.0}", millis(offset) - millis(zero))
        };
        let _ = writeln!(body, r#"<text class="s m" x="{x:.1}" y="{:.1}">{label}</text>"#, bottom + 12.0);
    }
}

/// Draws a rectangle: left, top, width, height.
pub fn rectangle(body: &mut String, (x, y, width, height): (f64, f64, f64, f64), fill: &str, opacity: f64) {
    let opacity = if opacity < 1.0 { format!(r#" opacity="{opacity}""#) } else { String::new() };
    let _ = writeln!(
        body,
        r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{fill}"{opacity}/>"#
    );
}

/// The colour of a member; more members than colours begin again.
pub fn colour(member: Member) -> &'static str {
    COLOURS[member.index() % COLOURS.len()]
}

/// Text that may stand between tags.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Told apart also by the colour-blind.
const COLOURS: [&str; 8] = ["#0f766e", "#d97706", "#4338ca", "#be185d", "#4d7c0f", "#0369a1", "#a16207", "#7e22ce"];

/// How texts and lines look, and the hatching of a member that nobody reaches.
pub const STYLE: &str = "<style>
text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #334155 }
.t { font-size: 20px; font-weight: 650; fill: #0f172a }
.h { font-size: 14px; font-weight: 600; fill: #0f172a }
.b { font-weight: 600; fill: #0f172a }
.s { font-size: 11px; fill: #64748b; font-variant-numeric: tabular-nums }
.e { text-anchor: end } .m { text-anchor: middle }
.g { stroke: #e2e8f0 } .f { stroke: #b91c1c; stroke-width: 1.2 } .r { stroke: #64748b; stroke-dasharray: 3 3 }
.bad { fill: #b91c1c }
</style>
<defs><pattern id='apart' width='6' height='6' patternUnits='userSpaceOnUse' patternTransform='rotate(45)'>
<rect width='2.4' height='6' fill='#fff' opacity='.75'/></pattern></defs>";
