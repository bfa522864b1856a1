//! Attaching: which hook takes what devices send, and the programs at their places.
//!
//! tc programs go first in their chain: a program before them could end it, and what it let pass
//! would go uncounted. Dropping [`Attached`] takes every program off again.

use std::io;

use aya::Ebpf;
use aya::programs::links::LinkOrder;
use aya::programs::tc::{NlOptions, SchedClassifierLink, TcAttachOptions};
use aya::programs::xdp::{XdpLink, XdpMode};
use aya::programs::{ProgramError, SchedClassifier, TcAttachType, Xdp, tc};

use super::hook_choice::choose;
use super::interface::Interface;
use super::load::{self, LoadError, program};
use super::support::{NotPermitted, NotSupported, causes, io_error_of};

/// Which hook the user wants for what devices send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachMode {
    /// Native XDP where it costs the forwarding nothing, else tc.
    #[default]
    Auto,
    /// Native XDP, or an error.
    Xdp,
    /// tc.
    Tc,
}

/// How tc programs are attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TcHook {
    /// tcx where the kernel has it, else clsact.
    #[default]
    Auto,
    /// tcx (Linux 6.6).
    Tcx,
    /// A filter of a clsact queueing discipline, through netlink.
    Clsact,
}

/// The hook that takes what devices send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngressHook {
    /// Native XDP.
    Xdp,
    /// tc ingress.
    Tc,
}

impl IngressHook {
    /// Returns the hook's name in every output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Tc => "tc",
        }
    }
}

/// How an interface is counted on, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The interface's number.
    pub ifindex: u32,
    /// The interface's name.
    pub interface: String,
    /// The hook that takes what devices send. What they receive is always tc's.
    pub ingress: IngressHook,
    /// Why that one.
    pub reason: String,
}

/// Attaching failed.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Privileges are missing.
    #[error("{0}")]
    NotPermitted(#[from] NotPermitted),
    /// The kernel or the driver lacks the hook.
    #[error("{0}")]
    NotSupported(#[from] NotSupported),
    /// The program could not be loaded.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// Another program has the interface's XDP slot.
    #[error(
        "attach XDP to `{0}`: another program has the slot (see `ip link show {0}`); \
         remove it, or use --attach tc"
    )]
    SlotTaken(String),
    /// The driver has no room for frames of this size beside what XDP wants.
    #[error("attach XDP to `{0}`: its MTU is too large for XDP; lower it, or use --attach tc")]
    MtuTooLarge(String),
    /// Any other refusal.
    #[error("attach {hook} to `{interface}`{advice}")]
    Refused {
        /// The hook.
        hook: &'static str,
        /// The interface.
        interface: String,
        /// What to do about it, beginning with a semicolon, or nothing.
        advice: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What `--attach` and its siblings say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttachOptions {
    /// The hook for what devices send.
    pub mode: AttachMode,
    /// The kind of tc hook.
    pub tc_hook: TcHook,
}

/// The attached programs. Dropped, they are detached.
#[derive(Debug, Default)]
pub struct Attached {
    /// How each interface is counted on.
    pub attachments: Vec<Attachment>,
    /// The links by their interfaces' numbers.
    pub(super) xdp_links: Vec<(u32, XdpLink)>,
    pub(super) tc_links: Vec<(u32, TcSide, SchedClassifierLink)>,
}

impl Attached {
    /// Attaches to one interface more.
    ///
    /// # Errors
    /// [`AttachError`]; nothing is then attached to it.
    pub fn add(
        &mut self,
        ebpf: &mut Ebpf,
        interface: &Interface,
        options: AttachOptions,
    ) -> Result<Attachment, AttachError> {
        match attach_both(ebpf, interface, options, self) {
            Ok(attachment) => {
                self.attachments.push(attachment.clone());
                Ok(attachment)
            }
            Err(error) => {
                self.remove(interface.index);
                Err(error)
            }
        }
    }

    /// Takes the programs off an interface. One that is gone has taken them with it; what is left
    /// of them here is dropped.
    pub fn remove(&mut self, ifindex: u32) {
        self.attachments.retain(|it| it.ifindex != ifindex);
        self.xdp_links.retain(|(index, _)| *index != ifindex);
        self.tc_links.retain(|(index, ..)| *index != ifindex);
    }

    /// Takes every program off; returns how the interfaces were counted on.
    #[must_use]
    pub fn detach(self) -> Vec<Attachment> {
        self.attachments
    }
}

/// Attaches to every interface, or to none.
///
/// # Errors
/// [`AttachError`]; what had been attached is detached.
pub fn attach(
    ebpf: &mut Ebpf,
    interfaces: &[Interface],
    options: AttachOptions,
) -> Result<Attached, AttachError> {
    let mut attached = Attached::default();
    for interface in interfaces {
        attached.add(ebpf, interface, options)?;
    }
    Ok(attached)
}

fn attach_both(
    ebpf: &mut Ebpf,
    interface: &Interface,
    options: AttachOptions,
    attached: &mut Attached,
) -> Result<Attachment, AttachError> {
    let (ingress, reason) = attach_ingress(ebpf, interface, options, attached)?;
    attach_tc(ebpf, interface, TcSide::EGRESS, options.tc_hook, attached)?;
    Ok(Attachment {
        ifindex: interface.index,
        interface: interface.name.clone(),
        ingress,
        reason,
    })
}

/// Attaches the census' program to every interface, or to none.
pub(super) fn attach_census(
    ebpf: &mut Ebpf,
    interfaces: &[Interface],
    hook: TcHook,
) -> Result<Attached, AttachError> {
    let mut attached = Attached::default();
    for interface in interfaces {
        attach_tc(ebpf, interface, TcSide::CENSUS, hook, &mut attached)?;
    }
    Ok(attached)
}

fn attach_ingress(
    ebpf: &mut Ebpf,
    interface: &Interface,
    options: AttachOptions,
    attached: &mut Attached,
) -> Result<(IngressHook, String), AttachError> {
    let (hook, reason) = choose(interface, options.mode);
    if hook == IngressHook::Xdp {
        match attach_xdp(ebpf, interface, attached) {
            Ok(()) => return Ok((IngressHook::Xdp, reason)),
            Err(error) if options.mode == AttachMode::Xdp => return Err(error),
            Err(error @ (AttachError::NotPermitted(_) | AttachError::Load(_))) => {
                return Err(error);
            }
            Err(error) => {
                attach_tc(ebpf, interface, TcSide::INGRESS, options.tc_hook, attached)?;
                return Ok((
                    IngressHook::Tc,
                    format!("not by xdp: {}", why_not_xdp(&error)),
                ));
            }
        }
    }
    attach_tc(ebpf, interface, TcSide::INGRESS, options.tc_hook, attached)?;
    Ok((IngressHook::Tc, reason))
}

fn attach_xdp(
    ebpf: &mut Ebpf,
    interface: &Interface,
    attached: &mut Attached,
) -> Result<(), AttachError> {
    let name = loadable_xdp_program(ebpf)?;
    let refused = |error| refusal("XDP", &interface.name, error);
    let program = ebpf.program_mut(name).ok_or(LoadError::Missing(name))?;
    let xdp: &mut Xdp = program.try_into().map_err(refused)?;
    let link = xdp
        .attach_to_if_index(interface.index, XdpMode::Driver)
        .map_err(refused)?;
    let link = xdp.take_link(link).map_err(refused)?;
    attached.xdp_links.push((interface.index, link));
    Ok(())
}

/// Returns the XDP program that this kernel takes: the one for frames of several buffers where it
/// can, which interfaces with a large MTU insist on.
pub(super) fn loadable_xdp_program(ebpf: &mut Ebpf) -> Result<&'static str, LoadError> {
    match load::load_program(ebpf, program::XDP_FRAGMENTS) {
        Ok(()) => Ok(program::XDP_FRAGMENTS),
        Err(error @ LoadError::NotPermitted(_)) => Err(error),
        Err(_) => load::load_program(ebpf, program::XDP).map(|()| program::XDP),
    }
}

/// One side of an interface at tc.
#[derive(Clone, Copy, Debug)]
pub(super) struct TcSide {
    pub(super) program: &'static str,
    pub(super) hook: &'static str,
    side: TcAttachType,
}

impl TcSide {
    const INGRESS: Self = Self {
        program: program::INGRESS,
        hook: "tc ingress",
        side: TcAttachType::Ingress,
    };
    const CENSUS: Self = Self {
        program: program::CENSUS,
        ..Self::INGRESS
    };
    const EGRESS: Self = Self {
        program: program::EGRESS,
        hook: "tc egress",
        side: TcAttachType::Egress,
    };
}

fn attach_tc(
    ebpf: &mut Ebpf,
    interface: &Interface,
    side: TcSide,
    hook: TcHook,
    attached: &mut Attached,
) -> Result<(), AttachError> {
    load::load_program(ebpf, side.program)?;
    let refused = |error| refusal(side.hook, &interface.name, error);
    let program = ebpf
        .program_mut(side.program)
        .ok_or(LoadError::Missing(side.program))?;
    let classifier: &mut SchedClassifier = program.try_into().map_err(refused)?;
    let link = match hook {
        TcHook::Tcx => attach_tcx(classifier, &interface.name, side.side),
        TcHook::Clsact => attach_clsact(classifier, &interface.name, side.side),
        TcHook::Auto => match attach_tcx(classifier, &interface.name, side.side) {
            Err(error) if lacks_tcx(&error) => {
                attach_clsact(classifier, &interface.name, side.side)
            }
            outcome => outcome,
        },
    };
    let link = link.map_err(refused)?;
    let link = classifier.take_link(link).map_err(refused)?;
    attached.tc_links.push((interface.index, side, link));
    Ok(())
}

fn attach_tcx(
    classifier: &mut SchedClassifier,
    interface: &str,
    side: TcAttachType,
) -> Result<tc::SchedClassifierLinkId, ProgramError> {
    let options = TcAttachOptions::TcxOrder(LinkOrder::first());
    classifier.attach_with_options(interface, side, options)
}

fn attach_clsact(
    classifier: &mut SchedClassifier,
    interface: &str,
    side: TcAttachType,
) -> Result<tc::SchedClassifierLinkId, ProgramError> {
    // It may exist already; if it can't be made, attaching says why. It stays when flowwatch goes:
    // others may have come to use it.
    if let Err(error) = tc::qdisc_add_clsact(interface) {
        ::log::debug!("add clsact to {interface}: {error}");
    }
    // Priority 1 is before every filter that chose none.
    let options = NlOptions {
        priority: 1,
        ..NlOptions::default()
    };
    classifier.attach_with_options(interface, side, TcAttachOptions::Netlink(options))
}

/// Kernels before 6.6 answer `EINVAL` to an attach type that they don't know.
fn lacks_tcx(error: &ProgramError) -> bool {
    io_error_of(error).and_then(io::Error::raw_os_error) == Some(libc::EINVAL)
}

/// Turns aya's error into the condition that it stands for.
pub(super) fn refusal(hook: &'static str, interface: &str, error: ProgramError) -> AttachError {
    let code = io_error_of(&error).and_then(io::Error::raw_os_error);
    let is_xdp = hook == "XDP";
    match code {
        Some(libc::EPERM) => NotPermitted {
            attempt: format!("attach {hook} to `{interface}`"),
        }
        .into(),
        Some(libc::EBUSY | libc::EEXIST) if is_xdp => AttachError::SlotTaken(interface.to_owned()),
        Some(libc::ERANGE) if is_xdp => AttachError::MtuTooLarge(interface.to_owned()),
        Some(libc::EOPNOTSUPP) if is_xdp => NotSupported {
            feature: "native XDP on this interface",
            since_kernel: "4.8, but each driver must have it too",
            advice: "use --attach tc or --attach auto",
        }
        .into(),
        _ => AttachError::Refused {
            hook,
            interface: interface.to_owned(),
            advice: if is_xdp {
                "; use --attach tc or --attach auto"
            } else {
                ""
            },
            source: Box::new(error),
        },
    }
}

/// Returns why native XDP was not taken, for one who did not ask for it.
fn why_not_xdp(error: &AttachError) -> String {
    match error {
        AttachError::SlotTaken(_) => "another program has the slot".to_owned(),
        AttachError::MtuTooLarge(_) => "the MTU is too large for it".to_owned(),
        AttachError::NotSupported(_) => "the driver lacks it".to_owned(),
        AttachError::Refused { source, .. } => causes(source.as_ref()),
        other => causes(other),
    }
}

#[cfg(test)]
mod tests {
    use aya::sys::SyscallError;

    use super::*;

    #[test]
    fn a_reason_gives_no_advice_that_nobody_needs() {
        let reason = |code| {
            let error = ProgramError::SyscallError(SyscallError {
                call: "bpf_link_create",
                io_error: io::Error::from_raw_os_error(code),
            });
            why_not_xdp(&refusal("XDP", "eth0", error))
        };
        assert_eq!(reason(libc::EBUSY), "another program has the slot");
        assert_eq!(reason(libc::EOPNOTSUPP), "the driver lacks it");
        assert_eq!(reason(libc::ERANGE), "the MTU is too large for it");
        assert!(reason(libc::EINVAL).contains("os error 22"));
    }
}
