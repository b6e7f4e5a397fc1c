//! What a check costs: `sh tests/bench/checks`. Each built-in kind beside a shell script that looks at
//! the same thing with the lightest tool there is (busybox's, as on a router), both run by the daemon.
//!
//! Counted is the processor time of the daemon and of all children that it has reaped, less what a
//! daemon without checks takes in the same time, for each run of the check.

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::picovrrp::lan;
use support::process::Process;
use support::script::script;
use support::{Lab, Node, Picovrrp, SOON, ms, netns, wait_until};

/// How often each check runs.
const EVERY: Duration = ms(50);
/// What a built-in check is to be cheaper by.
const REQUIRED: f64 = 20.0;
/// The kernel's unit in /proc: USER_HZ, a hundred on all that Rust has a standard library for.
const TICK: Duration = ms(10);
/// Served by the client's node.
const TCP_PORT: u16 = 8080;
/// The name of the process that is looked for.
const PROCESS: &str = "napper";

/// One thing to look at, and both ways to do it.
struct Case {
    kind: &'static str,
    /// The statement's words behind the check's name.
    built_in: String,
    /// A script's body.
    script: String,
}

fn cases(server: Ipv4Addr, file: &Path) -> Vec<Case> {
    let case = |kind, built_in: String, script: String| Case { kind, built_in, script };
    vec![
        case("process", format!("process {PROCESS}"), format!("exec busybox pidof {PROCESS} >/dev/null")),
        case(
            "tcp",
            format!("tcp {server} {TCP_PORT}"),
            format!("exec busybox nc -w 1 {server} {TCP_PORT} </dev/null >/dev/null"),
        ),
        case(
            "http",
            format!("http http://{server}:{TCP_PORT}/ status 200"),
            format!("exec busybox wget -q -T 1 -O /dev/null http://{server}:{TCP_PORT}/"),
        ),
        case(
            "dns",
            format!("dns {server} www.example.net type A"),
            format!("exec busybox nslookup -type=a www.example.net {server} >/dev/null"),
        ),
        case("ping", format!("ping {server}"), format!("exec busybox ping -q -c 1 -W 1 {server} >/dev/null")),
        case("file", format!("file {}", file.display()), format!("read -r n < {}\n[ \"$n\" -eq 1 ]", file.display())),
    ]
}

/// Answers on TCP as a web server does and on UDP as a resolver does, until the program ends.
fn serve(node: &Node) {
    let (ready, listening) = mpsc::channel();
    let (ns, address) = (node.ns().clone(), node.ip4());
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

/// Runs a daemon with this check, or with none, and takes its time once it has settled.
fn measure(node: &Node, check: &str, window: Duration, file: &Path) -> Cost {
    let owner = lan("version 3 advert 40s priority 255 garp delay 0");
    let config = if check.is_empty() { owner } else { format!("{check}\n{owner}  track it weight 1\n") };
    let daemon = Picovrrp::start_until(node, &config, "MASTER");
    if !check.is_empty() {
        wait_until("the check succeeds", SOON, || daemon.status().is_some_and(|s| s["checks"][0]["state"] == "up"));
    }
    let before = runs(&daemon);
    let (start, taken) = (Instant::now(), processor_time(daemon.process.pid()));
    // A file is written anew in each interval: one that rests costs nothing at all.
    while start.elapsed() < window {
        std::thread::sleep(EVERY);
        fs::write(file, "1\n").expect("the lab's directory can be written to");
    }
    let time = processor_time(daemon.process.pid()) - taken;
    let state = daemon.status().map(|s| s["checks"][0]["state"].clone());
    assert!(check.is_empty() || state == Some("up".into()), "{}", daemon.process.log());
    Cost { time, runs: runs(&daemon) - before }
}

fn main() -> ExitCode {
    if let Err(sentence) = netns::preflight() {
        eprintln!("{sentence}");
        return ExitCode::FAILURE;
    }
    if !netns::installed("busybox") {
        eprintln!("The benchmark needs the command `busybox` (Debian package busybox), which is not installed.");
        return ExitCode::FAILURE;
    }
    let seconds = std::env::var("CHECK_SECONDS").ok().and_then(|n| n.parse().ok()).unwrap_or(10u64);
    let window = Duration::from_secs(seconds.max(1));
    let lab = Lab::new();
    let (node, client) = (lab.node("a", 1), lab.node("client", 100));
    serve(&client);
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
    println!("{:<10} {:>10} {:>10} {:>8}", "check", "built-in", "script", "ratio");
    let (mut json, mut enough) = (Vec::new(), true);
    for case in cases(client.ip4(), &file) {
        let options = if case.kind == "file" { String::new() } else { format!("every {every}ms timeout 2s") };
        let built_in = measure(&node, &format!("check it {} {options}", case.built_in), window, &file);
        let path = script(&node.dir(), case.kind, &case.script);
        let line = format!("check it script {} every {every}ms timeout 2s", path.display());
        let by_script = measure(&node, &line, window, &file);
        let (ours, theirs) = (built_in.of_a_run(idle), by_script.of_a_run(idle));
        let ratio = theirs / ours.max(0.1);
        enough &= ratio >= REQUIRED && built_in.runs > 0 && by_script.runs > 0;
        println!("{:<10} {ours:>10.1} {theirs:>10.1} {ratio:>8.1}", case.kind);
        json.push(serde_json::json!({ "check": case.kind, "built_in_us": ours, "built_in_runs": built_in.runs,
            "script_us": theirs, "script_runs": by_script.runs, "ratio": ratio }));
    }
    println!("\n{}", serde_json::json!({ "seconds": seconds, "idle_us": idle.as_micros() as u64, "results": json }));
    if !enough {
        eprintln!("A built-in check is not {REQUIRED} times cheaper than the script.");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
