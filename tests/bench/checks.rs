//! What a check costs: `sh tests/bench/run checks`. Each built-in kind beside two shell scripts that look at
//! the same thing with the usual tool (for DNS busybox's, which is lighter than dig), all run by the daemon. One is as
//! guides have it: bash, a condition, two exits. The other is the least there is: one line of sh.
//!
//! Counted is the processor time of the daemon and of all children that it has reaped, less what a
//! daemon without checks takes in the same time, for each run of the check.

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::picovrrp::lan;
use support::process::Process;
use support::script::{replace, script};
use support::{Lab, Node, Picovrrp, SOON, ms, netns, wait_until};

/// How often each check runs.
const EVERY: Duration = ms(50);
/// What a built-in check is to be cheaper by than the script that guides have.
const REQUIRED: f64 = 20.0;
/// The kernel's unit in /proc: USER_HZ, a hundred on all that Rust has a standard library for.
const TICK: Duration = ms(10);
/// Served by the router's own node.
const TCP_PORT: u16 = 8080;
/// The name of the process that is looked for.
const PROCESS: &str = "napper";

/// One thing to look at, and the ways to do it.
struct Case {
    kind: &'static str,
    /// The statement's words behind the check's name.
    built_in: String,
    /// The command that a script asks, or its condition.
    command: String,
}

fn cases(file: &Path) -> Vec<Case> {
    let case = |kind, built_in: String, command: String| Case { kind, built_in, command };
    // As in most guides: a service on the router itself. For a ping it spares us what only the lab has
    // between two hosts: the neighbour's kernel works in the sender's time.
    let server = Ipv4Addr::LOCALHOST;
    let (url, file) = (format!("http://{server}:{TCP_PORT}/"), file.display());
    vec![
        case("process", format!("process {PROCESS}"), format!("pgrep -x {PROCESS}")),
        case("tcp", format!("tcp {server} {TCP_PORT}"), format!("nc -z -w 1 {server} {TCP_PORT}")),
        case(
            "http",
            format!("http {url} status 200"),
            format!("[ \"$(curl -s -m 1 -o /dev/null -w '%{{http_code}}' {url})\" = 200 ]"),
        ),
        case(
            "dns",
            format!("dns {server} www.example.net type A"),
            format!("busybox nslookup -type=a www.example.net {server}"),
        ),
        case("ping", format!("ping {server}"), format!("ping -q -c 1 -W 1 {server}")),
        case("file", format!("file {file}"), format!("[ \"$(cat {file})\" -eq 1 ]")),
    ]
}

impl Case {
    /// The script as guides have it: bash, found by env.
    fn bash(&self, dir: &Path) -> PathBuf {
        let body = format!("if {} >/dev/null 2>&1; then\n    exit 0\nfi\nexit 1\n", self.command);
        let path = script(dir, &format!("{}-bash", self.kind), "");
        fs::write(&path, format!("#!/usr/bin/env bash\n{body}")).expect("the script is there");
        path
    }

    /// The least that can be written, for the system's own shell.
    fn sh(&self, dir: &Path) -> PathBuf {
        script(dir, &format!("{}-sh", self.kind), &format!("{} >/dev/null 2>&1", self.command))
    }
}

/// Answers on TCP as a web server does and on UDP as a resolver does, until the program ends.
fn serve(node: &Node) {
    let (ready, listening) = mpsc::channel();
    let (ns, address) = (node.ns().clone(), Ipv4Addr::LOCALHOST);
    let tcp_ready = ready.clone();
    let tcp = ns.clone();
    std::thread::spawn(move || {
        tcp.enter();
        let listener = TcpListener::bind((address, TCP_PORT)).expect("the port is free");
        tcp_ready.send(()).expect("the bench waits");
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 1024];
            if matches!(stream.read(&mut request), Ok(n) if n > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n");
            }
        }
    });
    std::thread::spawn(move || {
        ns.enter();
        let socket = UdpSocket::bind((address, 53)).expect("the port is free");
        ready.send(()).expect("the bench waits");
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            let _ = socket.send_to(&reply(&query[..length]), from);
        }
    });
    (0..2).for_each(|_| listening.recv().expect("the servers start"));
}

/// The question with one answer: the name of the question, A, IN, a minute, 192.0.2.80.
fn reply(query: &[u8]) -> Vec<u8> {
    let mut reply = query.to_vec();
    reply[2..4].copy_from_slice(&[0x81, 0x80]);
    reply[6..8].copy_from_slice(&[0, 1]);
    reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 80]);
    reply
}

/// Processor time of a process of one thread and of its children that it has waited for. Its own is
/// the scheduler's, in nanoseconds; children's, who take much more, are in the kernel's ticks.
fn processor_time(pid: u32) -> Duration {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).expect("the daemon runs");
    let schedstat = read("schedstat");
    let own = schedstat.split(' ').next().and_then(|n| n.parse().ok()).expect("the kernel counts nanoseconds");
    let stat = read("stat");
    let fields: Vec<_> = stat.rsplit_once(')').expect("a name in brackets").1.split_whitespace().collect();
    // cutime and cstime, of proc(5)'s 16th and 17th field.
    let ticks: u64 = fields[13..15].iter().map(|f| f.parse::<u64>().expect("a number")).sum();
    Duration::from_nanos(own) + TICK * ticks as u32
}

/// What it took over a while, and how many runs there were in it.
struct Cost {
    time: Duration,
    runs: u64,
}

impl Cost {
    /// Microseconds for a run, without what an idle daemon takes.
    fn of_a_run(&self, idle: Duration) -> f64 {
        self.time.saturating_sub(idle).as_secs_f64() * 1e6 / self.runs.max(1) as f64
    }
}

fn runs(daemon: &Picovrrp) -> u64 {
    let status = daemon.status().expect("a status");
    status["checks"][0]["runs"].as_u64().unwrap_or(0)
}

/// Whether a check is up, or has the number that is in the file.
fn succeeds(check: &serde_json::Value) -> bool {
    check["runs"].as_u64() > Some(0) && check["last_error"].is_null() && check["state"] != "down"
}

/// Runs a daemon with this check, or with none, and takes its time once it has settled.
fn measure(node: &Node, check: &str, window: Duration, file: &Path) -> Cost {
    let owner = lan("version 3 advert 40s priority 255 garp delay 0");
    let config = if check.is_empty() { owner } else { format!("{check}\n{owner}  track it weight 1\n") };
    let daemon = Picovrrp::start_until(node, &config, "MASTER");
    if !check.is_empty() {
        wait_until("the check succeeds", SOON, || daemon.status().is_some_and(|s| succeeds(&s["checks"][0])));
    }
    let before = runs(&daemon);
    let (start, taken) = (Instant::now(), processor_time(daemon.process.pid()));
    // A file is written anew in each interval: one that rests costs nothing at all.
    while start.elapsed() < window {
        std::thread::sleep(EVERY);
        replace(file, "1\n");
    }
    let time = processor_time(daemon.process.pid()) - taken;
    let good = daemon.status().is_some_and(|s| succeeds(&s["checks"][0]));
    assert!(check.is_empty() || good, "{}", daemon.process.log());
    Cost { time, runs: runs(&daemon) - before }
}

fn main() -> ExitCode {
    if let Err(sentence) = netns::preflight() {
        eprintln!("{sentence}");
        return ExitCode::FAILURE;
    }
    for tool in ["busybox", "curl", "nc", "pgrep", "ping"] {
        if !netns::installed(tool) {
            eprintln!("The benchmark needs the command `{tool}`, which is not installed.");
            return ExitCode::FAILURE;
        }
    }
    let seconds = std::env::var("CHECK_SECONDS").ok().and_then(|n| n.parse().ok()).unwrap_or(10u64);
    let window = Duration::from_secs(seconds.max(1));
    let lab = Lab::new();
    let node = lab.node("a", 1);
    serve(&node);
    let napper = node.dir().join(PROCESS);
    fs::copy("/bin/sleep", &napper).expect("a program under another name");
    let mut command = node.ns().command(&napper.to_string_lossy());
    command.arg("100000");
    let _napper = Process::start(PROCESS, command, node.dir().join("napper.log"), node.ns());
    let file = node.dir().join("value");
    fs::write(&file, "1\n").expect("the lab's directory can be written to");

    let idle = measure(&node, "", window, &file).time;
    let every = EVERY.as_millis();
    println!("Microseconds of processor time for a run, over {seconds} s of a run each {every} ms.");
    println!("A daemon without checks takes {} us in that time.\n", idle.as_micros());
    println!("{:<8} {:>9} {:>9} {:>6} {:>9} {:>6}", "check", "built-in", "bash", "ratio", "sh", "ratio");
    let (mut json, mut enough) = (Vec::new(), true);
    for case in cases(&file) {
        let options = if case.kind == "file" { String::new() } else { format!("every {every}ms timeout 2s") };
        let built_in = measure(&node, &format!("check it {} {options}", case.built_in), window, &file);
        let scripted = |path: PathBuf| {
            let line = format!("check it script {} every {every}ms timeout 2s", path.display());
            measure(&node, &line, window, &file)
        };
        let (bash, sh) = (scripted(case.bash(&node.dir())), scripted(case.sh(&node.dir())));
        let [ours, by_bash, by_sh] = [&built_in, &bash, &sh].map(|cost| cost.of_a_run(idle));
        let ratio = |theirs: f64| theirs / ours.max(0.1);
        enough &= ratio(by_bash) >= REQUIRED && [&built_in, &bash, &sh].iter().all(|cost| cost.runs > 0);
        println!(
            "{:<8} {ours:>9.1} {by_bash:>9.1} {:>6.1} {by_sh:>9.1} {:>6.1}",
            case.kind,
            ratio(by_bash),
            ratio(by_sh)
        );
        json.push(serde_json::json!({ "check": case.kind, "built_in_us": ours, "runs": built_in.runs,
            "bash_us": by_bash, "sh_us": by_sh, "ratio_bash": ratio(by_bash), "ratio_sh": ratio(by_sh) }));
    }
    println!("\n{}", serde_json::json!({ "seconds": seconds, "idle_us": idle.as_micros() as u64, "results": json }));
    if !enough {
        eprintln!("A built-in check is not {REQUIRED} times cheaper than the script that guides have.");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
