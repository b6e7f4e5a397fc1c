//! picovrrp beside Debian's keepalived, in turn in the same network namespaces: `sh tests/bench/run`.
//!
//! Each quantity is measured in several rounds, of which each program begins every other one; medians and
//! ratios are printed, and written as JSON, Markdown and a picture. What could not be measured makes it fail;
//! a bound that is missed only with `--judge`.
//!
//! - [`program`]: the two programs and their configurations; [`usage`]: what the kernel counts of them.
//! - [`idle`], [`moments`], [`checks`], [`noise`]: the measurements.
//! - [`results`], [`bounds`], [`picture`]: the table, what it has to reach, and how costs grow.

#[path = "../../support/mod.rs"]
mod support;

mod bounds;
mod checks;
mod idle;
mod moments;
mod noise;
mod picture;
mod program;
mod results;
mod usage;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use program::{Binaries, Program, both};
use results::Results;
use support::netns;

/// A run: what it measures with, and what it has found.
pub(crate) struct Bench {
    pub(crate) binaries: Binaries,
    pub(crate) quick: bool,
    rounds: Option<usize>,
    pub(crate) results: Results,
}

impl Bench {
    /// Runs one measurement for each program in each round; one that fails is noted, and the next goes on.
    pub(crate) fn rounds(&mut self, what: &str, rounds: usize, mut work: impl FnMut(&Binaries, Program, &mut Results)) {
        let rounds = self.rounds.unwrap_or(if self.quick { 1 } else { rounds });
        let start = Instant::now();
        for round in 0..rounds {
            for program in both(round) {
                let Bench { binaries, results, .. } = &mut *self;
                let outcome = catch_unwind(AssertUnwindSafe(|| work(binaries, program, results)));
                if outcome.is_err() {
                    self.results.failures.push(format!("{what}, {program:?}, round {}", round + 1));
                }
            }
        }
        eprintln!("{what}: {:.0} s", start.elapsed().as_secs_f64());
    }
}

type Part = fn(&mut Bench);

/// The measurements by name.
const PARTS: &[(&str, Part)] = &[
    ("flash", idle::flash),
    ("idle", idle::idle),
    ("start", moments::start),
    ("failover", moments::failover),
    ("fault", moments::fault),
    ("reload", moments::reload),
    ("restore", moments::restore),
    ("check", checks::cost),
    ("noise", noise::noise),
];

/// What was asked for on the command line.
struct Options {
    quick: bool,
    judge: bool,
    markdown: bool,
    readme: bool,
    rounds: Option<usize>,
    from: Option<PathBuf>,
    out: PathBuf,
    parts: Vec<String>,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        quick: false,
        judge: false,
        markdown: false,
        readme: false,
        rounds: None,
        from: None,
        out: "target/bench".into(),
        parts: Vec::new(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--quick" => options.quick = true,
            "--judge" => options.judge = true,
            "--markdown" => options.markdown = true,
            "--readme" => options.readme = true,
            "--rounds" => {
                let n = value()?.parse().ok().filter(|n| *n > 0);
                options.rounds = Some(n.ok_or("--rounds wants a number")?);
            }
            "--from" => options.from = Some(value()?.into()),
            "--out" => options.out = value()?.into(),
            part if PARTS.iter().any(|(name, _)| *name == part) => options.parts.push(word),
            other => {
                let names: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
                return Err(format!("unknown: {other}; the parts are {}", names.join(", ")));
            }
        }
    }
    Ok(options)
}

fn first_line(command: &mut Command) -> String {
    let output = command.output().ok();
    // keepalived tells its version on the standard error.
    let text = output.map(|o| [o.stdout, o.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_string()
}

fn about(options: &Options, binaries: &Binaries) -> Vec<(String, String)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name.trim()));
    let env = |name: &str| std::env::var(name).unwrap_or_else(|_| "unknown".into());
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load = read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ");
    let run = match (options.quick, options.rounds) {
        (true, _) => "a quick run, which tries that everything can be measured".to_string(),
        (false, Some(n)) => format!("{n} rounds"),
        (false, None) => "3 to 10 rounds".to_string(),
    };
    let perf = if usage::counts_instructions() { "counted by perf" } else { "not counted: perf counts none here" };
    [
        ("processor", model.unwrap_or(std::env::consts::ARCH).to_string()),
        ("cores", cores.to_string()),
        ("kernel", read("/proc/sys/kernel/osrelease").trim().to_string()),
        ("keepalived", first_line(Command::new(&binaries.theirs).arg("--version"))),
        ("picovrrp", first_line(Command::new(&binaries.ours).arg("--version"))),
        ("build", env("BENCH_BUILD")),
        ("commit", env("BENCH_COMMIT")),
        ("instructions", perf.to_string()),
        ("load before", load),
        ("run", run),
    ]
    .map(|(key, value)| (key.to_string(), value))
    .into()
}

/// Puts `text` between the marks in a document.
fn refresh(document: &str, mark: &str, text: &str) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let old = fs::read_to_string(&path).map_err(|e| format!("{document}: {e}"))?;
    let (begin, end) = (format!("<!-- {mark}: tests/bench/run -->\n"), format!("<!-- end of {mark} -->\n"));
    let parts = old.split_once(&begin).and_then(|(head, rest)| Some((head, rest.split_once(&end)?.1)));
    let (head, tail) = parts.ok_or(format!("{document} has no place for {mark}"))?;
    fs::write(&path, format!("{head}{begin}{text}{end}{tail}")).map_err(|e| format!("{document}: {e}"))
}

fn write(options: &Options, results: &Results) -> Result<(), String> {
    let out = |name: &str, text: String| {
        let path = options.out.join(name);
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
    };
    fs::create_dir_all(&options.out).map_err(|e| format!("{}: {e}", options.out.display()))?;
    let long = format!("{}\n{}", results.markdown(true), results.calls_markdown());
    out("results.json", format!("{:#}\n", results.json()))?;
    out("results.svg", picture::svg(results))?;
    out("results.md", format!("{}\n{long}", results.markdown(false)))?;
    if options.readme {
        refresh("README.md", "figures", &results.markdown(false))?;
        refresh("docs/performance.md", "figures", &long)?;
        let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.svg");
        fs::write(picture, picture::svg(results)).map_err(|e| format!("docs/performance.svg: {e}"))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let outcome = options().and_then(|options| {
        let results = match &options.from {
            Some(file) => Results::read(file)?,
            None => {
                netns::preflight()?;
                let binaries = Binaries::find();
                let results = Results { about: about(&options, &binaries), ..Results::default() };
                let mut bench = Bench { binaries, quick: options.quick, rounds: options.rounds, results };
                for (name, part) in PARTS {
                    if options.parts.is_empty() || options.parts.iter().any(|p| p == name) {
                        part(&mut bench);
                    }
                }
                bench.results
            }
        };
        println!("{}", if options.markdown { results.markdown(true) } else { results.text() });
        write(&options, &results)?;
        println!("{}/results.json, .svg and .md", options.out.display());
        let whole = !options.quick && options.parts.is_empty();
        Ok((results.failures.is_empty(), !options.judge || results.all_reached(whole)))
    });
    match outcome {
        Ok((true, true)) => return ExitCode::SUCCESS,
        Ok((false, _)) => eprintln!("Not everything could be measured."),
        Ok((true, false)) => eprintln!("A bound is missed, or was not measured."),
        Err(sentence) => eprintln!("{sentence}"),
    }
    ExitCode::FAILURE
}
