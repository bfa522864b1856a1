//! Who else has programs at an interface: in its XDP slot, at tcx, and as filters of clsact.

use std::io;

use aya::programs::{ProgramInfo, SchedClassifier, TcAttachType, loaded_programs};
use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::tc::{TcAttribute, TcMessage};

use super::interface::InterfaceError;
use super::probe::is_unknown;

/// The programs at an interface's tc hooks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcPlaces {
    /// The names of the programs at tcx, in the order in which they run.
    pub tcx: Vec<String>,
    /// Filters of clsact, by their kinds (`bpf`, `flower`, …).
    pub filters: Vec<String>,
}

/// Returns the names of the programs at an interface's tcx, both sides. A kernel without tcx has none.
///
/// # Errors
/// The kernel's: who may not see others' programs is told so.
pub fn at_tcx(interface: &str) -> Result<Vec<String>, aya::programs::ProgramError> {
    let mut names = Vec::new();
    for side in [TcAttachType::Ingress, TcAttachType::Egress] {
        match SchedClassifier::query_tcx(interface, side) {
            Ok((_, programs)) => names.extend(programs.iter().map(name_of)),
            Err(error) if is_unknown(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(names)
}

/// Returns the kinds of the filters of an interface's clsact, both sides.
///
/// # Errors
/// [`InterfaceError`] when rtnetlink fails.
pub async fn at_clsact(index: u32) -> Result<Vec<String>, InterfaceError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(InterfaceError::Open)?;
    let connection = tokio::spawn(connection);
    let number = i32::try_from(index).unwrap_or_default();
    let mut kinds = Vec::new();
    let mut outcome = Ok(());
    for is_ingress in [true, false] {
        let request = handle.traffic_filter(number).get();
        let request = if is_ingress {
            request.ingress()
        } else {
            request.egress()
        };
        let filters: Result<Vec<_>, _> = request.execute().try_collect().await;
        match filters {
            Ok(filters) => kinds.extend(filters.iter().filter_map(kind_of)),
            Err(error) if has_no_filters(&error) => {}
            Err(error) => outcome = Err(InterfaceError::List(error)),
        }
    }
    connection.abort();
    outcome.map(|()| kinds)
}

/// Returns a filter's kind; nothing for the entry that only says at which priority filters are.
fn kind_of(filter: &TcMessage) -> Option<String> {
    let is_filter = u32::from(filter.header.handle) != 0;
    let kind = filter
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            TcAttribute::Kind(kind) => Some(kind.clone()),
            _ => None,
        })?;
    is_filter.then_some(kind)
}

/// Some kernels answer with an error where there is no clsact.
fn has_no_filters(error: &rtnetlink::Error) -> bool {
    let rtnetlink::Error::NetlinkError(message) = error else {
        return false;
    };
    let code = message.to_io().raw_os_error();
    matches!(code, Some(libc::EINVAL | libc::ENOENT | libc::EOPNOTSUPP))
}

/// Returns the name of a loaded program; nothing where it can't be told.
#[must_use]
pub fn name_of_program(number: u32) -> Option<String> {
    // One that goes meanwhile is an error among the others.
    let programs = loaded_programs().filter_map(Result::ok);
    let program = programs
        .into_iter()
        .find(|program| program.id() == number)?;
    Some(name_of(&program))
}

fn name_of(program: &ProgramInfo) -> String {
    String::from_utf8_lossy(program.name()).into_owned()
}

/// Returns whether a name is one of flowwatch's programs': the kernel keeps 15 octets of it.
#[must_use]
pub fn is_own(name: &str) -> bool {
    name.starts_with("flowwatch_")
}

/// Returns the I/O error in an error of rtnetlink's.
#[must_use]
pub fn io_error_in(error: &InterfaceError) -> Option<io::Error> {
    match error {
        InterfaceError::List(rtnetlink::Error::NetlinkError(message)) => Some(message.to_io()),
        _ => None,
    }
}
