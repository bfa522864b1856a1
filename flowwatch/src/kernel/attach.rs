//! Attaching: which hook takes what devices send, and the programs at their places.
//!
//! tc programs go first in their chain: a program before them could end it, and what it let pass
//! would go uncounted. Dropping [`Attached`] takes every program off again.

use aya::Ebpf;
use aya::programs::tc::SchedClassifierLink;
use aya::programs::xdp::XdpLink;

use super::hook_choice::choose_or_keep;
use super::hooks::{TcSide, attach_tc, attach_xdp, why_not_xdp};
use super::interface::Interface;
use super::link_pins::{self, LinkPinError, LinkPins, Place};
use super::load::LoadError;
use super::support::{NotPermitted, NotSupported};

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
    /// What is attached can't be made to stay.
    #[error("{0}")]
    Pin(#[from] LinkPinError),
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
    /// What keeps them attached without this; nothing when they go with it.
    pub(super) pins: Option<LinkPins>,
}

impl Attached {
    /// Begins with nothing attached; what will be stays by its pins.
    #[must_use]
    pub fn pinned(pins: LinkPins) -> Self {
        Self {
            pins: Some(pins),
            ..Self::default()
        }
    }

    /// Attaches to every interface. What is pinned at one keeps its place, and gets the new program;
    /// what is pinned elsewhere is taken off.
    ///
    /// # Errors
    /// [`AttachError`]; what has been attached without a pin is detached with this.
    pub fn add_all(
        &mut self,
        ebpf: &mut Ebpf,
        interfaces: &[Interface],
        options: AttachOptions,
    ) -> Result<(), AttachError> {
        for interface in interfaces {
            self.add(ebpf, interface, options)?;
        }
        if let Some(pins) = &mut self.pins {
            pins.prune().map_err(LinkPinError::from)?;
        }
        Ok(())
    }

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
        for hook in [link_pins::XDP, link_pins::INGRESS, link_pins::EGRESS] {
            self.unpin(Place { ifindex, hook });
        }
    }

    /// Takes off what a pin keeps at a place.
    pub(super) fn unpin(&mut self, place: Place) {
        let removed = self.pins.as_mut().map(|pins| pins.remove(place));
        if let Some(Err(error)) = removed {
            ::log::warn!("{error}");
        }
    }

    /// Takes every program off; returns how the interfaces were counted on.
    #[must_use]
    pub fn detach(self) -> Vec<Attachment> {
        self.attachments
    }

    /// Takes every program off that no pin keeps; returns how the interfaces were counted on.
    #[must_use]
    pub fn leave(self) -> Vec<Attachment> {
        for (_, _, link) in self.tc_links {
            // Links stay by their pins; a filter stays unless it is taken off.
            if self.pins.is_some() && link.priority().is_ok() {
                std::mem::forget(link);
            }
        }
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
    attached.add_all(ebpf, interfaces, options)?;
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
    let (hook, reason) = choose_or_keep(interface, options.mode, attached.pins.as_ref());
    if hook == IngressHook::Xdp {
        let hook = link_pins::INGRESS;
        attached.unpin(Place::of(interface, hook));
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
    attached.unpin(Place::of(interface, link_pins::XDP));
    attach_tc(ebpf, interface, TcSide::INGRESS, options.tc_hook, attached)?;
    Ok((IngressHook::Tc, reason))
}
