//! OpenWrt's files: the grammar, and the import of what is in them.

use picovrrp::config::uci::{Event, Mode, Parser};
use picovrrp::config::uci_import::{Networks, Options, import};

use super::FILE_END;
use super::held::within;
use super::input::{Input, sure};
use super::judge::Reading;

/// What an import may take of the heap: its packed copy of the file is no larger, whatever the file.
const MOST: isize = 48 << 10;

/// Reads what stands before the first byte 0xff as /etc/config/keepalived, and what stands behind it as
/// /etc/config/network: what is accepted comes back equal, what is said has its place, the heap is asked
/// for little, it does not matter in what pieces the file is read, and what strict reading accepts
/// lenient reading takes for the same.
pub(crate) fn uci(data: &[u8]) {
    let mut files = data.splitn(2, |b| *b == FILE_END);
    let (file, network) = (files.next().unwrap_or(&[]), files.next().unwrap_or(&[]));
    for mode in [Mode::Strict, Mode::Lenient] {
        let events = events(Input::whole(file), mode);
        assert_eq!(events, self::events(Input::pieces(file), mode));
    }
    let mut networks = Box::new(Networks::new());
    within(0, || sure(networks.read("network", &mut Input::whole(network))));
    let strict = read(file, Mode::Strict, false, &networks);
    let lenient = read(file, Mode::Lenient, false, &networks);
    if strict.accepted() {
        strict.same_as(&lenient);
    }
    let all = read(file, Mode::Strict, true, &networks);
    assert!(all.found.errors() >= strict.found.errors());
    if strict.accepted() && strict.found.warnings() == 0 {
        all.same_as(&strict);
    }
}

/// The commands of a file with their places, each in the file.
fn events(mut input: Input<'_>, mode: Mode) -> Vec<String> {
    let mut parser = Parser::new(&mut input, mode);
    let (mut out, mut before) = (Vec::new(), 0);
    while let Some(item) = sure(parser.next_item()) {
        if !matches!(item.event, Event::Bad(_)) {
            assert!(item.at.line >= before && item.value_at >= item.at, "{item:?}");
            before = item.at.line;
        }
        assert!(item.at.line >= 1 && item.at.column >= 1 && item.value_at.column >= 1, "{item:?}");
        out.push(format!("{item:?}"));
    }
    out.push(format!("{:?}", parser.pos()));
    out
}

fn read(file: &[u8], mode: Mode, strict: bool, networks: &Networks) -> Reading {
    let options = Options { mode, strict, networks };
    let (mut whole, mut pieces) = (Reading::new(), Reading::new());
    within(MOST, || {
        let Reading { config, found, commands } = &mut whole;
        sure(import(&mut Input::whole(file), &options, config, found, Some(commands)));
    });
    whole.judge(&[file]);
    sure(import(&mut Input::pieces(file), &options, &mut pieces.config, &mut pieces.found, None));
    whole.same_as(&pieces);
    whole
}
