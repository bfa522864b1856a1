//! The words for the ways to attach, each with what it means, for the command line, files and help.

use crate::kernel::attach::{AttachMode, TcHook};

/// Words for the ways to attach, as users write them.
pub const ATTACH_MODES: &[(&str, AttachMode, &str)] = &[
    (
        "auto",
        AttachMode::Auto,
        "native XDP where it costs the forwarding nothing, else tc",
    ),
    ("xdp", AttachMode::Xdp, "native XDP, or an error"),
    ("tc", AttachMode::Tc, "tc, which every interface has"),
];

/// Words for the ways to attach tc programs.
pub const TC_HOOKS: &[(&str, TcHook, &str)] = &[
    (
        "auto",
        TcHook::Auto,
        "tcx where the kernel has it, else clsact",
    ),
    ("tcx", TcHook::Tcx, "tcx (Linux 6.6)"),
    (
        "clsact",
        TcHook::Clsact,
        "a filter of a clsact queueing discipline",
    ),
];
