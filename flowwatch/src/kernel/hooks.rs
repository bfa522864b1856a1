//! The hooks of one interface: a program gets its place there, or that of an earlier process's.
//!
//! tc programs go first in their chain: a program before them could end it, and what it let pass
//! would go uncounted.

use std::io;

use aya::Ebpf;
use aya::programs::links::LinkOrder;
use aya::programs::tc::{NlOptions, TcAttachOptions, TcHandle};
use aya::programs::xdp::XdpMode;
use aya::programs::{ProgramError, SchedClassifier, TcAttachType, Xdp, tc};

use super::attach::{AttachError, Attached, TcHook};
use super::interface::Interface;
use super::link_pins::{self, Place};
use super::load::{self, LoadError, program};
use super::support::{NotPermitted, NotSupported, causes, io_error_of};

/// Attaches XDP's program to an interface.
pub(super) fn attach_xdp(
    ebpf: &mut Ebpf,
    interface: &Interface,
    attached: &mut Attached,
) -> Result<(), AttachError> {
    let name = loadable_xdp_program(ebpf)?;
    let refused = |error| refusal("XDP", &interface.name, error);
    let program = ebpf.program_mut(name).ok_or(LoadError::Missing(name))?;
    let xdp: &mut Xdp = program.try_into().map_err(refused)?;
    let place = Place::of(interface, link_pins::XDP);
    let mut link = None;
    if let Some(pinned) = attached.pins.as_ref().and_then(|pins| pins.xdp(place)) {
        link = xdp.attach_to_link(pinned).ok();
        if link.is_none() {
            // The interface that it was at is gone.
            attached.unpin(place);
        }
    }
    let link = match link {
        Some(link) => link,
        None => xdp
            .attach_to_if_index(interface.index, XdpMode::Driver)
            .map_err(refused)?,
    };
    let mut link = xdp.take_link(link).map_err(refused)?;
    if let Some(pins) = &mut attached.pins {
        link = pins.keep_xdp(place, link)?;
    }
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
    pub(super) side: TcAttachType,
}

impl TcSide {
    pub(super) const INGRESS: Self = Self {
        program: program::INGRESS,
        hook: "tc ingress",
        side: TcAttachType::Ingress,
    };
    pub(super) const CENSUS: Self = Self {
        program: program::CENSUS,
        ..Self::INGRESS
    };
    pub(super) const EGRESS: Self = Self {
        program: program::EGRESS,
        hook: "tc egress",
        side: TcAttachType::Egress,
    };

    /// Returns the hook as pins name it.
    pub(super) const fn place(self) -> &'static str {
        match self.side {
            TcAttachType::Egress => link_pins::EGRESS,
            _ => link_pins::INGRESS,
        }
    }
}

/// Attaches one of tc's programs to an interface.
pub(super) fn attach_tc(
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
    let place = Place::of(interface, side.place());
    let link = match replace_pinned(classifier, interface, side, attached) {
        Some(link) => link,
        None => attach_new(classifier, interface, side, hook, attached)?,
    };
    let mut link = classifier.take_link(link).map_err(refused)?;
    if let Some(pins) = &mut attached.pins {
        link = pins.keep_tc(place, link)?;
    }
    attached.tc_links.push((interface.index, side, link));
    Ok(())
}

/// Gives the program the place that a pin keeps; nothing where there is none, or none any more.
fn replace_pinned(
    classifier: &mut SchedClassifier,
    interface: &Interface,
    side: TcSide,
    attached: &mut Attached,
) -> Option<tc::SchedClassifierLinkId> {
    let place = Place::of(interface, side.place());
    let pins = attached.pins.as_ref()?;
    let pinned = pins.tc(place, &interface.name, side)?;
    let link = classifier.attach_to_link(pinned);
    if link.is_err() {
        // The interface that it was at is gone.
        attached.unpin(place);
    }
    link.ok()
}

fn attach_new(
    classifier: &mut SchedClassifier,
    interface: &Interface,
    side: TcSide,
    hook: TcHook,
    attached: &mut Attached,
) -> Result<tc::SchedClassifierLinkId, AttachError> {
    let name = &interface.name;
    let refused = |error| refusal(side.hook, name, error);
    if hook != TcHook::Clsact {
        match attach_tcx(classifier, name, side.side) {
            Err(error) if hook == TcHook::Auto && lacks_tcx(&error) => {}
            outcome => return outcome.map_err(refused),
        }
    }
    let mut handle = TcHandle::default();
    if let Some(pins) = &mut attached.pins {
        // Before the filter is there: nobody would find it without its note.
        pins.note_filter(Place::of(interface, side.place()))?;
        handle = link_pins::filter_handle();
    }
    attach_clsact(classifier, name, side.side, handle).map_err(refused)
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
    handle: TcHandle,
) -> Result<tc::SchedClassifierLinkId, ProgramError> {
    // It may exist already; if it can't be made, attaching says why. It stays when flowwatch goes:
    // others may have come to use it.
    if let Err(error) = tc::qdisc_add_clsact(interface) {
        ::log::debug!("add clsact to {interface}: {error}");
    }
    let options = NlOptions {
        priority: link_pins::FILTER_PRIORITY,
        handle,
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
pub(super) fn why_not_xdp(error: &AttachError) -> String {
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
