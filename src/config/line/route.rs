//! Routes of an instance, and what is static.

use core::net::IpAddr;

use super::keyword::{Done, Reader};
use super::lex::Words;
use super::property::{SCOPE_NAMES, SCOPES, address_option};
use super::value::Expected;
use crate::config::assemble::Reported;
use crate::config::model::{Address, Family, Route, StrId};

pub(super) fn route(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.pos();
    let route = read(r, w, "route")?;
    r.asm.add_route(at, route);
    Ok(())
}

pub(super) fn static_route(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    let at = w.pos();
    let route = read(r, w, "static-route")?;
    r.asm.add_static_route(at, route);
    Ok(())
}

fn read(r: &mut Reader<'_>, w: &mut Words<'_>, keyword: &str) -> Result<Route, Reported> {
    const OPTIONS: &[&str] = &["via", "dev", "src", "table", "metric", "scope", "onlink", "blackhole"];
    let by_word = w.peek() == Some("default");
    let (to, prefix) = r.destination(w, keyword)?;
    let (mut route, mut seen) = (Route::to(to, prefix), 0);
    while let Some(option) = r.option(w, OPTIONS, &mut seen)? {
        match option {
            0 => route.via = Some(r.host(w, "via")?),
            1 => route.dev = r.interface(w, "dev")?,
            2 => route.src = Some(r.host(w, "src")?),
            3 => route.table = r.number(w, "table", 1, u32::MAX)?,
            4 => route.metric = r.number(w, "metric", 0, u32::MAX)?,
            5 => route.scope = Some(SCOPES[r.choice(w, "scope", &SCOPE_NAMES)?]),
            6 => route.onlink = true,
            _ => route.blackhole = true,
        }
    }
    if by_word && [route.via, route.src].into_iter().flatten().next().is_some_and(|ip| ip.is_ipv6()) {
        // `default` is of its gateway's family.
        route.to = Route::default_of(Family::V6).to;
    }
    Ok(route)
}

pub(super) fn static_address(r: &mut Reader<'_>, w: &mut Words<'_>) -> Done {
    const OPTIONS: &[&str] = &["dev", "scope", "label"];
    let at = w.pos();
    let (ip, prefix): (IpAddr, u8) = r.prefixed(w, "static-address")?;
    let mut a = Address { ip, prefix, dev: StrId::NONE, scope: None, label: StrId::NONE, excluded: false };
    let mut seen = 0;
    while let Some(option) = r.option(w, OPTIONS, &mut seen)? {
        address_option(r, w, option, &mut a)?;
    }
    if a.dev.is_empty() {
        return Err(r.need(w, "static-address", Expected::Text("'dev INTERFACE' behind the address")));
    }
    r.asm.add_static_address(at, a);
    Ok(())
}
