//! What the section types and options of `/etc/config/keepalived` are called, and what is known of
//! those that cannot be taken over.

/// Makes the options, in the order of their names.
macro_rules! options {
    ($($option:ident $name:literal,)*) => {
        /// An option that is kept until its section is read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Opt { $($option,)* }

        static OPTIONS: &[(Opt, &str)] = &[$((Opt::$option, $name),)*];
    };
}

options! {
    Enabled "enabled",
    AltConfigFile "alt_config_file",
    RouterId "router_id",
    McastGroup4 "vrrp_mcast_group4",
    McastGroup6 "vrrp_mcast_group6",
    StartupDelay "vrrp_startup_delay",
    Hotplug "hotplug",
    Name "name",
    Address "address",
    Device "device",
    Scope "scope",
    LabelSuffix "label_suffix",
    Gateway "gateway",
    SrcAddr "src_addr",
    Table "table",
    Blackhole "blackhole",
    Route "route",
    DontTrackPrimary "dont_track_primary",
    DownDelay "down_delay",
    UpDelay "up_delay",
    Value "value",
    Weight "weight",
    Direction "direction",
    Script "script",
    Interval "interval",
    Timeout "timeout",
    Fall "fall",
    Fail "fail",
    Rise "rise",
    User "user",
    MinTtl "min_ttl",
    MaxTtl "max_ttl",
    Group "group",
    TrackScript "track_script",
    TrackInterface "track_interface",
    TrackBfd "track_bfd",
    TrackCheck "track_check",
    TrackFile "track_file",
    TrackProcess "track_process",
    AuthType "auth_type",
    AuthPass "auth_pass",
    State "state",
    Interface "interface",
    McastSrcIp "mcast_src_ip",
    UnicastSrcIp "unicast_src_ip",
    UnicastPeer "unicast_peer",
    VirtualRouterId "virtual_router_id",
    Version "version",
    Priority "priority",
    AdvertInt "advert_int",
    PreemptDelay "preempt_delay",
    GarpMasterDelay "garp_master_delay",
    GarpMasterRefresh "garp_master_refresh",
    GarpMasterRepeat "garp_master_repeat",
    GarpMasterRefreshRepeat "garp_master_refresh_repeat",
    NativeIpv6 "native_ipv6",
    Nopreempt "nopreempt",
    UseVmac "use_vmac",
    VmacXmitBase "vmac_xmit_base",
    NoAccept "no_accept",
    VirtualIpaddress "virtual_ipaddress",
    VirtualIpaddressExcluded "virtual_ipaddress_excluded",
    VirtualRoutes "virtual_routes",
    Checksum "checksum",
    Notify "notify",
    NotifyMaster "notify_master",
    NotifyBackup "notify_backup",
    NotifyFault "notify_fault",
    NotifyStop "notify_stop",
    TrackingWeight "sync_group_tracking_weight",
    Kind "kind",
    Args "args",
    Initial "initial",
    File "file",
    Process "process",
    Quorum "quorum",
    QuorumMax "quorum_max",
    Delay "delay",
    FullCommand "full_command",
    Connector "connector",
}

impl Opt {
    /// Its name in the file.
    pub(super) fn name(self) -> &'static str {
        OPTIONS.get(self as usize).map_or("", |(_, name)| name)
    }
}

/// When an option that cannot be taken over matters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Whatever its value.
    Always,
    /// If it is on, which for keepalived's init script it is with any value.
    On,
    /// Never: it changes nothing here.
    Never,
}

/// An option that is known and not taken over: what follows from that.
pub(super) struct Foreign {
    pub(super) name: &'static str,
    pub(super) when: When,
    pub(super) consequence: &'static str,
}

const fn foreign(name: &'static str, when: When, consequence: &'static str) -> Foreign {
    Foreign { name, when, consequence }
}

/// A section type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Type {
    Globals,
    Ipaddress,
    Route,
    StaticIpaddress,
    StaticRoutes,
    Delays,
    TrackInterface,
    TrackScript,
    VrrpScript,
    Bfd,
    Peer,
    SyncGroup,
    Instance,
    Check,
    TrackFile,
    TrackProcess,
    /// Known, and of no use to a router; none of it is kept.
    Lvs,
}

/// What is known of a section type.
pub(super) struct Schema {
    pub(super) names: &'static [&'static str],
    pub(super) kind: Type,
    pub(super) options: &'static [Opt],
    pub(super) foreign: &'static [Foreign],
}

const MAIL: &str = "no mail is sent; a script called by 'notify' can send some";
const SYNC: &str = "it belongs to the add-on that copies files between routers, which picovrrp is not";
const BFD: &str = "nothing is tracked by BFD";

/// All of them; the order is that of [`Type`].
pub(super) static SCHEMAS: [Schema; 17] = [
    Schema {
        names: &["globals", "global_defs"],
        kind: Type::Globals,
        options: &[
            Opt::Enabled,
            Opt::AltConfigFile,
            Opt::RouterId,
            Opt::McastGroup4,
            Opt::McastGroup6,
            Opt::StartupDelay,
            Opt::Hotplug,
        ],
        foreign: &[
            foreign("linkbeat_use_polling", When::Never, ""),
            // What the init script of picovrrp's own package reads.
            foreign("config_file", When::Never, ""),
            foreign("uci_file", When::Never, ""),
            foreign("firewall", When::Never, ""),
            foreign("realtime", When::Never, ""),
            foreign("lock_memory", When::Never, ""),
            foreign("notification_email", When::Always, MAIL),
            foreign("notification_email_from", When::Always, MAIL),
            foreign("smtp_server", When::Always, MAIL),
            foreign("smtp_connect_timeout", When::Always, MAIL),
        ],
    },
    Schema {
        names: &["ipaddress"],
        kind: Type::Ipaddress,
        options: &[Opt::Name, Opt::Address, Opt::Device, Opt::Scope, Opt::LabelSuffix],
        foreign: &[],
    },
    Schema {
        names: &["route"],
        kind: Type::Route,
        options: &[
            Opt::Name,
            Opt::Address,
            Opt::Device,
            Opt::Gateway,
            Opt::SrcAddr,
            Opt::Table,
            Opt::Scope,
            Opt::Blackhole,
        ],
        foreign: &[],
    },
    Schema { names: &["static_ipaddress"], kind: Type::StaticIpaddress, options: &[Opt::Address], foreign: &[] },
    Schema { names: &["static_routes"], kind: Type::StaticRoutes, options: &[Opt::Route], foreign: &[] },
    Schema {
        names: &["interface_up_down_delays"],
        kind: Type::Delays,
        options: &[Opt::Device, Opt::DownDelay, Opt::UpDelay],
        foreign: &[],
    },
    Schema {
        names: &["track_interface"],
        kind: Type::TrackInterface,
        options: &[Opt::Name, Opt::Value, Opt::Weight],
        foreign: &[],
    },
    Schema {
        names: &["track_script"],
        kind: Type::TrackScript,
        options: &[Opt::Name, Opt::Value, Opt::Weight, Opt::Direction],
        foreign: &[],
    },
    Schema {
        names: &["vrrp_script"],
        kind: Type::VrrpScript,
        options: &[
            Opt::Name,
            Opt::Script,
            Opt::Interval,
            Opt::Weight,
            Opt::Fall,
            Opt::Fail,
            Opt::Rise,
            Opt::Timeout,
            Opt::Direction,
            Opt::User,
            Opt::Initial,
        ],
        foreign: &[],
    },
    Schema {
        names: &["bfd_instance"],
        kind: Type::Bfd,
        options: &[Opt::Name, Opt::Weight],
        foreign: &[
            foreign("neighbor_ip", When::Never, ""),
            foreign("source_ip", When::Never, ""),
            foreign("min_rx", When::Never, ""),
            foreign("min_tx", When::Never, ""),
            foreign("idle_tx", When::Never, ""),
            foreign("hoplimit", When::Never, ""),
            foreign("max_hops", When::Never, ""),
        ],
    },
    Schema {
        names: &["peer"],
        kind: Type::Peer,
        options: &[Opt::Name, Opt::Address, Opt::MinTtl, Opt::MaxTtl],
        foreign: &[
            foreign("sync", When::On, SYNC),
            foreign("sync_mode", When::Never, ""),
            foreign("ssh_port", When::Never, ""),
            foreign("ssh_key", When::Never, ""),
            foreign("ssh_pubkey", When::Never, ""),
            foreign("sync_dir", When::Never, ""),
            foreign("sync_list", When::Never, ""),
        ],
    },
    Schema {
        names: &["vrrp_sync_group"],
        kind: Type::SyncGroup,
        options: &[
            Opt::Name,
            Opt::Group,
            Opt::TrackScript,
            Opt::TrackInterface,
            Opt::TrackBfd,
            Opt::TrackCheck,
            Opt::TrackFile,
            Opt::TrackProcess,
            Opt::TrackingWeight,
            Opt::Notify,
            Opt::NotifyMaster,
            Opt::NotifyBackup,
            Opt::NotifyFault,
            Opt::NotifyStop,
        ],
        foreign: &[
            foreign("smtp_alert", When::On, MAIL),
            foreign("global_tracking", When::On, "what the group tracks counts for its instances all the same"),
        ],
    },
    Schema {
        names: &["vrrp_instance"],
        kind: Type::Instance,
        options: &[
            Opt::Name,
            Opt::AuthType,
            Opt::AuthPass,
            Opt::State,
            Opt::Interface,
            Opt::McastSrcIp,
            Opt::UnicastSrcIp,
            Opt::UnicastPeer,
            Opt::VirtualRouterId,
            Opt::Version,
            Opt::Priority,
            Opt::AdvertInt,
            Opt::PreemptDelay,
            Opt::GarpMasterDelay,
            Opt::GarpMasterRefresh,
            Opt::GarpMasterRepeat,
            Opt::GarpMasterRefreshRepeat,
            Opt::NativeIpv6,
            Opt::Nopreempt,
            Opt::UseVmac,
            Opt::VmacXmitBase,
            Opt::NoAccept,
            Opt::DontTrackPrimary,
            Opt::VirtualIpaddress,
            Opt::VirtualIpaddressExcluded,
            Opt::VirtualRoutes,
            Opt::TrackScript,
            Opt::TrackInterface,
            Opt::TrackBfd,
            Opt::TrackCheck,
            Opt::TrackFile,
            Opt::TrackProcess,
            Opt::Checksum,
            Opt::Notify,
            Opt::NotifyMaster,
            Opt::NotifyBackup,
            Opt::NotifyFault,
            Opt::NotifyStop,
        ],
        foreign: &[
            foreign("debug", When::Never, ""),
            foreign("accept", When::Never, ""),
            foreign("smtp_alert", When::On, MAIL),
            foreign("lvs_sync_daemon_interface", When::Always, "connections of LVS are not copied to the other router"),
        ],
    },
    Schema {
        names: &["check"],
        kind: Type::Check,
        options: &[
            Opt::Name,
            Opt::Kind,
            Opt::Args,
            Opt::User,
            Opt::Interval,
            Opt::Timeout,
            Opt::Fall,
            Opt::Rise,
            Opt::Initial,
            Opt::Weight,
            Opt::Direction,
        ],
        foreign: &[],
    },
    Schema {
        names: &["track_file", "vrrp_track_file"],
        kind: Type::TrackFile,
        options: &[Opt::Name, Opt::File, Opt::Weight, Opt::Direction],
        foreign: &[foreign(
            "init_file",
            When::Always,
            "the file is not written; without a number in it, it counts as 0",
        )],
    },
    Schema {
        names: &["track_process", "vrrp_track_process"],
        kind: Type::TrackProcess,
        options: &[
            Opt::Name,
            Opt::Process,
            Opt::Quorum,
            Opt::QuorumMax,
            Opt::Delay,
            Opt::FullCommand,
            Opt::Connector,
            Opt::Interval,
            Opt::Weight,
            Opt::Direction,
        ],
        foreign: &[
            foreign("fork_delay", When::Always, "'delay' holds back both"),
            foreign("terminate_delay", When::Always, "'delay' holds back both"),
            foreign("param_match", When::Always, "words behind the program's name are compared as a whole"),
        ],
    },
    Schema { names: &["virtual_server", "real_server", "url"], kind: Type::Lvs, options: &[], foreign: &[] },
];

/// What does not happen when a section of this type is left out.
pub(super) const fn left_out(kind: Type) -> &'static str {
    match kind {
        Type::Lvs => "LVS is not part of picovrrp: no connections are spread over servers",
        Type::Bfd => BFD,
        _ => "",
    }
}

impl Type {
    /// What is known of it.
    pub(super) fn schema(self) -> &'static Schema {
        &SCHEMAS[self as usize]
    }

    /// Its name in the file.
    pub(super) fn name(self) -> &'static str {
        self.schema().names[0]
    }

    /// The type of number `code`.
    pub(super) fn of(code: u8) -> Option<Type> {
        SCHEMAS.get(code as usize).map(|s| s.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables are in the order of what they describe, and name nothing twice.
    #[test]
    fn order() {
        for (i, (option, name)) in OPTIONS.iter().enumerate() {
            assert_eq!(*option as usize, i, "{name}");
            assert!(OPTIONS[..i].iter().all(|(_, other)| other != name), "{name}");
        }
        for (i, schema) in SCHEMAS.iter().enumerate() {
            assert_eq!(schema.kind as usize, i);
            for (j, option) in schema.options.iter().enumerate() {
                assert!(!schema.options[..j].contains(option), "{} {}", schema.names[0], option.name());
                assert!(schema.foreign.iter().all(|f| f.name != option.name()));
            }
        }
    }
}
