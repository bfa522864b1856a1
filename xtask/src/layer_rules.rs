//! The architecture's rules as data: which module may import which, and which names may not appear
//! where.

/// A top-level module of the crate `flowwatch` and the others that it may import.
pub(crate) struct Layer {
    /// The module.
    pub(crate) module: &'static str,
    /// The modules it may import, or single items of one: `geo::Scope`.
    pub(crate) may_import: &'static [&'static str],
}

/// The modules in the order in which data passes through them; each imports none but earlier ones,
/// so that there are no cycles. Views are siblings: none imports another, and none knows `kernel`.
/// `replay` and `run` are the last, so that only `main`, tests, what compares captures and what shows
/// the counting live import them.
pub(crate) const LAYERS: &[Layer] = &[
    Layer {
        module: "observation",
        may_import: &[],
    },
    Layer {
        module: "streams",
        may_import: &[],
    },
    Layer {
        module: "text",
        may_import: &[],
    },
    Layer {
        module: "compressed",
        may_import: &[],
    },
    Layer {
        module: "console",
        may_import: &["text"],
    },
    Layer {
        module: "stop",
        may_import: &[],
    },
    Layer {
        module: "when",
        may_import: &[],
    },
    Layer {
        module: "capture",
        may_import: &[],
    },
    Layer {
        module: "kernel",
        may_import: &["observation"],
    },
    Layer {
        module: "names",
        may_import: &["observation"],
    },
    Layer {
        module: "geo",
        may_import: &["compressed"],
    },
    Layer {
        module: "oui",
        may_import: &["compressed"],
    },
    Layer {
        module: "model",
        may_import: &["observation", "names", "geo"],
    },
    Layer {
        module: "store",
        may_import: &["observation", "names", "model"],
    },
    Layer {
        module: "join",
        may_import: &["observation", "names", "geo", "model", "store"],
    },
    Layer {
        module: "diff",
        may_import: &["geo::Scope", "model", "store"],
    },
    Layer {
        module: "live",
        may_import: &["observation", "names", "geo", "model", "store", "join"],
    },
    Layer {
        module: "history",
        may_import: &["observation", "names", "geo", "model", "store", "join"],
    },
    Layer {
        module: "diagnosis",
        may_import: &["kernel", "model", "history"],
    },
    Layer {
        module: "grouping",
        may_import: &["observation", "names::NameSource", "model", "store"],
    },
    Layer {
        module: "census",
        may_import: &["model", "oui"],
    },
    Layer {
        module: "format",
        may_import: &[
            "census",
            "diagnosis",
            "diff",
            "grouping",
            "observation",
            "names::Answers",
            "names::Resolver",
            "names::Resolving",
            "names::Transport",
            "geo::Scope",
            "model",
            "store",
            "text",
        ],
    },
    Layer {
        module: "report",
        may_import: &[
            "observation",
            "names::NameSource",
            "geo::Place",
            "geo::Scope",
            "model",
            "store",
            "history::Bucket",
            "history::Span",
            "history::Step",
            "grouping",
            "format",
            "text",
        ],
    },
    Layer {
        module: "export",
        may_import: &[
            "observation",
            "console",
            "text",
            "names",
            "geo::Place",
            "geo::Scope",
            "model",
            "store",
            "live",
            "format",
        ],
    },
    Layer {
        module: "output",
        may_import: &[],
    },
    Layer {
        module: "plan",
        may_import: &[
            "when", "kernel", "diff", "model", "live", "grouping", "format", "history", "export",
        ],
    },
    Layer {
        module: "cli",
        may_import: &[
            "when",
            "kernel",
            "diagnosis",
            "diff",
            "model",
            "live",
            "census",
            "grouping",
            "format",
            "export",
            "plan",
        ],
    },
    Layer {
        module: "config",
        may_import: &["kernel", "model", "live", "format", "export", "plan"],
    },
    Layer {
        module: "exit",
        may_import: &[
            "kernel",
            "geo",
            "live::ClientError",
            "history",
            "export",
            "output",
            "plan",
            "cli",
            "config",
        ],
    },
    Layer {
        module: "top",
        may_import: &[
            "observation",
            "text",
            "stop",
            "names",
            "geo::Place",
            "geo::Scope",
            "model",
            "store",
            "live",
            "format",
            "exit",
        ],
    },
    Layer {
        module: "devices",
        may_import: &[
            "console", "stop", "capture", "kernel", "oui", "census", "plan", "exit",
        ],
    },
    Layer {
        module: "replay",
        may_import: &[
            "observation",
            "console",
            "stop",
            "capture",
            "streams",
            "names",
            "geo",
            "model",
            "store",
            "join",
            "live",
            "format::grouped",
            "plan",
            "exit",
        ],
    },
    Layer {
        module: "recall",
        may_import: &["store", "history", "plan", "exit", "replay"],
    },
    Layer {
        module: "doctor",
        may_import: &[
            "observation",
            "console",
            "stop",
            "kernel",
            "names",
            "geo",
            "model",
            "store",
            "join",
            "history",
            "diagnosis",
            "format::resolving_of",
            "plan",
            "exit",
        ],
    },
    Layer {
        module: "run",
        may_import: &[
            "doctor",
            "observation",
            "console",
            "stop",
            "kernel",
            "names",
            "geo",
            "model",
            "store",
            "join",
            "live",
            "history",
            "export",
            "plan",
        ],
    },
    Layer {
        module: "sides",
        may_import: &[
            "console",
            "diff",
            "exit",
            "geo::Scope",
            "history",
            "model",
            "plan",
            "replay",
            "when",
        ],
    },
    Layer {
        module: "watching",
        may_import: &[
            "console",
            "exit",
            "kernel::support",
            "live",
            "plan",
            "replay",
            "run",
            "top",
        ],
    },
];

/// The top files that lay the modules out and so may name all of them.
pub(crate) const TOP_FILES: [&str; 2] = ["flowwatch/src/lib.rs", "flowwatch/src/main.rs"];

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
