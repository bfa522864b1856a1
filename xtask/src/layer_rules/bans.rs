//! Names that may not appear in some files, as data.

/// Names that may not appear in some files.
pub(crate) struct Ban {
    /// Path prefixes of the files where the names are banned.
    pub(crate) within: &'static [&'static str],
    /// Path prefixes below those where they are allowed.
    pub(crate) except: &'static [&'static str],
    /// The names: paths, found as whole segments anywhere in a path of the code.
    pub(crate) names: &'static [&'static str],
    /// The rule.
    pub(crate) why: &'static str,
}

/// The bans. The yardstick is the bench's hand-made minimal program: it has what the others may not.
pub(crate) const BANS: &[Ban] = &[
    Ban {
        within: &["flowwatch-ebpf/src/"],
        except: &["flowwatch-ebpf/src/yardstick.rs"],
        names: &[
            "wire::ipv4",
            "wire::ipv6",
            "wire::pppoe",
            "wire::dns",
            "wire::http",
            "wire::quic",
            "wire::tls",
            "from_be_bytes",
            "from_be",
            "from_ne_bytes",
            "to_be",
        ],
        why: "flowwatch-ebpf holds no parsing: that is flowwatch-common's",
    },
    Ban {
        within: &["flowwatch-ebpf/src/"],
        except: &[
            "flowwatch-ebpf/src/frame.rs",
            "flowwatch-ebpf/src/yardstick.rs",
        ],
        names: &["data_end", "__sk_buff", "xdp_md"],
        why: "packet memory is touched in frame.rs alone",
    },
    Ban {
        within: &["flowwatch-ebpf/src/"],
        except: &["flowwatch-ebpf/src/whole_frame.rs"],
        names: &["bpf_skb_load_bytes", "bpf_xdp_load_bytes"],
        why: "packet octets are copied in whole_frame.rs alone",
    },
    Ban {
        within: &["flowwatch-common/src/"],
        except: &[],
        names: &["std", "alloc"],
        why: "flowwatch-common is no_std, allocates nothing and does no I/O",
    },
    Ban {
        within: &["flowwatch-common/src/"],
        except: &["flowwatch-common/src/abi.rs"],
        names: &["unsafe"],
        why: "in flowwatch-common, unsafe stands only where a type is declared plain data",
    },
    Ban {
        within: &[
            "flowwatch/src/names",
            "flowwatch/src/geo",
            "flowwatch/src/model",
            "flowwatch/src/join",
        ],
        except: &[],
        names: &[
            "std::net::TcpStream",
            "std::net::TcpListener",
            "std::net::UdpSocket",
            "std::time::SystemTime",
            "std::time::Instant",
            "SystemTime::now",
            "Instant::now",
            "Timestamp::now",
            "Zoned::now",
            "tokio",
            "aya",
            "aya_log",
            "rtnetlink",
        ],
        why: "names, geo, model and join are pure: values in, values out, time is an argument",
    },
    Ban {
        within: &[
            "flowwatch/src/names",
            "flowwatch/src/geo",
            "flowwatch/src/model",
            "flowwatch/src/join",
        ],
        except: &["flowwatch/src/geo/file.rs"],
        names: &["std::fs", "File::open", "std::process", "std::env"],
        why: "names, geo's look-ups, model and join read no files",
    },
    Ban {
        within: &["flowwatch/src/format", "flowwatch/src/store"],
        except: &[],
        names: &["aya", "aya_log", "rtnetlink"],
        why: "views and the store know nothing of the kernel",
    },
    Ban {
        within: &["tests/src/"],
        except: &["tests/src/bin/"],
        names: &["flowwatch", "flowwatch_common"],
        why: "the lab is an independent witness: it reads and writes packets with its own code",
    },
];
