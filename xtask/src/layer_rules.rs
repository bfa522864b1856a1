//! The architecture's rules as data: which module may import which, and, in [`bans`], which names may
//! not appear where.

mod bans;

pub(crate) use self::bans::BANS;

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
        module: "supervisor",
        may_import: &["text"],
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
        module: "privileges",
        may_import: &["live::SocketOptions", "plan"],
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
            "privileges",
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
        module: "instance",
        may_import: &["kernel::support"],
    },
    Layer {
        module: "retirement",
        may_import: &["observation", "kernel", "model", "history"],
    },
    Layer {
        module: "detach",
        may_import: &[
            "console",
            "kernel",
            "names",
            "geo",
            "store",
            "history",
            "plan",
            "instance",
            "retirement",
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
            "privileges",
            "supervisor",
            "instance",
            "retirement",
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
