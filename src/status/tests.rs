//! What is printed of a status with every kind of frame in it.

use core::net::IpAddr;

use serde_json::{Value, json};

use super::*;
use crate::config::model::{Condition, Family, Route};
use crate::control::{AddressStatus, CheckStatus, GroupStatus, InstanceStatus, RouteStatus, RouterStatus, TrackStatus};
use crate::router::event::{Fault, Shown};
use crate::vrrp::stats::{GlobalStats, LastEvent, Reason};
use crate::vrrp::timing::{Centis, Micros};

/// What a script may write, on its way through a reason.
const HOSTILE: &str = "no \"route\"\n\u{1b}[31m\u{7f}\u{9b}2J \u{e9}\\";

fn track(name: &str, condition: Condition, weight: i16, reverse: bool) -> Reply<'_> {
    Reply::Track(TrackStatus { name, condition, weight, reverse, interface: matches!(name, "wan" | "lte") })
}

fn check<'a>(name: &'a str, kind: &'a str, condition: Condition) -> CheckStatus<'a> {
    let every = Micros::from_secs(10);
    CheckStatus { name, kind, condition, count: 0, fails: 0, last: None, error: "", every }
}

fn instance(name: &str, state: Shown) -> InstanceStatus<'_> {
    InstanceStatus {
        name,
        interface: "br-lan",
        vmac: if name == "lan6" { "vrrp4.51" } else { "" },
        state,
        fault: (state == Shown::Fault).then_some(Fault::InterfaceDown),
        leaving: false,
        vrid: 51,
        family: Family::V4,
        version: 3,
        also_v2: name == "lan6",
        priority: 150,
        effective_priority: 150,
        advert: Centis::SECOND,
        active_adver_interval: Centis::SECOND,
        skew_time: Micros(414_063),
        active_down_interval: Micros(3_414_063),
        source: None,
        master: (state == Shown::Backup).then_some((IpAddr::from([192, 168, 1, 2]), 200)),
        since: Micros(4_260_000),
        transitions: 1,
        last_event: LastEvent::ActiveTimeout,
        reason: Reason::NoResponse,
        stats: InstanceStats { advertisement_sent: 4, auth_failure: 2, ..InstanceStats::default() },
    }
}

fn render(r: &mut dyn Render) -> String {
    let mut out = Vec::new();
    let router = RouterStatus {
        version: "0.1.0",
        router_id: "a \"b\"\\\u{1}",
        uptime: Micros::from_secs(3700),
        pid: 7,
        stats: GlobalStats { checksum_errors: 3, ..GlobalStats::default() },
    };
    let (name6, name4) = ("lan6", "lan");
    let address =
        |last| AddressStatus { ip: IpAddr::from([192, 168, 1, last]), prefix: 24, dev: "br-lan", excluded: last == 9 };
    crate::text::write_to(&mut out, &mut |t| {
        r.frame(&Reply::Router(router), t)?;
        r.frame(&Reply::Instance(instance(name4, Shown::Backup)), t)?;
        r.frame(&Reply::Address(address(1)), t)?;
        r.frame(&Reply::Address(address(9)), t)?;
        let gateway = Some(IpAddr::from([192, 0, 2, 9]));
        let default = Route { via: gateway, metric: 5, ..Route::default_of(Family::V4) };
        r.frame(&Reply::Route(RouteStatus::new(&default, "eth\"\u{1b}")), t)?;
        let sink = Route { blackhole: true, table: 100, ..Route::to(IpAddr::from([10, 0, 0, 0]), 8) };
        r.frame(&Reply::Route(RouteStatus::new(&sink, "")), t)?;
        r.frame(&track("wan", Condition::Up, -60, false), t)?;
        r.frame(&track("lte", Condition::Down, 0, true), t)?;
        r.frame(&track("load", Condition::Value(-30), 2, false), t)?;
        r.frame(&track("trigger", Condition::Broken, 1, false), t)?;
        r.frame(&track("new", Condition::Unknown, 1, false), t)?;
        r.frame(&Reply::Instance(instance(name6, Shown::Fault)), t)?;
        let group = GroupStatus { name: "gateway", state: Shown::Backup, since: Micros(65_990_000) };
        r.frame(&Reply::Group(group), t)?;
        r.frame(&Reply::Member(name4), t)?;
        r.frame(&Reply::Member(name6), t)?;
        r.frame(&Reply::Group(GroupStatus { name: "alone", state: Shown::Init, since: Micros(0) }), t)?;
        let ping = check("wan", "ping", Condition::Up);
        r.frame(&Reply::Check(CheckStatus { count: 9, last: Some(Micros(3_007)), ..ping }), t)?;
        let last = Some(Micros(2_250_000));
        let script = check("web", "script", Condition::Down);
        r.frame(&Reply::Check(CheckStatus { count: 7, fails: 3, last, error: HOSTILE, ..script }), t)?;
        r.frame(&Reply::Check(check("load", "file", Condition::Value(-30))), t)?;
        r.frame(&Reply::Check(check("new", "dns", Condition::Unknown)), t)?;
        r.frame(&Reply::End, t)
    })
    .unwrap();
    String::from_utf8(out).unwrap()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

/// The keys of the documented shape, read by a reader that is not ours.
#[test]
fn json_of_instances() {
    let v = parsed(&render(&mut Json::new(None)));
    assert_eq!(v["router_id"], "a \"b\"\\\u{1}");
    assert_eq!(v["uptime_s"], 3700.0);
    assert_eq!(v["errors"]["checksum_errors"], 3);
    let i = &v["instances"][0];
    assert_eq!(i["state"], "BACKUP");
    assert_eq!(i["addresses"], json!(["192.168.1.1/24", "192.168.1.9/24"]));
    let routes = json!(["default via 192.0.2.9 dev eth\"\u{1b} metric 5", "10.0.0.0/8 table 100 blackhole"]);
    assert_eq!(i["routes"], routes);
    assert_eq!(i["master"], json!({"address": "192.168.1.2", "priority": 200}));
    assert_eq!(i["since_s"], 4.2);
    assert_eq!(i["last_event"], "master-timeout");
    assert_eq!(i["stats"]["advertisement_sent"], 4);
    assert_eq!(i["advert_interval_ms"], 1000);
    assert!(i.get("vmac").is_none() && i.get("also_v2").is_none());
    let i = &v["instances"][1];
    assert_eq!((&i["vmac"], &i["also_v2"]), (&"vrrp4.51".into(), &true.into()));
    assert_eq!((&i["state"], &i["fault"]), (&"FAULT".into(), &"interface down".into()));
    assert!(i["master"].is_null() && i["addresses"].as_array().unwrap().is_empty());
    assert_eq!((&i["routes"], &i["tracks"]), (&json!([]), &json!([])));
}

/// Every kind of entry, whole.
#[test]
fn json_of_tracks_groups_and_checks() {
    let v = parsed(&render(&mut Json::new(None)));
    let tracks = json!([
        {"name": "wan", "state": "up", "weight": -60},
        {"name": "lte", "state": "down", "weight": 0, "reverse": true},
        {"name": "load", "state": "value", "value": -30, "weight": 2},
        {"name": "trigger", "state": "broken", "weight": 1},
        {"name": "new", "state": "unknown", "weight": 1},
    ]);
    assert_eq!(v["instances"][0]["tracks"], tracks);
    let groups = json!([
        {"name": "gateway", "state": "BACKUP", "members": ["lan", "lan6"], "since_s": 65.9},
        {"name": "alone", "state": "INIT", "members": [], "since_s": 0.0},
    ]);
    assert_eq!(v["groups"], groups);
    let none = Value::Null;
    let checks = json!([
        {"name": "wan", "kind": "ping", "state": "up", "fails": 0,
         "last_ms": 3.007, "last_error": none, "runs": 9, "every_ms": 10000},
        {"name": "web", "kind": "script", "state": "down", "fails": 3,
         "last_ms": 2250.0, "last_error": HOSTILE, "runs": 7, "every_ms": 10000},
        {"name": "load", "kind": "file", "state": "value", "value": -30, "fails": 0,
         "last_ms": none, "last_error": none, "runs": 0, "every_ms": 10000},
        {"name": "new", "kind": "dns", "state": "unknown", "fails": 0,
         "last_ms": none, "last_error": none, "runs": 0, "every_ms": 10000},
    ]);
    assert_eq!(v["checks"], checks);
}

/// A daemon of instances alone has empty lists, and so has one of none.
#[test]
fn json_of_little() {
    let router = RouterStatus { version: "", router_id: "", uptime: Micros(0), pid: 1, stats: GlobalStats::default() };
    let lan = Reply::Instance(instance("lan", Shown::Master));
    let wan = Reply::Check(check("wan", "ping", Condition::Up));
    for between in [&[][..], &[lan][..], &[wan][..], &[lan, wan][..]] {
        let (mut out, mut r) = (Vec::new(), Json::new(None));
        crate::text::write_to(&mut out, &mut |t| {
            r.frame(&Reply::Router(router), t)?;
            between.iter().try_for_each(|reply| r.frame(reply, t))?;
            r.frame(&Reply::End, t)
        })
        .unwrap();
        let v = parsed(std::str::from_utf8(&out).unwrap());
        assert_eq!(v["instances"].as_array().unwrap().len(), usize::from(between.contains(&lan)));
        assert_eq!(v["checks"].as_array().unwrap().len(), usize::from(between.contains(&wan)));
        assert_eq!(v["groups"], json!([]));
    }
}

/// Whatever a script wrote, nothing of it reaches the terminal but text.
#[test]
fn no_control_characters() {
    for r in [&mut Json::new(None) as &mut dyn Render, &mut Table::new(None)] {
        let text = render(r);
        assert!(text.contains('\u{e9}') && !text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }
    assert!(render(&mut Table::new(None)).contains("        no \"route\"??[31m??2J \u{e9}\\\n"));
}

/// What is called by a name, whether instance, group or check; and nothing by another.
#[test]
fn only_one() {
    for (name, instances, groups, checks) in [
        ("lan6", &["lan6"][..], &[][..], &[][..]),
        ("gateway", &[], &["gateway"], &[]),
        ("web", &[], &[], &["web"]),
        ("nosuch", &[], &[], &[]),
    ] {
        let mut json = Json::new(Some(name));
        let v = parsed(&render(&mut json));
        assert_eq!((names(&v["instances"]), names(&v["groups"])), (instances.to_vec(), groups.to_vec()));
        assert_eq!(names(&v["checks"]), checks);
        let mut table = Table::new(Some(name));
        let text = render(&mut table);
        assert_eq!(text.matches("STATE").count(), usize::from(name != "nosuch"), "{text}");
        assert_eq!((json.any(), table.any()), (name != "nosuch", name != "nosuch"));
    }
    assert_eq!(parsed(&render(&mut Json::new(Some("gateway"))))["groups"][0]["members"], json!(["lan", "lan6"]));
    let text = render(&mut Table::new(Some("alone")));
    assert!(!text.contains("member"), "{text}");
}

#[test]
fn table() {
    let text = render(&mut Table::new(None));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("up 1h01m"), "{text}");
    assert_eq!(lines[1], "STATE   PRIO  VRID  V  INTERFACE        SINCE      INSTANCE");
    assert_eq!(lines[2], "BACKUP  150   51    3  br-lan           4s         lan");
    assert_eq!(lines[3], "        master 192.168.1.2 priority 200");
    assert_eq!(lines[4], "        adverts sent 4 received 0, auth_failure 2");
    assert_eq!(lines[5], "        192.168.1.1/24 on br-lan");
    assert_eq!(lines[6], "        192.168.1.9/24 on br-lan (not in the advert)");
    assert_eq!(lines[7], "        route default via 192.0.2.9 dev eth\"? metric 5");
    assert_eq!(lines[8], "        route 10.0.0.0/8 table 100 blackhole");
    assert_eq!(lines[9], "        tracks wan: up (weight -60)");
    assert_eq!(lines[10], "        tracks lte: down (weight 0, reverse)");
    assert_eq!(lines[11], "        tracks load: -30 (weight 2)");
    assert_eq!(lines[12], "        tracks trigger: broken (weight 1)");
    assert_eq!(lines[15], "        speaks version 2 too");
    assert_eq!(lines[16], "        virtual MAC address on vrrp4.51");
    assert_eq!(lines[17], "        interface down");
    assert_eq!(lines[19], "");
    assert_eq!(lines[20], "STATE   SINCE      GROUP");
    assert_eq!(lines[21], "BACKUP  1m05s      gateway");
    assert_eq!(lines[22], "        member lan");
    assert_eq!(lines[23], "        member lan6");
    assert_eq!(lines[24], "INIT    0s         alone");
    assert_eq!(lines[25], "");
    assert_eq!(lines[26], "STATE    KIND       LAST        FAILS  RUNS       EVERY  CHECK");
    assert_eq!(lines[27], "up       ping       3.007 ms    0      9          10s    wan");
    assert_eq!(lines[28], "down     script     2.25 s      3      7          10s    web");
    assert_eq!(lines[30], "-30      file       -           0      0          10s    load");
    assert_eq!(lines[31], "unknown  dns        -           0      0          10s    new");
    assert_eq!(*lines.last().unwrap(), "packets refused: checksum 3");
}

/// Keeps what comes.
#[derive(Default)]
struct Keep(Frames);

impl Render for Keep {
    fn frame(&mut self, reply: &Reply<'_>, _: &mut crate::text::Text<'_>) -> Written {
        assert!(self.0.add(reply));
        Ok(())
    }

    fn any(&self) -> bool {
        false
    }
}

/// The frames that [`render`] makes, kept.
fn kept() -> Frames {
    let mut keep = Keep::default();
    render(&mut keep);
    keep.0
}

fn whole(f: &mut dyn FnMut(&mut crate::text::Text<'_>) -> Written) -> String {
    let mut out = Vec::new();
    crate::text::write_to(&mut out, f).unwrap();
    String::from_utf8(out).unwrap()
}

const NOW: Micros = Micros(1_700_000_000_500_000);

/// The keys that LuCI reads, with what they mean there, and the rest of what keepalived has.
#[test]
fn keepalived_dump() {
    let v = parsed(&whole(&mut |t| keepalived(&kept(), None, NOW, t)));
    let lan = &v["status"][0];
    let data = json!({
        "iname": "lan", "vmac_ifname": "", "ifp_ifname": "br-lan", "master_priority": 200,
        "last_transition": 1_699_999_996.24, "vrid": 51, "base_priority": 150, "effective_priority": 150,
        "vipset": false, "adver_int": 1.0, "master_adver_int": 1.0, "state": 1, "wantstate": 1, "version": 3,
        "vips": ["192.168.1.1/24 dev br-lan"], "evips": ["192.168.1.9/24 dev br-lan"],
        "vroutes": ["default via 192.0.2.9 dev eth\"\u{1b} metric 5", "10.0.0.0/8 table 100 blackhole"],
        "track_ifp": ["wan", "lte"], "track_script": ["load", "trigger", "new"],
    });
    assert_eq!(lan["data"], data);
    let stats = &lan["stats"];
    assert_eq!(
        (&stats["advert_sent"], &stats["advert_rcvd"], &stats["auth_failure"]),
        (&4.into(), &0.into(), &2.into())
    );
    assert_eq!((&stats["become_master"], &stats["release_master"]), (&0.into(), &0.into()));
    let lan6 = &v["status"][1]["data"];
    assert_eq!((&lan6["state"], &lan6["wantstate"], &lan6["vips"]), (&3.into(), &1.into(), &json!([])));
    assert_eq!(lan6["vmac_ifname"], "vrrp4.51");
    assert_eq!(v["status"].as_array().unwrap().len(), 2);
}

/// The call `status`: what OpenWrt's hotplug script notes of each notification.
#[test]
fn keepalived_status() {
    let v = parsed(&whole(&mut |t| keepalived(&kept(), None, NOW, t)));
    let instances = json!([
        {"name": "lan", "event": 1_699_999_996, "status": "NOTIFY_BACKUP"},
        {"name": "lan6", "event": 1_699_999_996, "status": "NOTIFY_FAULT"},
    ]);
    assert_eq!(v["instance"], instances);
    let groups = json!([
        {"name": "gateway", "event": 1_699_999_934, "status": "NOTIFY_BACKUP"},
        {"name": "alone", "event": 1_700_000_000, "status": "NOTIFY_UNKNOWN"},
    ]);
    assert_eq!(v["group"], groups);
}

/// How often the address was let go: once less than taken while it is held, as LuCI's page works out
/// whether it is.
#[test]
fn keepalived_master() {
    for (state, released, vipset, numbers) in
        [(Shown::Master, 2, true, (2, 2)), (Shown::Backup, 3, false, (1, 1)), (Shown::Stop, 3, false, (0, 0))]
    {
        let mut frames = Frames::default();
        let mut lan = instance("lan", state);
        lan.stats.master_transitions = 3;
        assert!(frames.add(&Reply::Instance(lan)));
        // The clock is not set yet.
        let v = parsed(&whole(&mut |t| keepalived(&frames, None, Micros(1_000_000), t)));
        let (data, stats) = (&v["status"][0]["data"], &v["status"][0]["stats"]);
        assert_eq!((&stats["become_master"], &stats["release_master"]), (&3.into(), &released.into()));
        assert_eq!((&data["vipset"], &data["last_transition"]), (&vipset.into(), &0.0.into()));
        assert_eq!((&data["state"], &data["wantstate"]), (&numbers.0.into(), &numbers.1.into()));
        assert_eq!(data["master_priority"], if state == Shown::Stop { 0 } else { 200 - 50 * i32::from(vipset) });
    }
}

/// By a name, and of nothing at all.
#[test]
fn keepalived_little() {
    let some = |name| parsed(&whole(&mut |t| keepalived(&kept(), Some(name), NOW, t)));
    let lan6 = some("lan6");
    assert_eq!((&lan6["status"][0]["data"]["iname"], &lan6["status"][1]), (&"lan6".into(), &Value::Null));
    assert_eq!((names(&lan6["instance"]), names(&lan6["group"])), (vec!["lan6"], vec![]));
    assert_eq!(names(&some("gateway")["group"]), ["gateway"]);
    let empty = json!({"status": [], "instance": [], "group": []});
    assert_eq!(some("nosuch"), empty);
    assert_eq!(parsed(&whole(&mut |t| keepalived(&Frames::default(), None, NOW, t))), empty);
    assert_eq!(["lan", "gateway", "web", "nosuch"].map(|name| kept().any(name)), [true, true, true, false]);
}

/// Each line is a metric or says its type; a metric's lines stand together, behind its type.
#[test]
fn prometheus_lines() {
    let text = whole(&mut |t| prometheus(&kept(), None, t));
    let (mut seen, mut open) = (std::collections::HashSet::new(), "");
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap();
            assert!(seen.insert(name), "{name} twice");
            assert_eq!(kind, if name.ends_with("_total") { "counter" } else { "gauge" });
            open = name;
            continue;
        }
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
        assert_eq!(name, open, "{line}");
        assert!(rest.rsplit_once(' ').unwrap().1.parse::<f64>().is_ok(), "{line}");
    }
    for line in [
        "picovrrp_info{version=\"0.1.0\",router_id=\"a \\\"b\\\"\\\\?\"} 1",
        "picovrrp_uptime_seconds 3700.000000",
        "picovrrp_checksum_errors_total 3",
        "picovrrp_instance_state{instance=\"lan\",interface=\"br-lan\",vrid=\"51\",family=\"ipv4\"} 1",
        "picovrrp_instance_state{instance=\"lan6\",interface=\"br-lan\",vrid=\"51\",family=\"ipv4\"} 3",
        "picovrrp_master_priority{instance=\"lan\"} 200",
        "picovrrp_state_seconds{instance=\"lan\"} 4.260000",
        "picovrrp_advertisement_sent_total{instance=\"lan\"} 4",
        "picovrrp_auth_failure_total{instance=\"lan6\"} 2",
        "picovrrp_group_state{group=\"gateway\"} 1",
        "picovrrp_check_up{check=\"wan\",kind=\"ping\"} 1",
        "picovrrp_check_up{check=\"web\",kind=\"script\"} 0",
        "picovrrp_check_value{check=\"load\",kind=\"file\"} -30",
        "picovrrp_check_last_seconds{check=\"wan\",kind=\"ping\"} 0.003007",
        "picovrrp_check_runs_total{check=\"wan\",kind=\"ping\"} 9",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("check_up{check=\"new\""), "nothing is known of it");
    let lan6 = whole(&mut |t| prometheus(&kept(), Some("lan6"), t));
    assert!(lan6.contains("\"lan6\"") && !lan6.contains("\"lan\"") && !lan6.contains("check="), "{lan6}");
}

/// What is kept has an end, and what is refused leaves what was kept as it was.
#[test]
fn frames_are_bounded() {
    let mut frames = Frames::default();
    let mut n = 0;
    while frames.add(&Reply::Instance(instance("lan", Shown::Backup))) {
        n += 1;
    }
    assert_eq!(frames.walk().count(), n);
    assert!(n > 1020, "four times 255 instances fit: {n}");
}
