//! What was measured: a row for each quantity, with the values of each program over the rounds.

use std::path::Path;

use serde_json::{Value, json};

use super::bounds::{self, Bound};
use super::program::{Keepalived, Ours, Program};

/// One quantity of both programs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// What was measured, such as `CPU`.
    pub(crate) what: String,
    /// In which case, such as `Active, 20 instances`.
    pub(crate) case: String,
    pub(crate) unit: String,
    /// How many instances there were, where that is what the rows differ in.
    pub(crate) instances: Option<u8>,
    /// The rounds of picovrrp and of keepalived.
    pub(crate) values: [Vec<f64>; 2],
}

/// The rows in the order in which they were first measured, and what belongs to them.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) rows: Vec<Row>,
    /// The machine, the programs, how it was run.
    pub(crate) about: Vec<(String, String)>,
    /// System calls for an advert, by name: whose, and which.
    pub(crate) calls: Vec<(String, Value)>,
    /// What could not be measured.
    pub(crate) failures: Vec<String>,
}

/// Least, median and greatest.
pub(crate) fn spread(values: &[f64]) -> Option<(f64, f64, f64)> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = match sorted.len() {
        0 => return None,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    };
    Some((sorted[0], median, sorted[sorted.len() - 1]))
}

/// A number with three digits that count.
pub(crate) fn number(n: f64) -> String {
    let digits = match n.abs() {
        n if n >= 100.0 || n == 0.0 => 0,
        n if n >= 10.0 => 1,
        n if n >= 0.095 => 2,
        _ => 3,
    };
    let text = format!("{n:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

impl Row {
    fn of(&self, program: Program) -> &[f64] {
        &self.values[program as usize]
    }

    pub(crate) fn median(&self, program: Program) -> Option<f64> {
        spread(self.of(program)).map(|(_, median, _)| median)
    }

    pub(crate) fn worst(&self, program: Program) -> Option<f64> {
        spread(self.of(program)).map(|(.., worst)| worst)
    }

    /// Our median by theirs.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let (ours, theirs) = (self.median(Ours)?, self.median(Keepalived)?);
        (theirs > 0.0 && ours >= 0.0).then(|| ours / theirs)
    }

    fn ratio_text(&self) -> String {
        self.ratio().map_or("-".into(), |ratio| format!("{ratio:.*}", if ratio < 0.0995 { 3 } else { 2 }))
    }

    /// The median, and the least and greatest where they differ from it.
    fn cell(&self, program: Program, long: bool) -> String {
        match spread(self.of(program)).map(|(least, median, most)| [least, median, most].map(number)) {
            None => "-".into(),
            Some([least, median, most]) if long && (least != median || most != median) => {
                format!("{median} ({least} … {most})")
            }
            Some([_, median, _]) => median,
        }
    }

    fn bounds(&self) -> Vec<&'static Bound> {
        bounds::of(&self.what, &self.case)
    }

    /// What it has to reach, and whether it does.
    fn judgement(&self) -> (String, String) {
        let bounds = self.bounds();
        let texts: Vec<_> = bounds.iter().map(|b| b.text()).collect();
        let reached: Vec<_> = bounds
            .iter()
            .map(|b| match b.reached(self) {
                Some(true) => "yes",
                Some(false) => "no",
                None => "?",
            })
            .collect();
        (texts.join("; "), reached.join("; "))
    }

    fn name(&self) -> String {
        if self.case.is_empty() { self.what.clone() } else { format!("{}: {}", self.what, self.case) }
    }

    fn json(&self) -> Value {
        let program = |program| {
            spread(self.of(program)).map(|(least, median, most)| {
                json!({ "min": least, "median": median, "max": most, "rounds": self.of(program) })
            })
        };
        let bounds: Vec<_> =
            self.bounds().iter().map(|b| json!({ "bound": b.text(), "reached": b.reached(self) })).collect();
        json!({ "what": self.what, "case": self.case, "unit": self.unit, "instances": self.instances,
            "picovrrp": program(Ours), "keepalived": program(Keepalived), "ratio": self.ratio(), "bounds": bounds })
    }
}

impl Results {
    /// One more value of a quantity.
    pub(crate) fn add(&mut self, what: &str, case: &str, unit: &str, program: Program, value: f64) {
        self.row(what, case, unit, None).values[program as usize].push(value);
    }

    /// The same of one that grows with the number of instances.
    pub(crate) fn add_for(&mut self, what: &str, role: &str, n: u8, unit: &str, program: Program, value: f64) {
        let case = format!("{role}, {n} instance{}", if n == 1 { "" } else { "s" });
        self.row(what, &case, unit, Some(n)).values[program as usize].push(value);
    }

    fn row(&mut self, what: &str, case: &str, unit: &str, instances: Option<u8>) -> &mut Row {
        let at = self.rows.iter().position(|r| r.what == what && r.case == case).unwrap_or_else(|| {
            let row = Row { what: what.into(), case: case.into(), unit: unit.into(), instances, ..Row::default() };
            self.rows.push(row);
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }

    /// Keeps the calls for one advert of whoever was measured last.
    pub(crate) fn set_calls(&mut self, whose: String, calls: Value) {
        self.calls.retain(|(w, _)| *w != whose);
        self.calls.push((whose, calls));
    }

    /// Whether every bound that was measured is reached; of a whole run, every bound that there is.
    pub(crate) fn all_reached(&self, whole: bool) -> bool {
        let measured = |(what, case): (&str, &str)| self.rows.iter().any(|r| r.what == what && r.case == case);
        self.rows.iter().all(|row| row.bounds().iter().all(|b| b.reached(row).unwrap_or(!whole)))
            && (!whole || bounds::rows().all(measured))
    }

    /// The table for a terminal.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        for (key, value) in &self.about {
            out += &format!("{key}: {value}\n");
        }
        let name = |row: &Row| match row.unit.as_str() {
            "" => row.name(),
            unit => format!("{}, {unit}", row.name()),
        };
        let width = self.rows.iter().map(|r| name(r).chars().count()).max().unwrap_or(0);
        let heads = ["picovrrp", "keepalived", "ratio", "reached"];
        out += &format!(
            "\n{:width$} {:>22} {:>24} {:>7}  {:8} bound\n",
            "median (least … greatest)", heads[0], heads[1], heads[2], heads[3]
        );
        for row in &self.rows {
            let (bound, reached) = row.judgement();
            let (ours, theirs) = (row.cell(Ours, true), row.cell(Keepalived, true));
            let line =
                format!("{:width$} {ours:>22} {theirs:>24} {:>7}  {reached:8} {bound}", name(row), row.ratio_text());
            out += line.trim_end();
            out.push('\n');
        }
        for failure in &self.failures {
            out += &format!("NOT MEASURED {failure}\n");
        }
        out
    }

    /// The table in Markdown: the rows that matter most, or all of them with their spread.
    pub(crate) fn markdown(&self, long: bool) -> String {
        let about = |key: &str| self.about.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v.as_str());
        let mut out = format!(
            "{}, {} cores, Linux {}; {}; picovrrp {} {}; {}; load before {}.\n\n",
            about("processor"),
            about("cores"),
            about("kernel"),
            about("keepalived"),
            about("commit"),
            about("build"),
            about("run"),
            about("load before")
        );
        out += "| | | picovrrp | keepalived | ratio | must reach | reached |\n|---|---|--:|--:|--:|---|---|\n";
        for row in self.rows.iter().filter(|r| long || bounds::headline(&r.what, &r.case)) {
            let (bound, reached) = row.judgement();
            let (ours, theirs) = (row.cell(Ours, long), row.cell(Keepalived, long));
            let (name, unit, ratio) = (row.name(), &row.unit, row.ratio_text());
            out += &format!("| {name} | {unit} | {ours} | {theirs} | {ratio} | {bound} | {reached} |\n");
        }
        out.push('\n');
        out += &self.behind();
        out
    }

    /// Where a bound is missed, and where keepalived takes less, in words.
    fn behind(&self) -> String {
        let missed = |row: &&Row| row.bounds().iter().any(|b| b.reached(row) == Some(false));
        let list = |rows: Vec<&Row>| rows.iter().map(|r| r.name()).collect::<Vec<_>>().join("; ");
        let (missed, rest): (Vec<_>, Vec<_>) = self.rows.iter().partition(missed);
        // Less than a twentieth is noise.
        let worse: Vec<_> = rest.into_iter().filter(|r| r.ratio().is_some_and(|ratio| ratio > 1.05)).collect();
        let mut out = match missed.is_empty() {
            true => "Every bound is reached.".to_string(),
            false => format!("Bounds missed: {}.", list(missed)),
        };
        if !worse.is_empty() {
            out += &format!(" Within its bound, or without one, and yet more than keepalived: {}.", list(worse));
        }
        for failure in &self.failures {
            out += &format!(" Not measured: {failure}.");
        }
        out.push('\n');
        out
    }

    /// System calls for an advert, as a table in Markdown.
    pub(crate) fn calls_markdown(&self) -> String {
        let mut out = "| Whose | system calls for an advert |\n|---|---|\n".to_string();
        for (whose, calls) in &self.calls {
            let calls = calls.as_object().into_iter().flatten();
            let calls: Vec<_> =
                calls.map(|(name, n)| format!("{name} {}", number(n.as_f64().unwrap_or(0.0)))).collect();
            out += &format!("| {whose} | {} |\n", calls.join(", "));
        }
        out
    }

    pub(crate) fn json(&self) -> Value {
        let about: serde_json::Map<_, _> = self.about.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
        let calls: Vec<_> = self.calls.iter().map(|(whose, calls)| json!({ "whose": whose, "calls": calls })).collect();
        json!({ "about": about, "results": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
            "calls_per_advert": calls, "failures": self.failures })
    }

    /// What an earlier run has written.
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let json: Value = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", file.display()))?;
        let string = |v: &Value| v.as_str().unwrap_or_default().to_string();
        let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
        let rows = list(&json["results"]).into_iter().map(|r| Row {
            what: string(&r["what"]),
            case: string(&r["case"]),
            unit: string(&r["unit"]),
            instances: r["instances"].as_u64().map(|n| n as u8),
            values: ["picovrrp", "keepalived"]
                .map(|p| list(&r[p]["rounds"]).iter().filter_map(Value::as_f64).collect()),
        });
        let about = json["about"].as_object().into_iter().flatten().map(|(k, v)| (k.clone(), string(v)));
        let calls = list(&json["calls_per_advert"]);
        Ok(Results {
            rows: rows.collect(),
            about: about.collect(),
            calls: calls.iter().map(|c| (string(&c["whose"]), c["calls"].clone())).collect(),
            failures: list(&json["failures"]).iter().map(string).collect(),
        })
    }
}
