use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, println};

use super::*;
use crate::config::line;

mod corpus;
mod errors;
mod schema;
mod traps;

/// What a file is imported as, with its networks.
struct Got {
    outcome: Outcome,
    errors: u32,
    /// As `check` prints it.
    said: String,
    /// As the line language.
    printed: String,
}

static NETWORK: &str =
    "config interface 'lan'\n\toption device 'br-lan'\nconfig interface 'wan'\n\toption ifname 'eth1'\n";

fn import_as(text: &[u8], mode: Mode, network: &str) -> Got {
    let (mut config, mut diag) = (Config::default(), Diagnostics::new());
    let mut networks = Networks::new();
    networks.read("network", &mut network.as_bytes()).unwrap();
    let options = Options { mode, strict: false, networks: &networks };
    let outcome = import(&mut &text[..], &options, &mut config, &mut diag, None).unwrap();
    let mut out = Vec::new();
    diag.print("f", &mut out).unwrap();
    let said = String::from_utf8(out).unwrap();
    let errors = diag.errors();
    let mut printed = Vec::new();
    line::print(&config, &mut printed).unwrap();
    Got { outcome, errors, said, printed: String::from_utf8(printed).unwrap() }
}

fn import_text(text: &str) -> Got {
    import_as(text.as_bytes(), Mode::Strict, NETWORK)
}

/// What a file without any mistake is imported as.
fn good(text: &str) -> String {
    let got = import_text(text);
    assert_eq!(got.said, "", "in:\n{text}");
    got.printed
}

/// The least that an instance `gw` needs, with `more` in it, and hotplug calls off; what it is
/// imported as behind its first line, and what is said.
fn instance(more: &str, sections: &str) -> (String, String) {
    let text = format!(
        "config globals 'globals'\n\toption hotplug 'off'\nconfig ipaddress\n\toption name 'a'\n\
         \toption address '192.0.2.1/24'\nconfig vrrp_instance\n\toption name 'gw'\n\toption interface 'eth0'\n\
         \toption virtual_router_id '51'\n\tlist virtual_ipaddress 'a'\n{more}\n{sections}\n"
    );
    let got = import_text(&text);
    let printed = got.printed.replacen("instance gw on eth0 vrid 51 priority 100\n  version 2\n", "", 1);
    (printed.replacen("  address 192.0.2.1/24\n", "", 1), got.said)
}
