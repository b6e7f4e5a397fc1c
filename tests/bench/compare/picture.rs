//! How the costs grow with the number of instances, as a picture.

use std::fmt::Write;

use super::program::{Keepalived, Ours, Program};
use super::results::{Results, Row, number};

/// One diagram.
struct Panel {
    title: &'static str,
    what: &'static str,
    role: &'static str,
    logarithmic: bool,
}

const PANELS: &[Panel] = &[
    Panel { title: "CPU as Active, ms per minute", what: "CPU", role: "Active", logarithmic: false },
    Panel { title: "CPU as Backup, ms per minute", what: "CPU", role: "Backup", logarithmic: false },
    Panel { title: "Memory (PSS), KiB, logarithmic", what: "PSS", role: "Active", logarithmic: true },
    Panel {
        title: "System calls per advert sent",
        what: "System calls per advert",
        role: "Active",
        logarithmic: false,
    },
    Panel {
        title: "System calls per advert received",
        what: "System calls per advert",
        role: "Backup",
        logarithmic: false,
    },
    Panel { title: "Wake-ups per advert sent", what: "Wake-ups per advert", role: "Active", logarithmic: false },
];

const COLUMNS: usize = 3;
/// Of a diagram with what is around it.
const SIZE: (f64, f64) = (340.0, 260.0);
/// Left, top, right and bottom of the diagram itself.
const PLOT: (f64, f64, f64, f64) = (52.0, 40.0, 324.0, 222.0);
const HEAD: f64 = 44.0;
const INK: &str = "#333";

fn look(program: Program) -> (&'static str, &'static str) {
    match program {
        Ours => ("picovrrp", "#1661be"),
        Keepalived => ("keepalived", "#c2570c"),
    }
}

/// The picture of all diagrams.
pub(crate) fn svg(results: &Results) -> String {
    let rows = PANELS.len().div_ceil(COLUMNS);
    let (width, height) = (SIZE.0 * COLUMNS as f64, HEAD + SIZE.1 * rows as f64);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"{INK}\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"16\">How costs grow with the number of instances</text>\n"
    );
    for (at, program) in [Ours, Keepalived].into_iter().enumerate() {
        let ((name, color), x) = (look(program), width - 220.0 + 110.0 * at as f64);
        let _ = writeln!(
            out,
            "<circle cx=\"{x}\" cy=\"21\" r=\"5\" fill=\"{color}\"/><text x=\"{}\" y=\"25\">{name}</text>",
            x + 10.0
        );
    }
    for (at, panel) in PANELS.iter().enumerate() {
        let (x, y) = (SIZE.0 * (at % COLUMNS) as f64, HEAD + SIZE.1 * (at / COLUMNS) as f64);
        let _ = write!(out, "<g transform=\"translate({x} {y})\">\n{}</g>\n", draw(panel, results));
    }
    out += "</svg>\n";
    out
}

/// The value axis: its marks, and where on it a value lies, from 0 to 1.
struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Axis {
    fn of(values: &[f64], logarithmic: bool) -> Self {
        let most = values.iter().copied().fold(0.0, f64::max).max(1e-6);
        if logarithmic {
            let least = values.iter().copied().filter(|v| *v > 0.0).fold(most, f64::min);
            let low = least.log10().floor();
            return Axis { low, high: most.log10().ceil().max(low + 1.0), logarithmic };
        }
        let decade = 10f64.powf(most.log10().floor());
        let high = [1.0, 2.0, 4.0, 5.0, 8.0, 10.0].into_iter().map(|n| n * decade).find(|n| *n >= most);
        Axis { low: 0.0, high: high.unwrap_or(most), logarithmic }
    }

    fn marks(&self) -> Vec<f64> {
        if self.logarithmic {
            (self.low as i32..=self.high as i32).map(|e| 10f64.powi(e)).collect()
        } else {
            (0..=4).map(|n| self.high * f64::from(n) / 4.0).collect()
        }
    }

    fn place(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.max(1e-9).log10() } else { value };
        (value - self.low) / (self.high - self.low)
    }
}

fn draw(panel: &Panel, results: &Results) -> String {
    let role = format!("{}, ", panel.role);
    let chosen = |row: &&Row| row.what == panel.what && row.case.starts_with(&role) && row.instances.is_some();
    let rows: Vec<_> = results.rows.iter().filter(chosen).collect();
    let (left, top, right, bottom) = PLOT;
    let mut out = format!("<text x=\"{left}\" y=\"24\" font-weight=\"bold\">{}</text>\n", panel.title);
    let most = rows.iter().filter_map(|r| r.instances).max().unwrap_or(1);
    let values: Vec<_> = rows.iter().flat_map(|r| [r.median(Ours), r.median(Keepalived)]).flatten().collect();
    let axis = Axis::of(&values, panel.logarithmic);
    let x = |n: u8| left + (right - left) * f64::from(n) / f64::from(most);
    let y = |value: f64| bottom - (bottom - top) * axis.place(value);
    for mark in axis.marks() {
        let at = y(mark);
        let _ = writeln!(
            out,
            "<path d=\"M{left} {at:.1}H{right}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            at + 4.0,
            number(mark)
        );
    }
    for n in rows.iter().filter_map(|r| r.instances) {
        let _ = writeln!(
            out,
            "<path d=\"M{0:.1} {bottom}v4\" stroke=\"{INK}\"/><text x=\"{0:.1}\" y=\"{1}\" text-anchor=\"middle\">{n}</text>",
            x(n),
            bottom + 18.0
        );
    }
    for program in [Keepalived, Ours] {
        let (name, color) = look(program);
        let points: Vec<_> = rows
            .iter()
            .filter_map(|r| Some((r.instances?, r.median(program)?)))
            .map(|(n, v)| (x(n), y(v), n, v))
            .collect();
        let line: Vec<_> = points.iter().map(|(x, y, ..)| format!("{x:.1},{y:.1}")).collect();
        let line = line.join(" ");
        let _ = writeln!(out, "<polyline points=\"{line}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>");
        for (x, y, n, value) in points {
            let value = number(value);
            let _ = writeln!(
                out,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{color}\"><title>{name}, {n}: {value}</title></circle>"
            );
        }
    }
    out
}
