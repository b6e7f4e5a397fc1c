//! Configurations of other daemons: each with the line configuration that it comes to, and thousands
//! that a generator makes. `cargo test --test import`.

mod corpus;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use picovrrp::config::diagnostics::Diagnostics;
use picovrrp::config::keepalived::{self, Disk, DiskFile, Options};
use picovrrp::config::line;
use picovrrp::config::model::Config;

/// What reading comes to: the line configuration if there were no errors, and what was said.
struct Import {
    line: Option<String>,
    said: String,
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("what we print is text")
}

fn printed(config: &Config, diag: &Diagnostics) -> Import {
    let (mut out, mut said) = (Vec::new(), Vec::new());
    line::print(config, &mut out).expect("a Vec takes everything");
    diag.print("f", &mut said).expect("a Vec takes everything");
    Import { line: (diag.errors() == 0).then(|| text(out)), said: text(said) }
}

fn import(path: &Path) -> Import {
    let (mut config, mut diag) = (Box::new(Config::default()), Box::new(Diagnostics::new()));
    let input = DiskFile(File::open(path).expect("the file is there"));
    let options = Options { strict: false, config_id: "node-a" };
    keepalived::parse(input, &path.to_string_lossy(), &mut Disk, &options, &mut config, &mut diag, None)
        .expect("the file can be read");
    printed(&config, &diag)
}

/// Reads a line configuration and prints it again.
fn again(text: &str) -> Import {
    let (mut config, mut diag) = (Box::new(Config::default()), Box::new(Diagnostics::new()));
    line::parse(&mut text.as_bytes(), &mut config, &mut diag).expect("a slice can be read");
    printed(&config, &diag)
}

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/keepalived");
    let entries = fs::read_dir(dir).expect("the directory is there").flatten().map(|e| e.path());
    let mut files: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "conf")).collect();
    files.sort();
    assert!(files.len() >= 10, "{files:?}");
    files
}

fn picovrrp(args: &[&str], file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_picovrrp"));
    command.args(args).arg(file).args(["--config-id", "node-a"]).output().expect("the daemon's binary runs")
}

#[test]
fn each_comes_to_its_line_configuration() {
    for file in files() {
        let expected = fs::read_to_string(file.with_extension("line")).expect("the expectation is beside it");
        let import = import(&file);
        assert_eq!(import.line.as_deref(), Some(expected.as_str()), "{}: {}", file.display(), import.said);
        let again = again(&expected);
        assert_eq!(again.line, Some(expected), "{}: {}", file.display(), again.said);
    }
}

#[test]
fn the_command_prints_it() {
    for file in files() {
        let expected = fs::read(file.with_extension("line")).expect("the expectation is beside it");
        let output = picovrrp(&["import", "keepalived"], &file);
        assert_eq!((output.status.code(), text(output.stdout)), (Some(0), text(expected)), "{}", file.display());
        let checked = picovrrp(&["check", "--offline", "--keepalived"], &file);
        assert_eq!(checked.status.code(), Some(0), "{}: {}", file.display(), text(checked.stderr));
    }
}

/// What cannot be taken over is told on stderr, and with `--strict` nothing is printed.
#[test]
fn strict_fails_on_what_is_not_taken_over() {
    let dir = std::env::temp_dir().join(format!("picovrrp-import-strict-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    let file = dir.join("ipvlan.conf");
    let instance = "vrrp_instance a {\n  interface eth0\n  virtual_router_id 1\n  use_ipvlan\n";
    fs::write(&file, format!("{instance}  virtual_ipaddress {{\n    10.0.0.1\n  }}\n}}\n")).expect("a file");
    let output = picovrrp(&["import", "keepalived", "--strict"], &file);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let told = text(output.stderr);
    assert!(told.contains("ipvlan.conf:4:3: 'use_ipvlan' is not taken over: "), "{told}");
    let lenient = text(picovrrp(&["import", "keepalived"], &file).stderr);
    assert!(lenient.contains("ipvlan.conf:4:3: warning: 'use_ipvlan' is not taken over: "), "{lenient}");
    fs::remove_dir_all(&dir).expect("our own directory");
}

#[test]
fn a_command_line_that_names_two_files_is_refused() {
    for command in ["run", "check"] {
        let output = picovrrp(&[command, "-f", "/nothing", "--keepalived"], Path::new("/nothing"));
        assert_eq!(output.status.code(), Some(2), "{}", text(output.stderr));
    }
    let output = picovrrp(&["import", "keepalived"], Path::new("/nothing"));
    assert_eq!(output.status.code(), Some(1), "{}", text(output.stderr));
}

/// A FIFO that nobody writes to would wait for ever; a directory is no file.
#[test]
fn what_is_no_regular_file_is_not_included() {
    let dir = std::env::temp_dir().join(format!("picovrrp-import-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    let made = Command::new("mkfifo").arg(dir.join("fifo")).status().expect("mkfifo runs");
    assert!(made.success());
    let file = dir.join("main.conf");
    fs::write(&file, "include fifo\ninclude .\ninclude missing\ninclude *.con[f]x\n").expect("a file");
    let said = import(&file).said;
    fs::remove_dir_all(&dir).expect("it was ours");
    let place = dir.display();
    assert_eq!(
        said.lines()
            .map(|l| l.replace(&format!("{place}/"), ""))
            .map(|l| l.split_once(": ").map(|(at, _)| at.to_string()))
            .collect::<Vec<_>>(),
        ["f:1:9", "f:2:9", "f:3:9", "f:4:9"].map(|at| Some(at.to_string())),
        "{said}"
    );
    assert_eq!(said.matches("it is no regular file").count(), 2, "{said}");
}
