//! Replacing: the programs of a new load in the places of an old load's, without a gap.
//!
//! A link, or a filter, keeps its place and gets another program in one step
//! (kernel/bpf/syscall.c, `link_update`; `net/sched/cls_bpf.c`, `cls_bpf_change`): each frame
//! passes the old program or the new one, and never both. An old program may still run for a frame
//! that came before, until an RCU grace period is over: `Drain::swap` of its tables waits for one.

use aya::Ebpf;
use aya::programs::tc::SchedClassifierLink;
use aya::programs::xdp::XdpLink;
use aya::programs::{ProgramError, SchedClassifier, Xdp};

use super::attach::{AttachError, Attached, Attachment};
use super::hooks::{TcSide, loadable_xdp_program, refusal};
use super::load;

/// An interface that refused a program at one of its hooks.
type Refusal = (u32, &'static str, ProgramError);

impl Attached {
    /// Puts the programs of another load in the places of the attached ones. Returns the interfaces
    /// that refused one, and why: nothing is attached to those any more.
    ///
    /// # Errors
    /// [`AttachError::Load`] when a program can't be loaded; nothing has changed then.
    pub fn replace(
        &mut self,
        ebpf: &mut Ebpf,
    ) -> Result<Vec<(Attachment, AttachError)>, AttachError> {
        let xdp = self.load_for_all(ebpf)?;
        let mut refused = Vec::new();
        for (ifindex, link) in std::mem::take(&mut self.xdp_links) {
            match replace_xdp(ebpf, xdp, link) {
                Ok(link) => self.xdp_links.push((ifindex, link)),
                Err(error) => refused.push((ifindex, "XDP", error)),
            }
        }
        for (ifindex, side, link) in std::mem::take(&mut self.tc_links) {
            match replace_tc(ebpf, side, link) {
                Ok(link) => self.tc_links.push((ifindex, side, link)),
                Err(error) => refused.push((ifindex, side.hook, error)),
            }
        }
        Ok(self.take_off(refused))
    }

    /// Loads every program before the first is replaced: the kernel checks one for a while. Returns
    /// the name of XDP's.
    fn load_for_all(&self, ebpf: &mut Ebpf) -> Result<&'static str, AttachError> {
        for (_, side, _) in &self.tc_links {
            load::load_program(ebpf, side.program)?;
        }
        if self.xdp_links.is_empty() {
            return Ok("");
        }
        Ok(loadable_xdp_program(ebpf)?)
    }

    /// Takes everything off the interfaces that refused a program.
    fn take_off(&mut self, refused: Vec<Refusal>) -> Vec<(Attachment, AttachError)> {
        let mut taken_off = Vec::new();
        for (ifindex, hook, error) in refused {
            let mut attachments = self.attachments.iter();
            if let Some(attachment) = attachments.find(|it| it.ifindex == ifindex).cloned() {
                self.remove(ifindex);
                let error = refusal(hook, &attachment.interface, error);
                taken_off.push((attachment, error));
            }
        }
        taken_off
    }
}

fn replace_xdp(
    ebpf: &mut Ebpf,
    name: &'static str,
    link: XdpLink,
) -> Result<XdpLink, ProgramError> {
    let xdp: &mut Xdp = ebpf
        .program_mut(name)
        .ok_or(ProgramError::NotLoaded)?
        .try_into()?;
    let link = xdp.attach_to_link(link)?;
    xdp.take_link(link)
}

fn replace_tc(
    ebpf: &mut Ebpf,
    side: TcSide,
    link: SchedClassifierLink,
) -> Result<SchedClassifierLink, ProgramError> {
    let program = ebpf
        .program_mut(side.program)
        .ok_or(ProgramError::NotLoaded)?;
    let classifier: &mut SchedClassifier = program.try_into()?;
    let link = classifier.attach_to_link(link)?;
    classifier.take_link(link)
}
