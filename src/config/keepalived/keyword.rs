//! Every keyword that keepalived knows: where it stands, and what becomes of it.

use super::reader::{Done, Reader};
use super::words::Words;
use super::{address, check, delay, global, group, instance, route};

type Read = fn(&mut Reader<'_>, &mut Words<'_>) -> Done;

/// A block whose lines are entries rather than keywords.
pub(super) struct List {
    pub(super) name: &'static str,
    pub(super) entry: Read,
}

/// What a statement stands in.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Top,
    Global,
    Instance,
    Authentication,
    Group,
    Script,
    Process,
    File,
    List(&'static List),
    /// A block that is not taken over; what it is has been reported.
    Skip,
}

impl Place {
    /// For messages: "'x' does not belong …".
    pub(super) fn name(self) -> &'static str {
        match self {
            Place::Top => "outside of all blocks",
            Place::Global => "in global_defs",
            Place::Instance => "in vrrp_instance",
            Place::Authentication => "in authentication",
            Place::Group => "in vrrp_sync_group",
            Place::Script => "in vrrp_script",
            Place::Process => "in vrrp_track_process",
            Place::File => "in track_file",
            Place::List(_) | Place::Skip => "here",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Place::Top => TOP,
            Place::Global => GLOBAL,
            Place::Instance => INSTANCE,
            Place::Authentication => AUTH,
            Place::Group => GROUP,
            Place::Script => SCRIPT,
            Place::Process => PROCESS,
            Place::File => FILE,
            Place::List(_) | Place::Skip => 0,
        }
    }
}

const TOP: u8 = 1;
const GLOBAL: u8 = 2;
const INSTANCE: u8 = 4;
const AUTH: u8 = 8;
const GROUP: u8 = 16;
const SCRIPT: u8 = 32;
const PROCESS: u8 = 64;
const FILE: u8 = 128;
const BOTH: u8 = INSTANCE | GROUP;

/// What becomes of a keyword.
#[derive(Clone, Copy)]
pub(super) enum Act {
    /// Its words are read.
    Read(Read),
    /// Its words are read, and it opens a block of keywords.
    Block(Read, Place),
    /// It opens a block of entries.
    List(&'static List),
    /// It asks for what this daemon does anyway.
    Same,
    /// It cannot be taken over, with this consequence.
    Report(&'static str),
}

pub(super) struct Keyword {
    pub(super) name: &'static str,
    places: u8,
    pub(super) act: Act,
}

const fn read(name: &'static str, places: u8, read: Read) -> Keyword {
    Keyword { name, places, act: Act::Read(read) }
}

const fn block(name: &'static str, places: u8, begin: Read, place: Place) -> Keyword {
    Keyword { name, places, act: Act::Block(begin, place) }
}

const fn list(places: u8, list: &'static List) -> Keyword {
    Keyword { name: list.name, places, act: Act::List(list) }
}

const fn same(name: &'static str, places: u8) -> Keyword {
    Keyword { name, places, act: Act::Same }
}

const fn report(name: &'static str, places: u8, consequence: &'static str) -> Keyword {
    Keyword { name, places, act: Act::Report(consequence) }
}

/// The keyword `word` in `place`.
pub(super) fn find(word: &str, place: Place) -> Option<&'static Keyword> {
    let bit = place.bit();
    KEYWORDS.iter().find(|k| k.places & bit != 0 && k.name == word)
}

/// The keyword `word` wherever it may stand.
pub(super) fn anywhere(word: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|k| k.name == word)
}

/// The keywords that may stand in `place`.
pub(super) fn names(place: Place) -> impl Iterator<Item = &'static str> {
    let bit = place.bit();
    KEYWORDS.iter().filter(move |k| k.places & bit != 0).map(|k| k.name)
}

static ADDRESSES: List = List { name: "virtual_ipaddress", entry: address::advertised };
static EXCLUDED: List = List { name: "virtual_ipaddress_excluded", entry: address::excluded };
static VIRTUAL_ROUTES: List = List { name: "virtual_routes", entry: route::virtual_route };
static STATIC_ADDRESSES: List = List { name: "static_ipaddress", entry: route::static_address };
static STATIC_ROUTES: List = List { name: "static_routes", entry: route::static_route };
static DELAYS: List = List { name: "interface_up_down_delays", entry: delay::delay };
static PEERS: List = List { name: "unicast_peer", entry: address::peer };
static TRACK_INTERFACE: List = List { name: "track_interface", entry: check::track_interface };
static TRACK_SCRIPT: List = List { name: "track_script", entry: check::track_check };
static TRACK_FILE: List = List { name: "track_file", entry: check::track_check };
static TRACK_PROCESS: List = List { name: "track_process", entry: check::track_check };
static MEMBERS: List = List { name: "group", entry: group::members };

const LVS: &str = "balancing (LVS) is none of this daemon's work, so these servers get no traffic from it";
const CHECKER: &str = "it is for balancing (LVS), which is none of this daemon's work";
const MAIL: &str = "no mail is sent; a 'notify' command can send it";
const SNMP: &str = "there is no SNMP; 'picovrrp status --json' has the same figures";
const DBUS: &str = "there is no D-Bus; 'picovrrp status --json' and 'notify' tell the same";
const BFD: &str = "there is no BFD; a 'ping' check notices a lost neighbour later";
const PROCESSES: &str = "there is one process, which has one name";
const SCHEDULING: &str = "priority and memory are options of 'picovrrp run': --realtime and --lock-memory";
const BUFFERS: &str = "the kernel's own buffer sizes are used";
const FIREWALL: &str = "the rules of 'no_accept' stand in a table of this daemon's own";
const VMAC_PREFIX: &str = "an interface with the virtual MAC address is called vrrp.VRID unless 'use_vmac' names it";
const VMAC_ADDR: &str = "addresses on other interfaces have the MAC addresses of those";
const FILES: &str = "keepalived's own files are not written; those of this daemon lie in its run directory";
const RELOAD: &str = "a reload is asked for with 'picovrrp reload', and a wrong configuration is refused";
const NAMESPACE: &str = "start the daemon in the namespace with 'ip netns exec' or by the service manager";
const ROUTES: &str = "these rules are not set: packets are routed without them";
const STATIC: &str = "these are not set: the system's own network configuration can do so";
const GARP_GAP: &str = "gratuitous ARP and NA packets of a burst are paced by this daemon's own rule";
const LOWER_GARP: &str = "after a lower router's advert the burst is that of becoming master";
const ADVERTS: &str = "the answer to other masters' adverts is the one of RFC 9568";
const FIFO: &str = "the FIFO gets its lines, but nothing is started to read them";
const DELETED: &str = "an instance that a reload deletes is told as STOP";
const LINKS: &str = "link changes come from the kernel and count at once";
const STRICT: &str = "'vrrp_strict' in global_defs is for all instances";

static KEYWORDS: [Keyword; 240] = [
    // Outside of all blocks.
    block("global_defs", TOP, global::begin, Place::Global),
    block("vrrp_instance", TOP, instance::begin, Place::Instance),
    block("vrrp_sync_group", TOP, group::begin, Place::Group),
    block("vrrp_script", TOP, check::begin_script, Place::Script),
    block("vrrp_track_process", TOP, check::begin_process, Place::Process),
    block("vrrp_process", TOP, check::begin_process, Place::Process),
    block("track_file", TOP, check::begin_file, Place::File),
    block("vrrp_track_file", TOP, check::begin_file, Place::File),
    list(TOP, &STATIC_ADDRESSES),
    list(TOP, &STATIC_ROUTES),
    report("static_rules", TOP, STATIC),
    report("track_group", TOP, STATIC),
    list(TOP, &DELAYS),
    report("linkbeat_interfaces", TOP, LINKS),
    report("linkbeat_use_polling", TOP | GLOBAL | INSTANCE, LINKS),
    report("garp_group", TOP, GARP_GAP),
    report("virtual_server", TOP, LVS),
    report("virtual_server_group", TOP, LVS),
    report("real_server", TOP, LVS),
    report("SSL", TOP, CHECKER),
    report("bfd_instance", TOP, BFD),
    report("net_namespace", TOP | GLOBAL, NAMESPACE),
    report("net_namespace_ipvs", TOP | GLOBAL, LVS),
    report("namespace_with_ipsets", TOP | GLOBAL, FIREWALL),
    report("instance", TOP | GLOBAL, FILES),
    report("use_pid_dir", TOP | GLOBAL, FILES),
    report("child_wait_time", TOP | GLOBAL, PROCESSES),
    // Of the whole router.
    read("router_id", GLOBAL, global::router_id),
    read("vrrp_version", GLOBAL, global::version),
    read("vrrp_mcast_group4", GLOBAL, global::group4),
    read("vrrp_mcast_group6", GLOBAL, global::group6),
    read("vrrp_garp_master_delay", GLOBAL, global::garp_delay),
    read("vrrp_garp_master_repeat", GLOBAL, global::garp_repeat),
    read("vrrp_garp_master_refresh", GLOBAL, global::garp_refresh),
    read("vrrp_garp_master_refresh_repeat", GLOBAL, global::garp_refresh_repeat),
    read("vrrp_min_garp", GLOBAL, global::min_garp),
    read("v3_checksum_as_v2", GLOBAL, global::plain_checksum),
    read("vrrp_strict", GLOBAL, global::strict),
    read("vrrp_startup_delay", GLOBAL, global::startup_delay),
    read("script_user", GLOBAL, global::script_user),
    read("enable_script_security", GLOBAL, global::script_security),
    read("startup_script", GLOBAL, global::startup),
    read("startup_script_timeout", GLOBAL, global::startup_timeout),
    read("shutdown_script", GLOBAL, global::shutdown),
    read("shutdown_script_timeout", GLOBAL, global::shutdown_timeout),
    read("notify_fifo", GLOBAL, global::fifo),
    read("vrrp_notify_fifo", GLOBAL, global::fifo),
    read("log_unknown_vrids", GLOBAL, global::log_unknown),
    read("vrrp_down_timer_adverts", GLOBAL, instance::down_timer_adverts),
    read("vrrp_lower_prio_no_advert", GLOBAL, instance::lower_prio_no_advert),
    same("dynamic_interfaces", GLOBAL),
    same("vrrp_check_unicast_src", GLOBAL),
    same("vrrp_skip_check_adv_addr", GLOBAL),
    report("vrrp_higher_prio_send_advert", GLOBAL, ADVERTS),
    report("vrrp_garp_lower_prio_delay", GLOBAL, LOWER_GARP),
    report("vrrp_garp_lower_prio_repeat", GLOBAL, LOWER_GARP),
    report("vrrp_garp_interval", GLOBAL, GARP_GAP),
    report("vrrp_gna_interval", GLOBAL, GARP_GAP),
    report("vrrp_garp_extra_if", GLOBAL, "no packets go out of interfaces without virtual addresses"),
    report("vrrp_delay_after_boot", GLOBAL, "the delay counts from the daemon's start: 'vrrp_startup_delay'"),
    report("default_interface", GLOBAL, STATIC),
    report("notify_fifo_script", GLOBAL, FIFO),
    report("vrrp_notify_fifo_script", GLOBAL, FIFO),
    report("fifo_write_vrrp_states_on_reload", GLOBAL, "a reload that changes no state writes no line"),
    report("vrrp_notify_priority_changes", GLOBAL, "the FIFO is told of states only"),
    report("notify_priority_changes", GLOBAL | BOTH, "the FIFO is told of states only"),
    report("nftables", GLOBAL, FIREWALL),
    report("nftables_priority", GLOBAL, FIREWALL),
    report("nftables_counters", GLOBAL, FIREWALL),
    report("nftables_ifindex", GLOBAL, FIREWALL),
    report("nftables_ipvs", GLOBAL, LVS),
    report("nftables_ipvs_priority", GLOBAL, LVS),
    report("nftables_ipvs_start_fwmark", GLOBAL, LVS),
    report("vrrp_iptables", GLOBAL, FIREWALL),
    report("vrrp_ipsets", GLOBAL, FIREWALL),
    report("disable_local_igmp", GLOBAL, "the kernel reports its multicast groups as it is set to"),
    report("vmac_prefix", GLOBAL, VMAC_PREFIX),
    report("vmac_addr_prefix", GLOBAL, VMAC_ADDR),
    report("max_auto_priority", GLOBAL, SCHEDULING),
    report("min_auto_priority_delay", GLOBAL, SCHEDULING),
    report("vrrp_priority", GLOBAL, SCHEDULING),
    report("vrrp_no_swap", GLOBAL, SCHEDULING),
    report("vrrp_cpu_affinity", GLOBAL, SCHEDULING),
    report("vrrp_rt_priority", GLOBAL, SCHEDULING),
    report("vrrp_rlimit_rttime", GLOBAL, SCHEDULING),
    report("vrrp_rlimit_rtime", GLOBAL, SCHEDULING),
    report("checker_priority", GLOBAL, CHECKER),
    report("checker_no_swap", GLOBAL, CHECKER),
    report("checker_cpu_affinity", GLOBAL, CHECKER),
    report("checker_rt_priority", GLOBAL, CHECKER),
    report("checker_rlimit_rttime", GLOBAL, CHECKER),
    report("checker_log_all_failures", GLOBAL, CHECKER),
    report("bfd_priority", GLOBAL, BFD),
    report("bfd_no_swap", GLOBAL, BFD),
    report("bfd_cpu_affinity", GLOBAL, BFD),
    report("bfd_rt_priority", GLOBAL, BFD),
    report("bfd_rlimit_rttime", GLOBAL, BFD),
    report("process_names", GLOBAL, PROCESSES),
    report("process_name", GLOBAL, PROCESSES),
    report("vrrp_process_name", GLOBAL, PROCESSES),
    report("checker_process_name", GLOBAL, PROCESSES),
    report("lvs_process_name", GLOBAL, PROCESSES),
    report("bfd_process_name", GLOBAL, PROCESSES),
    report("vrrp_netlink_cmd_rcv_bufs", GLOBAL, BUFFERS),
    report("vrrp_netlink_cmd_rcv_bufs_force", GLOBAL, BUFFERS),
    report("vrrp_netlink_monitor_rcv_bufs", GLOBAL, BUFFERS),
    report("vrrp_netlink_monitor_rcv_bufs_force", GLOBAL, BUFFERS),
    report("lvs_netlink_cmd_rcv_bufs", GLOBAL, CHECKER),
    report("lvs_netlink_cmd_rcv_bufs_force", GLOBAL, CHECKER),
    report("lvs_netlink_monitor_rcv_bufs", GLOBAL, CHECKER),
    report("lvs_netlink_monitor_rcv_bufs_force", GLOBAL, CHECKER),
    report("process_monitor_rcv_bufs", GLOBAL, BUFFERS),
    report("process_monitor_rcv_bufs_force", GLOBAL, BUFFERS),
    report("vrrp_rx_bufs_policy", GLOBAL, BUFFERS),
    report("vrrp_rx_bufs_multiplier", GLOBAL, BUFFERS),
    report("rs_init_notifies", GLOBAL, CHECKER),
    report("no_checker_emails", GLOBAL, MAIL),
    report("lvs_sync_daemon", GLOBAL, LVS),
    report("lvs_timeouts", GLOBAL, LVS),
    report("lvs_flush", GLOBAL, LVS),
    report("lvs_flush_on_stop", GLOBAL, LVS),
    report("lvs_flush_onstop", GLOBAL, LVS),
    report("lvs_notify_fifo", GLOBAL, LVS),
    report("lvs_notify_fifo_script", GLOBAL, LVS),
    report("notification_email", GLOBAL, MAIL),
    report("notification_email_from", GLOBAL, MAIL),
    report("smtp_server", GLOBAL, MAIL),
    report("smtp_helo_name", GLOBAL, MAIL),
    report("smtp_connect_timeout", GLOBAL, MAIL),
    report("smtp_alert_vrrp", GLOBAL, MAIL),
    report("smtp_alert_checker", GLOBAL, MAIL),
    report("email_faults", GLOBAL, MAIL),
    report("no_email_faults", GLOBAL, MAIL),
    report("smtp_alert", GLOBAL | BOTH, MAIL),
    report("snmp_socket", GLOBAL, SNMP),
    report("enable_snmp_keepalived", GLOBAL, SNMP),
    report("enable_snmp_vrrp", GLOBAL, SNMP),
    report("enable_snmp_checker", GLOBAL, SNMP),
    report("enable_snmp_rfc", GLOBAL, SNMP),
    report("enable_snmp_rfcv2", GLOBAL, SNMP),
    report("enable_snmp_rfcv3", GLOBAL, SNMP),
    report("enable_traps", GLOBAL, SNMP),
    report("enable_dbus", GLOBAL, DBUS),
    report("dbus_service_name", GLOBAL, DBUS),
    report("dbus_no_interface_name", GLOBAL, DBUS),
    report("tmp_config_directory", GLOBAL, FILES),
    report("config_save_dir", GLOBAL, FILES),
    report("data_use_instance", GLOBAL, FILES),
    report("umask", GLOBAL, FILES),
    report("random_seed", GLOBAL, "there are no random definitions"),
    report("include_check", GLOBAL, "a file that is named and cannot be read is always an error"),
    report("reload_check_config", GLOBAL, RELOAD),
    report("reload_time_file", GLOBAL, RELOAD),
    report("reload_repeat", GLOBAL, RELOAD),
    report("reload_file", GLOBAL, RELOAD),
    // Of an instance.
    read("state", INSTANCE, instance::state),
    read("interface", INSTANCE, instance::interface),
    read("virtual_router_id", INSTANCE, instance::vrid),
    read("priority", INSTANCE, instance::priority),
    read("advert_int", INSTANCE, instance::advert),
    read("version", INSTANCE, instance::version),
    read("native_ipv6", INSTANCE, instance::native_ipv6),
    read("nopreempt", INSTANCE, instance::nopreempt),
    read("preempt", INSTANCE, instance::preempt),
    read("preempt_delay", INSTANCE, instance::preempt_delay),
    read("mcast_src_ip", INSTANCE, instance::mcast_src),
    read("unicast_src_ip", INSTANCE, instance::unicast_src),
    read("mcast_dst_ip", INSTANCE, instance::mcast_dst),
    read("garp_master_delay", INSTANCE, instance::garp_delay),
    read("garp_master_repeat", INSTANCE, instance::garp_repeat),
    read("garp_master_refresh", INSTANCE, instance::garp_refresh),
    read("garp_master_refresh_repeat", INSTANCE, instance::garp_refresh_repeat),
    read("unicast_ttl", INSTANCE, instance::unicast_ttl),
    read("down_timer_adverts", INSTANCE, instance::down_timer_adverts),
    read("lower_prio_no_advert", INSTANCE, instance::lower_prio_no_advert),
    block("authentication", INSTANCE, instance::authentication, Place::Authentication),
    read("auth_type", AUTH, instance::auth_type),
    read("auth_pass", AUTH, instance::auth_pass),
    list(INSTANCE, &ADDRESSES),
    list(INSTANCE, &EXCLUDED),
    list(INSTANCE, &VIRTUAL_ROUTES),
    list(INSTANCE, &PEERS),
    same("check_unicast_src", INSTANCE),
    same("skip_check_adv_addr", INSTANCE),
    same("unicast_fault_no_peer", INSTANCE),
    read("accept", INSTANCE, instance::accept),
    read("no_accept", INSTANCE, instance::no_accept),
    read("use_vmac", INSTANCE, instance::use_vmac),
    read("vmac_xmit_base", INSTANCE, instance::vmac_xmit_base),
    report("use_vmac_addr", INSTANCE, VMAC_ADDR),
    report("use_ipvlan", INSTANCE, "the interface's own MAC address is used, as with an IPVLAN"),
    report("vrf", INSTANCE, "adverts go by the interface alone"),
    read("dont_track_primary", INSTANCE, instance::dont_track_primary),
    report("track_src_ip", INSTANCE, "a missing source address is no Fault: adverts wait until it is there"),
    report("virtual_rules", INSTANCE, ROUTES),
    report(
        "promote_secondaries",
        INSTANCE,
        "the interface's own setting stays; virtual addresses are put back when they vanish",
    ),
    report("old_unicast_checksum", INSTANCE, "the checksum of RFC 5798 is sent, and both forms are accepted"),
    report("garp_lower_prio_delay", INSTANCE, LOWER_GARP),
    report("garp_lower_prio_repeat", INSTANCE, LOWER_GARP),
    report("garp_extra_if", INSTANCE, "no packets go out of interfaces without virtual addresses"),
    report("higher_prio_send_advert", INSTANCE, ADVERTS),
    report("owner_ignore_adverts", INSTANCE, ADVERTS),
    report("strict_mode", INSTANCE, STRICT),
    report("auth_hmac", INSTANCE, "adverts carry no HMAC: a router that wants one does not hear us"),
    report("debug", INSTANCE, "'log debug' in the line configuration logs more"),
    report("kernel_rx_buf_size", INSTANCE, BUFFERS),
    report("lvs_sync_daemon_interface", INSTANCE, LVS),
    report("notify_master_rx_lower_pri", INSTANCE, "nothing is run when a lower router's advert is heard"),
    report("notify_deleted", BOTH, DELETED),
    report("track_bfd", BOTH, BFD),
    // Of an instance or a group.
    read("notify", BOTH, instance::notify),
    read("notify_master", BOTH, instance::notify_master),
    read("notify_backup", BOTH, instance::notify_backup),
    read("notify_fault", BOTH, instance::notify_fault),
    read("notify_stop", BOTH, instance::notify_stop),
    list(BOTH, &TRACK_INTERFACE),
    list(BOTH, &TRACK_SCRIPT),
    list(BOTH, &TRACK_FILE),
    list(BOTH, &TRACK_PROCESS),
    // Of a group.
    list(GROUP, &MEMBERS),
    read("sync_group_tracking_weight", GROUP, group::weights),
    report("global_tracking", GROUP, "what one member tracks at weight 0 counts for all of the group anyway"),
    // Of a check.
    read("script", SCRIPT, check::script),
    read("interval", SCRIPT, check::interval),
    read("timeout", SCRIPT, check::timeout),
    read("weight", SCRIPT | PROCESS | FILE, check::weight),
    read("rise", SCRIPT, check::rise),
    read("fall", SCRIPT, check::fall),
    read("user", SCRIPT, check::user),
    read("init_fail", SCRIPT, check::init_fail),
    read("process", PROCESS, check::process),
    read("quorum", PROCESS, check::quorum),
    read("quorum_max", PROCESS, check::quorum_max),
    read("delay", PROCESS, check::delay),
    read("fork_delay", PROCESS, check::fork_delay),
    read("terminate_delay", PROCESS, check::terminate_delay),
    read("full_command", PROCESS, check::full_command),
    report("param_match", PROCESS, "the words behind the program's name must be the same, all of them"),
    read("file", FILE, check::file),
    report("init_file", FILE, "the file is not made: until it is there it counts as 0, or as a Fault at weight 0"),
];
