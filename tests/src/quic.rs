//! QUIC version 1 by quinn: a server, and clients whose `ClientHello` is that of `tls`.
//!
//! An exchange's octets are those of `traffic`, on one stream of a connection of its own.

pub mod initial;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::namespace::Namespace;
use crate::tls::{Client, identity};
use crate::traffic::{self, Exchange, REQUEST_HEADER};

/// The port of HTTP/3.
pub const PORT: u16 = 443;
/// How long an exchange may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// What is spoken on the streams; QUIC won't do without saying so (RFC 9001 §8.1).
const PROTOCOL: &[u8] = b"h3";
/// Octets that a request has at most.
const LONGEST_REQUEST: usize = 1 << 20;

/// A server on a thread of its own; ended when dropped.
#[derive(Debug)]
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<Result<()>>>>,
}

impl Server {
    /// Serves exchanges on `port` of every address that the namespace has or gets, under whatever
    /// name it is asked for.
    pub fn start(namespace: &Namespace, port: u16) -> Result<Self> {
        let mut tls = identity::server_config()?.as_ref().clone();
        tls.alpn_protocols = vec![PROTOCOL.to_vec()];
        let crypto = QuicServerConfig::try_from(tls).context("set QUIC up")?;
        let config = ServerConfig::with_crypto(Arc::new(crypto));
        let socket = namespace.enter(|| UdpSocket::bind(traffic::everywhere(port)))?;
        let socket = socket.with_context(|| format!("bind UDP port {port}"))?;
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            runtime()?.block_on(async {
                let endpoint = endpoint(socket, Some(config))?;
                let serve = async move {
                    while let Some(incoming) = endpoint.accept().await {
                        // A client that breaks off fails its own exchange, not the server.
                        tokio::spawn(answer(incoming));
                    }
                };
                tokio::spawn(serve);
                stopped.await.ok();
                Ok(())
            })
        };
        Ok(Self {
            stop: Some(stop),
            thread: Some(namespace.spawn(serve)),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Sends `exchange.up` octets to a server as `client`, and takes `exchange.down` back.
pub fn exchange(
    client: &Client,
    namespace: &Namespace,
    server: SocketAddr,
    exchange: Exchange,
) -> Result<()> {
    let from = namespace.name();
    let what = || format!("exchange {exchange:?} with QUIC {server} from `{from}`");
    let converse = || -> Result<()> {
        let socket = UdpSocket::bind((traffic::any_like(server), 0)).context("bind")?;
        let converse = converse(client, socket, server, exchange);
        let in_time = async { tokio::time::timeout(TIMEOUT, converse).await };
        runtime()?.block_on(in_time).context("wait for the reply")?
    };
    namespace.enter(converse)?.with_context(what)
}

async fn converse(
    client: &Client,
    socket: UdpSocket,
    server: SocketAddr,
    exchange: Exchange,
) -> Result<()> {
    let mut tls = client.config(true)?;
    tls.alpn_protocols = vec![PROTOCOL.to_vec()];
    let crypto = QuicClientConfig::try_from(tls).context("set QUIC up")?;
    let config = ClientConfig::new(Arc::new(crypto));
    let name = client.name()?.to_str().into_owned();
    let endpoint = endpoint(socket, None)?;
    let connecting = endpoint.connect_with(config, server, &name)?;
    let connection = connecting.await.context("connect")?;
    let (mut up, mut down) = connection.open_bi().await.context("open a stream")?;
    up.write_all(&exchange.request()?).await?;
    let rest = vec![0; (exchange.up - REQUEST_HEADER) as usize];
    up.write_all(&rest).await.context("send the request")?;
    up.finish()?;
    let reply = down.read_to_end(exchange.down as usize).await;
    let length = reply.context("wait for the reply")?.len() as u64;
    ensure!(length == exchange.down, "{length} octets came back");
    connection.close(0_u32.into(), b"");
    // Nothing is sent after that, by either end.
    endpoint.wait_idle().await;
    Ok(())
}

async fn answer(incoming: Incoming) -> Result<()> {
    let connection = incoming.await.context("accept")?;
    let (mut down, mut up) = connection.accept_bi().await.context("accept a stream")?;
    let request = up.read_to_end(LONGEST_REQUEST).await?;
    let exchange = Exchange::of_request(&request).context("read the request")?;
    down.write_all(&vec![0; exchange.down as usize]).await?;
    down.finish()?;
    // Held to the client's end: a connection that is dropped takes its stream with it.
    connection.closed().await;
    Ok(())
}

fn endpoint(socket: UdpSocket, server: Option<ServerConfig>) -> Result<Endpoint> {
    let config = EndpointConfig::default();
    let endpoint = Endpoint::new(config, server, socket, Arc::new(TokioRuntime));
    endpoint.context("make a QUIC endpoint")
}

fn runtime() -> Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.context("make a runtime")
}
