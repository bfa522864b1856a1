//! The words for the ways to attach, each with what it means, for the command line, files and help.

use super::RunPlan;
use crate::kernel::attach::{AttachMode, AttachOptions, TcHook};

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

impl RunPlan {
    /// Returns the hooks that the plan wants.
    #[must_use]
    pub const fn attach_options(&self) -> AttachOptions {
        AttachOptions {
            mode: self.attach,
            tc_hook: self.tc_hook,
        }
    }
}
