//! TLS 1.3 as devices speak it, by rustls: a server, clients whose `ClientHello` a test shapes, and
//! that message by itself.
//!
//! An exchange's octets are those of `traffic`, encrypted. Both ends have seen everything when it
//! returns.

mod ech;
pub(crate) mod identity;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConnection};

use crate::namespace::Namespace;
use crate::traffic::{self, Exchange, REQUEST_HEADER, Server};

/// The port of TLS without another protocol's name.
pub const PORT: u16 = 443;

/// What a `ClientHello` offers as Encrypted Client Hello (RFC 9849).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hiding {
    /// Nothing.
    None,
    /// Random octets in its place, as browsers send them where they know of no key.
    Grease,
    /// The true name, encrypted; in the clear is this one.
    Under(&'static str),
}

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    server_name: Option<String>,
    is_post_quantum: bool,
    hiding: Hiding,
    pieces: Vec<usize>,
}

impl Client {
    /// A client of the server of this name. Its `ClientHello` has some 200 octets.
    #[must_use]
    pub fn of(server_name: &str) -> Self {
        Self {
            server_name: Some(server_name.to_owned()),
            ..Self::nameless()
        }
    }

    /// A client that doesn't say whom it wants.
    #[must_use]
    pub const fn nameless() -> Self {
        Self {
            server_name: None,
            is_post_quantum: false,
            hiding: Hiding::None,
            pieces: Vec::new(),
        }
    }

    /// Has it offer a post-quantum key share (X25519MLKEM768), as browsers do since 2024: its
    /// `ClientHello` has some 1,400 octets then, more than many links carry in one packet.
    #[must_use]
    pub fn post_quantum(mut self) -> Self {
        self.is_post_quantum = true;
        self
    }

    /// Has it offer Encrypted Client Hello in appearance only.
    #[must_use]
    pub fn greased(mut self) -> Self {
        self.hiding = Hiding::Grease;
        self
    }

    /// Has it encrypt the server's name and show `public` in its place. No server of the lab's can
    /// decrypt it: such a client is for its `ClientHello` alone.
    #[must_use]
    pub fn hidden_under(mut self, public: &'static str) -> Self {
        self.hiding = Hiding::Under(public);
        self
    }

    /// Has it send its `ClientHello` in segments of these sizes and one more of the rest.
    #[must_use]
    pub fn in_pieces(mut self, sizes: &[usize]) -> Self {
        self.pieces = sizes.to_vec();
        self
    }

    /// Returns the `ClientHello` as it goes onto a stream: a record or two (RFC 8446 §5.1).
    pub fn hello(&self) -> Result<Vec<u8>> {
        hello_of(&mut self.connection()?)
    }

    /// Sends `exchange.up` octets to a [`serve`]r and takes `exchange.down` back.
    pub fn exchange(
        &self,
        namespace: &Namespace,
        server: SocketAddr,
        exchange: Exchange,
    ) -> Result<()> {
        let from = namespace.name();
        let what = || format!("exchange {exchange:?} with TLS {server} from `{from}`");
        let exchange = || self.exchange_here(server, exchange);
        namespace.enter(exchange)?.with_context(what)
    }

    fn exchange_here(&self, server: SocketAddr, exchange: Exchange) -> Result<()> {
        let mut tls = self.connection()?;
        let stream = traffic::connect(server)?;
        traffic::send_in_pieces(&stream, &hello_of(&mut tls)?, &self.pieces)?;
        let mut socket = &stream;
        let mut both = rustls::Stream::new(&mut tls, &mut socket);
        both.write_all(&exchange.request()?)
            .context("send the request")?;
        traffic::send_all(&mut both, exchange.up - REQUEST_HEADER)?;
        both.conn.send_close_notify();
        both.flush().context("end the request")?;
        stream
            .shutdown(Shutdown::Write)
            .context("end the request")?;
        let down = traffic::receive_all(both)?;
        ensure!(down == exchange.down, "{down} octets came back");
        // What the server sends at its end is read as well, so that the kernel resets nothing.
        traffic::receive_all(&stream).map(drop)
    }

    fn connection(&self) -> Result<ClientConnection> {
        let config = self.config(false)?;
        ClientConnection::new(Arc::new(config), self.name()?).context("make a TLS client")
    }

    /// A name that rustls sends, or an address, which it doesn't.
    pub(crate) fn name(&self) -> Result<ServerName<'static>> {
        let nobody = ServerName::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let name = self.server_name.as_deref().map(ServerName::try_from);
        Ok(name.transpose()?.map_or(nobody, |name| name.to_owned()))
    }

    /// `is_quic`: with the one suite that QUIC's first packets need.
    pub(crate) fn config(&self, is_quic: bool) -> Result<ClientConfig> {
        let keys = if self.is_post_quantum {
            aws_lc_rs::kx_group::X25519MLKEM768
        } else {
            aws_lc_rs::kx_group::X25519
        };
        let mut provider = CryptoProvider {
            kx_groups: vec![keys],
            ..aws_lc_rs::default_provider()
        };
        if !is_quic {
            // Two suites fewer than QUIC's: hellos differ, as clients do.
            provider.cipher_suites.truncate(1);
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(provider));
        let builder = match self.hiding {
            Hiding::None => builder.with_protocol_versions(&[&rustls::version::TLS13])?,
            Hiding::Grease => builder.with_ech(ech::grease()?)?,
            Hiding::Under(public) => builder.with_ech(ech::under(public)?)?,
        };
        let dangerous = builder.dangerous();
        let verified = dangerous.with_custom_certificate_verifier(identity::verifier()?);
        Ok(verified.with_no_client_auth())
    }
}

fn hello_of(tls: &mut ClientConnection) -> Result<Vec<u8>> {
    let mut hello = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut hello).context("write a ClientHello")?;
    }
    Ok(hello)
}

/// Serves exchanges in TLS on `port` of every address that the namespace has or gets, under
/// whatever name it is asked for.
pub fn serve(namespace: &Namespace, port: u16) -> Result<Server> {
    let config = identity::server_config()?;
    let answer = move |stream: &TcpStream| {
        let mut tls = ServerConnection::new(Arc::clone(&config)).context("make a TLS server")?;
        answer(&mut tls, stream)
    };
    Server::tcp_by(namespace, traffic::everywhere(port), answer)
}

fn answer(tls: &mut ServerConnection, mut stream: &TcpStream) -> Result<()> {
    let mut both = rustls::Stream::new(tls, &mut stream);
    let down = traffic::receive_request(&mut both)?;
    traffic::send_all(&mut both, down)?;
    both.conn.send_close_notify();
    both.flush().context("end the reply")
}

/// Sends octets to a TCP server in segments of these sizes, says no more, and waits for its end.
pub fn send_alone(
    namespace: &Namespace,
    server: SocketAddr,
    octets: &[u8],
    pieces: &[usize],
) -> Result<()> {
    let what = || format!("send octets to tcp {server} from `{}`", namespace.name());
    let send = || -> Result<()> {
        let stream = traffic::connect(server)?;
        traffic::send_in_pieces(&stream, octets, pieces)?;
        stream.shutdown(Shutdown::Write).context("end it")?;
        traffic::receive_all(&stream).map(drop)
    };
    namespace.enter(send)?.with_context(what)
}

/// Serves TCP on `port` to its clients' ends and answers nothing.
pub fn listen(namespace: &Namespace, port: u16) -> Result<Server> {
    let listen = |stream: &TcpStream| traffic::receive_all(stream).map(drop);
    Server::tcp_by(namespace, traffic::everywhere(port), listen)
}

/// Puts a name of whatever octets into a `ClientHello` in the place of one of the same length, which
/// is there once.
pub fn renamed(mut hello: Vec<u8>, from: &str, to: &[u8]) -> Result<Vec<u8>> {
    ensure!(from.len() == to.len(), "the names differ in length");
    let is_name = |octets: &[u8]| octets == from.as_bytes();
    let at = hello.windows(from.len()).position(is_name);
    let at = at.with_context(|| format!("find {from} in a ClientHello"))?;
    hello[at..at + to.len()].copy_from_slice(to);
    Ok(hello)
}
