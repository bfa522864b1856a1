//! The pins of links: what keeps programs attached without a process.
//!
//! A link's pin is named by its interface's number and its hook. Kernels before tcx have filters of
//! a clsact queueing discipline instead, which stay by themselves: an empty map's pin tells of each,
//! and a handle of our own lets it be found.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use aya::maps::{Array, MapData};
use aya::pin::PinError;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::tc::{SchedClassifierLink, TcHandle};
use aya::programs::xdp::XdpLink;

use super::batch::bpf;
use super::bpffs::{self, BpffsError};
use super::hooks::TcSide;
use super::interface::Interface;
use super::support::NotSupported;

/// `BPF_OBJ_GET` (include/uapi/linux/bpf.h).
const OBJ_GET: libc::c_int = 7;
/// `BPF_LINK_DETACH`.
const LINK_DETACH: libc::c_int = 34;
/// The priority of filters: before every one that chose none.
pub(super) const FILTER_PRIORITY: u16 = 1;
/// The handle of filters that stay: "flow".
const FILTER_HANDLE: u32 = 0x666c_6f77;

/// Where something is attached: what its pin is named by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The interface's number.
    pub(super) ifindex: u32,
    /// `xdp`, `ingress` or `egress`.
    pub(super) hook: &'static str,
}

/// The hooks, as pins name them.
pub(super) const XDP: &str = "xdp";
pub(super) const INGRESS: &str = "ingress";
pub(super) const EGRESS: &str = "egress";
/// What the name of a filter's pin has behind that.
const FILTER: &str = "-filter";

/// A link could not be pinned.
#[derive(Debug, thiserror::Error)]
pub enum LinkPinError {
    /// The kernel has no link there that stays.
    #[error("{0}")]
    NotSupported(#[from] NotSupported),
    /// The kernel refused the pin.
    #[error("pin the link at the BPF file system")]
    Pin(#[from] PinError),
    /// The BPF file system.
    #[error("{0}")]
    Bpffs(#[from] BpffsError),
    /// The map that tells of a filter can't be made.
    #[error("note the filter at the BPF file system")]
    Note(#[from] aya::maps::MapError),
}

/// The links' folder, and which of its pins are in use.
#[derive(Debug)]
pub struct LinkPins {
    folder: PathBuf,
    held: BTreeSet<String>,
}

impl Place {
    pub(super) const fn of(interface: &Interface, hook: &'static str) -> Self {
        Self {
            ifindex: interface.index,
            hook,
        }
    }

    fn name(self) -> String {
        format!("{}-{}", self.ifindex, self.hook)
    }
}

impl LinkPins {
    /// Begins with none of the pins in use.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            held: BTreeSet::new(),
        }
    }

    /// Returns whether something is attached at a place.
    pub(super) fn has(&self, place: Place) -> bool {
        let name = place.name();
        self.path(&name).exists() || self.path(&(name + FILTER)).exists()
    }

    /// Returns XDP's link at a place.
    pub(super) fn xdp(&self, place: Place) -> Option<XdpLink> {
        self.link(place)?.try_into().ok()
    }

    /// Returns tc's link at a place, or the filter there, of an interface of this name.
    pub(super) fn tc(
        &self,
        place: Place,
        interface: &str,
        side: TcSide,
    ) -> Option<SchedClassifierLink> {
        if self.path(&(place.name() + FILTER)).exists() {
            return filter(interface, side);
        }
        self.link(place)?.try_into().ok()
    }

    fn link(&self, place: Place) -> Option<FdLink> {
        let link = PinnedLink::from_pin(self.path(&place.name())).ok()?;
        Some(link.into())
    }

    /// Pins XDP's link, unless it is pinned.
    pub(super) fn keep_xdp(
        &mut self,
        place: Place,
        link: XdpLink,
    ) -> Result<XdpLink, LinkPinError> {
        let link: FdLink = link.try_into().map_err(|_| LACKS_LINKS)?;
        let link = self.keep(place, link)?;
        link.try_into().map_err(|_| LACKS_LINKS.into())
    }

    /// Pins tc's link, unless it is pinned; of a filter, pins a note.
    pub(super) fn keep_tc(
        &mut self,
        place: Place,
        link: SchedClassifierLink,
    ) -> Result<SchedClassifierLink, LinkPinError> {
        if link.priority().is_ok() {
            self.note_filter(place)?;
            return Ok(link);
        }
        let link: FdLink = link.try_into().map_err(|_| LACKS_LINKS)?;
        let link = self.keep(place, link)?;
        link.try_into().map_err(|_| LACKS_LINKS.into())
    }

    fn keep(&mut self, place: Place, link: FdLink) -> Result<FdLink, LinkPinError> {
        let name = place.name();
        let path = self.path(&name);
        let link = if path.exists() {
            link
        } else {
            link.pin(path)?.into()
        };
        self.held.insert(name);
        Ok(link)
    }

    /// Pins a note of a filter, unless there is one.
    pub(super) fn note_filter(&mut self, place: Place) -> Result<(), LinkPinError> {
        let name = place.name() + FILTER;
        let path = self.path(&name);
        if !path.exists() {
            let note: Array<MapData, u32> = Array::create(1, 0)?;
            note.pin(path)?;
        }
        self.held.insert(name);
        Ok(())
    }

    /// Takes off what is attached at a place.
    pub(super) fn remove(&mut self, place: Place) -> Result<(), BpffsError> {
        let name = place.name();
        self.remove_named(&name)?;
        self.remove_named(&(name + FILTER))
    }

    fn remove_named(&mut self, name: &str) -> Result<(), BpffsError> {
        take_off_filter(name);
        self.held.remove(name);
        let path = self.path(name);
        // Without its pin it would go, too, but at some later moment. One that is at no hook any more,
        // or of a kernel before 5.9, refuses: then it goes with its pin.
        if let Ok(link) = pinned_object(&path) {
            let _ = detach(&link);
        }
        bpffs::remove_pin(&path)
    }

    /// Takes off everything that is not in use.
    ///
    /// # Errors
    /// When a pin can't be removed.
    pub fn prune(&mut self) -> Result<(), BpffsError> {
        for name in bpffs::names_in(&self.folder)? {
            if !self.held.contains(&name) {
                self.remove_named(&name)?;
            }
        }
        Ok(())
    }

    /// Takes off everything. Returns what that was: hooks and interfaces.
    ///
    /// # Errors
    /// When a pin can't be removed.
    pub fn remove_all(&mut self) -> Result<Vec<String>, BpffsError> {
        let names = bpffs::names_in(&self.folder)?;
        let removed = names.iter().map(|name| {
            let told = described(name);
            self.remove_named(name).map(|()| told)
        });
        removed.collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The condition that a program goes with the process: there is nothing that could be pinned.
const LACKS_LINKS: NotSupported = NotSupported {
    feature: "programs that stay attached without a process (BPF links)",
    since_kernel: "5.9",
    advice: "run without --persist, or use --attach tc",
};

/// Returns the handle of filters that stay.
pub(super) fn filter_handle() -> TcHandle {
    FILTER_HANDLE.into()
}

fn filter(interface: &str, side: TcSide) -> Option<SchedClassifierLink> {
    let handle = filter_handle();
    SchedClassifierLink::attached(interface, side.side, FILTER_PRIORITY, handle, None).ok()
}

/// Takes off the filter that a pin of this name tells of; one whose interface is gone went with it.
fn take_off_filter(name: &str) {
    let Some(place) = name.strip_suffix(FILTER) else {
        return;
    };
    let sides = [TcSide::INGRESS, TcSide::EGRESS].into_iter();
    for side in sides {
        let ifindex = place
            .strip_suffix(side.place())
            .and_then(|it| it.strip_suffix('-'));
        let ifindex = ifindex.and_then(|digits| digits.parse().ok());
        let interface = ifindex.and_then(interface_of);
        drop(interface.and_then(|interface| filter(&interface, side)));
    }
}

/// Returns a pin's name in the user's words.
fn described(name: &str) -> String {
    let place = name.strip_suffix(FILTER).unwrap_or(name);
    let (ifindex, hook) = place.split_once('-').unwrap_or((place, "a program"));
    match ifindex.parse().ok().and_then(interface_of) {
        Some(interface) => format!("{hook} of `{interface}`"),
        None => format!("{hook} of interface {ifindex}, which is gone"),
    }
}

/// Returns the name of the interface with this number.
#[expect(unsafe_code, reason = "if_indextoname writes through a pointer")]
fn interface_of(ifindex: u32) -> Option<String> {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: the buffer has room for the longest name.
    let found = unsafe { libc::if_indextoname(ifindex, name.as_mut_ptr()) };
    if found.is_null() {
        return None;
    }
    let name = name.map(libc::c_char::cast_unsigned);
    let name = CStr::from_bytes_until_nul(&name).ok()?;
    name.to_str().ok().map(ToOwned::to_owned)
}

/// Opens what is pinned.
#[expect(unsafe_code, reason = "the bpf system call takes addresses")]
fn pinned_object(path: &Path) -> io::Result<OwnedFd> {
    /// `union bpf_attr`, the part of `BPF_OBJ_GET` (include/uapi/linux/bpf.h).
    #[repr(C)]
    struct Attributes {
        pathname: u64,
        bpf_fd: u32,
        file_flags: u32,
    }
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attributes = Attributes {
        pathname: path.as_ptr() as u64,
        bpf_fd: 0,
        file_flags: 0,
    };
    // SAFETY: the path is a C string that outlives the call.
    let descriptor = unsafe { bpf(OBJ_GET, &mut attributes) }?;
    // SAFETY: the kernel has just made it, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Takes a link off its hook: when this returns, the hook runs it no more but for frames that are under
/// way.
#[expect(unsafe_code, reason = "the bpf system call takes addresses")]
fn detach(link: &OwnedFd) -> io::Result<()> {
    let mut link = link.as_raw_fd();
    // SAFETY: the command's attributes are the descriptor alone.
    unsafe { bpf(LINK_DETACH, &mut link) }.map(drop)
}
