//! That something changed at the host's interfaces, as rtnetlink tells it.
//!
//! What changed is not read out of the messages: they can be lost, and a list made afterwards says
//! how things are. So nothing is kept, and no number of messages takes memory.

use std::io;

use rtnetlink::constants::RTMGRP_LINK;
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{AsyncSocket as _, AsyncSocketExt as _, SocketAddr, TokioSocket};

/// The messages of the kernel's group for links (rtnetlink(7), `RTMGRP_LINK`).
pub struct LinkEvents {
    socket: TokioSocket,
}

impl LinkEvents {
    /// Subscribes: every change from now on is told.
    ///
    /// # Errors
    /// The socket's error.
    pub fn subscribe() -> io::Result<Self> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
        let group = SocketAddr::new(0, RTMGRP_LINK);
        socket.socket_mut().bind(&group)?;
        Ok(Self { socket })
    }

    /// Waits until something changed. May be dropped and called again.
    ///
    /// # Errors
    /// The socket's error, but for `ENOBUFS`: messages that were lost are a change, too.
    pub async fn changed(&self) -> io::Result<()> {
        // What does not fit is cut off, and nobody reads it.
        let mut message = [0; 64];
        match self.socket.recv(&mut &mut message[..]).await {
            Err(error) if error.raw_os_error() != Some(libc::ENOBUFS) => Err(error),
            _ => Ok(()),
        }
    }
}
