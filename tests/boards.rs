//! The configurations in board-configs: each is right, and A and B of a board are a pair.

use std::fs;
use std::path::Path;
use std::process::Command;

use picovrrp::config::diagnostics::Diagnostics;
use picovrrp::config::line;
use picovrrp::config::model::{Condition, Config};

fn read(path: &Path) -> Box<Config> {
    let (mut config, mut found) = (Box::new(Config::default()), Diagnostics::new());
    let text = fs::read(path).expect("a configuration");
    line::parse(&mut &text[..], &mut config, &mut found).expect("memory can be read");
    assert_eq!((found.errors(), found.warnings()), (0, 0), "{}", path.display());
    config
}

/// What the two routers of a pair must have in common.
fn shared(c: &Config) -> Vec<String> {
    let of = |i| {
        let addresses: Vec<_> = c.addresses_of(i).iter().map(|a| (a.ip, a.prefix)).collect();
        format!("{} {} {:?} {:?} {:?}", c.str(i.interface), i.vrid, i.version, i.advert, addresses)
    };
    c.instances.iter().map(of).collect()
}

#[test]
fn every_board_is_a_pair() {
    let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("board-configs");
    let mut seen = 0;
    for entry in fs::read_dir(boards).expect("board-configs") {
        let dir = entry.expect("an entry").path();
        if !dir.is_dir() {
            continue;
        }
        seen += 1;
        let (a, b) = (read(&dir.join("a.conf")), read(&dir.join("b.conf")));
        assert_eq!(shared(&a), shared(&b), "{}", dir.display());
        for (x, y) in a.instances.iter().zip(&b.instances) {
            assert!(x.priority > y.priority, "{}: A leads", dir.display());
            for i in [x, y] {
                let config = if i == x { &a } else { &b };
                let lost: i32 = config.tracks_of(i).iter().map(|t| t.adds(Condition::Down)).sum();
                assert!((x.priority as i32 + lost) < y.priority as i32, "{}: the uplink decides", dir.display());
            }
        }
        for name in ["a.conf", "b.conf"] {
            let check = Command::new(env!("CARGO_BIN_EXE_picovrrp"))
                .args(["check", "--explain", "-f"])
                .arg(dir.join(name))
                .output()
                .expect("the binary runs");
            assert!(check.status.success() && check.stderr.is_empty(), "{}: {check:?}", dir.display());
            let said = String::from_utf8(check.stdout).expect("text");
            assert!(said.contains("its priority is") && said.contains("IPv6"), "{said}");
        }
    }
    assert!(seen >= 2);
}

/// Each configuration is there as OpenWrt's `/etc/config/keepalived` too, and means the same.
#[test]
fn every_board_has_the_same_as_uci() {
    let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("board-configs");
    let mut seen = 0;
    for entry in fs::read_dir(boards).expect("board-configs") {
        let dir = entry.expect("an entry").path();
        for name in ["a", "b"].iter().filter(|_| dir.is_dir()) {
            seen += 1;
            let file = dir.join(name).with_extension("uci");
            // The networks of this machine are none of theirs.
            let import = Command::new(env!("CARGO_BIN_EXE_picovrrp"))
                .args(["import", "uci", "--strict", "--network", "/dev/null"])
                .arg(&file)
                .output()
                .expect("the binary runs");
            assert!(import.status.success() && import.stderr.is_empty(), "{}: {import:?}", file.display());
            let mut printed = Vec::new();
            line::print(&read(&file.with_extension("conf")), &mut printed).expect("memory can be written");
            assert_eq!(
                String::from_utf8_lossy(&import.stdout),
                String::from_utf8_lossy(&printed),
                "{}",
                file.display()
            );
        }
    }
    assert!(seen >= 4);
}

/// What `run`, `check` and `import` say of a file that is not to be used.
#[test]
fn uci_that_is_switched_off_or_points_elsewhere() {
    let dir = std::env::temp_dir().join(format!("picovrrp-uci-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    let other = dir.join("keepalived.conf");
    let uci = dir.join("keepalived");
    let run = |arguments: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_picovrrp"))
            .args(arguments)
            .args(["--network", "/dev/null"])
            .output()
            .expect("the binary runs");
        (
            out.status.code(),
            String::from_utf8_lossy(&out.stdout).into_owned(),
            String::from_utf8_lossy(&out.stderr).into_owned(),
        )
    };
    let file = uci.to_str().expect("text");
    fs::write(&uci, "config globals 'globals'\n\toption enabled '0'\nnonsense\n").expect("written");
    for arguments in [&["check", "--uci", file][..], &["run", "--uci", file], &["import", "uci", file]] {
        let (code, _, said) = run(arguments);
        assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains(":2:17: switched off: 'enabled' is off here"), "{said}");
    }
    let text = format!("config globals 'globals'\n\toption alt_config_file '{}'\n", other.display());
    fs::write(&uci, text).expect("written");
    let (code, _, said) = run(&["check", "--uci", file]);
    assert!(
        code == Some(1) && said.contains("no instance") && said.contains("'alt_config_file' is not there"),
        "{said}"
    );
    fs::write(
        &other,
        "vrrp_instance x {\n interface eth0\n virtual_router_id 9\n virtual_ipaddress { 10.0.0.1/8 }\n}\n",
    )
    .expect("written");
    let (code, printed, said) = run(&["import", "uci", file]);
    assert!(code == Some(0) && printed.contains("instance x on eth0 vrid 9"), "{code:?} {printed} {said}");
    fs::remove_dir_all(&dir).expect("removed");
}
