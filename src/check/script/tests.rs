use super::*;
use crate::sys::process::tests::{Dir, alive, drive, until, world};

fn command(line: &str) -> Command<'_> {
    Command { line, extra: &[], env: &[], user: None, secure: true }
}

/// Runs a command once; its outcome, and how long it took.
fn once(line: &str, timeout: Micros) -> (Outcome, Micros) {
    let (context, reactor, children) = world();
    let begin = clock::now();
    let outcome = drive(&context, &reactor, &children, async {
        Script::new(&context, &children).run(&command(line), timeout).await
    });
    (outcome, clock::now().since(begin))
}

const LONG: Micros = Micros::from_secs(20);

fn why(line: &str) -> String {
    once(line, LONG).0.unwrap_err().as_str().into()
}

/// What scripts come to, in words.
#[test]
fn outcomes() {
    let dir = Dir::new();
    assert_eq!(once("true", LONG).0, Ok(()));
    assert_eq!(why("false"), "exit status 1");
    let script = |text: &str| why(&dir.script("s", text));
    assert_eq!(script("echo first >&2; echo ' the  last ' >&2; echo >&2; exit 3"), "the  last");
    assert_eq!(script("printf 'no end of line' >&2; exit 3"), "no end of line");
    assert_eq!(script("printf 'a\\033[1m\\377b\\n' >&2; exit 1"), "a [1m?b");
    assert_eq!(script("echo out; exit 300"), "exit status 44");
    assert_eq!(script("echo something >&2; kill -9 $$"), "killed by signal 9 (KILL)");
    assert_eq!(script("kill -34 $$"), "killed by signal 34");
    let long = "é".repeat(100);
    assert_eq!(script(&format!("echo '{long}' >&2; exit 1")), format!("{}", "é".repeat(64)));
    assert_eq!(why(""), "no command");
    assert_eq!(why("/nonexistent/check now"), "/nonexistent does not exist");
    let data = dir.join("data");
    std::fs::write(&data, "x").unwrap();
    assert_eq!(
        why(data.to_str().unwrap()),
        format!("{} cannot be executed by the user that it runs as", data.display())
    );
    let (context, reactor, children) = world();
    let careless = Command { secure: false, ..command("/nonexistent/check") };
    let outcome =
        drive(&context, &reactor, &children, async { Script::new(&context, &children).run(&careless, LONG).await });
    assert_eq!(outcome.unwrap_err(), "execute: No such file or directory (os error 2)");
}

/// A script that ignores TERM: down at the timeout, killed 2 s later, and no other run before it is gone.
#[test]
fn hangs() {
    let dir = Dir::new();
    let line = dir.script("s", "trap '' TERM; echo $$ > DIR/pid; while :; do sleep 1; done");
    let (context, reactor, children) = world();
    drive(&context, &reactor, &children, async {
        let mut script = Script::new(&context, &children);
        let begin = clock::now();
        assert_eq!(script.run(&command(&line), Micros::from_millis(300)).await.unwrap_err(), "timed out");
        let took = clock::now().since(begin);
        assert!(took < Micros::from_millis(1500), "the outcome comes at the timeout, not {} us after", took.0);
        assert!(script.is_late() && alive(&dir.join("pid")));
        let again = script.run(&command("true"), LONG).await;
        assert_eq!(again.unwrap_err(), "the run before it has not ended, though it was killed");
        script.settle().await;
        let took = clock::now().since(begin);
        assert!(took >= Micros::from_millis(2300), "TERM first");
        assert!(!script.is_late() && !alive(&dir.join("pid")));
        assert_eq!(children.running(), 0);
        assert_eq!(script.run(&command("true"), LONG).await, Ok(()));
    });
}

/// All processes of a script that forks go with it, at the timeout as at its own end.
#[test]
fn forks() {
    let dir = Dir::new();
    let text = "for n in 1 2 3 4 5 6 7 8; do (trap '' TERM; sh -c 'echo $$ > DIR/'$n'; exec sleep 1000') & done\n";
    let all_alive = || (1..=8).all(|n| dir.text(&n.to_string()).ends_with('\n') && alive(&dir.join(&n.to_string())));
    let all_gone = || (1..=8).all(|n| !alive(&dir.join(&n.to_string())));
    let (context, reactor, children) = world();
    drive(&context, &reactor, &children, async {
        let mut script = Script::new(&context, &children);
        let line = dir.script("s", &format!("{text} wait"));
        assert_eq!(script.run(&command(&line), Micros::from_secs(2)).await.unwrap_err(), "timed out");
        assert!(all_alive());
        script.settle().await;
        until("the group is killed", all_gone);
        let line = dir.script("s", &format!("{text} until [ -s DIR/8 ]; do :; done; sleep 0.2; echo bye >&2; exit 1"));
        let _ = std::fs::remove_file(dir.join("8"));
        // They hold its error output open, which does not keep us.
        assert_eq!(script.run(&command(&line), LONG).await.unwrap_err(), "bye");
        until("the group is killed", all_gone);
    });
}

/// A grandchild that left the group and keeps the pipe is not waited for.
#[test]
fn grandchild_keeps_the_pipe() {
    let dir = Dir::new();
    let text =
        "setsid sh -c 'echo $$ > DIR/pid; exec sleep 3' & \nuntil [ -s DIR/pid ]; do :; done; echo done >&2; exit 1";
    let (outcome, took) = once(&dir.script("s", text), LONG);
    assert_eq!(outcome.unwrap_err(), "done");
    assert!(took < Micros::from_secs(2) && alive(&dir.join("pid")));
}

/// Output without end is read slowly: the script waits, and times out. Much output is no failure.
#[test]
fn floods() {
    let dir = Dir::new();
    let line = dir
        .script("s", "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done >&2");
    assert_eq!(once(&line, Micros::from_millis(500)).0.unwrap_err(), "timed out");
    let line = dir.script("s", "n=0; while [ $n -lt 2000 ]; do echo line $n; n=$((n+1)); done >&2; exit 1");
    assert_eq!(once(&line, LONG).0.unwrap_err(), "line 1999");
}

/// A check that is given up, as at a reload, takes its script along.
#[test]
fn dropped() {
    let dir = Dir::new();
    let line = dir.script("s", "echo $$ > DIR/pid; sleep 1000");
    let (context, reactor, children) = world();
    drive(&context, &reactor, &children, async {
        let mut script = Script::new(&context, &children);
        let started = async {
            while !dir.text("pid").ends_with('\n') {
                context.sleep(Micros::from_millis(5)).await.unwrap();
            }
            Ok(())
        };
        smol::future::or(script.run(&command(&line), LONG), started).await.unwrap();
        drop(script);
        while children.running() > 0 {
            context.sleep(Micros::from_millis(5)).await.unwrap();
        }
    });
    assert!(!alive(&dir.join("pid")));
}
