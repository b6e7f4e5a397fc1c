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
