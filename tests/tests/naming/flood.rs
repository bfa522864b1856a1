//! Many connections at once: none goes without its name, or it is said.

use std::net::{IpAddr, SocketAddr};
use std::thread;

use anyhow::{Result, anyhow, ensure};
use flowwatch_tests::link;
use flowwatch_tests::tls::{self, Client};

use super::{BOTH, best, flow, is_possible, lab_of, watch};

const CONNECTIONS: u16 = 2_000;
/// Clients at work at the same time.
const CLIENTS: u16 = 8;
const PORT: u16 = 8443;

fn server(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::new(IpAddr::from([45, 7, high, low]), PORT)
}

#[test]
fn a_flood_of_connections_leaves_none_without_its_name() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab_of(&["camera"]).build()?;
    let camera = &lab.camera().namespace;
    link::own_prefix(&lab.internet, "45.7.0.0/16")?;
    let _server = tls::listen(&lab.internet, PORT)?;
    let hellos: Vec<Vec<u8>> = (0..CONNECTIONS)
        .map(|number| {
            Client::of(&format!("n{number}.example"))
                .post_quantum()
                .hello()
        })
        .collect::<Result<_>>()?;
    let connect = |first: u16| -> Result<()> {
        for number in (first..CONNECTIONS).step_by(CLIENTS.into()) {
            tls::send_alone(camera, server(number), &hellos[usize::from(number)], &[])?;
        }
        Ok(())
    };
    for attach in BOTH {
        let flowwatch = watch(&lab, attach)?;
        thread::scope(|scope| -> Result<()> {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|first| scope.spawn(move || connect(first)))
                .collect();
            for client in clients {
                client.join().map_err(|_| anyhow!("a client died"))??;
            }
            Ok(())
        })?;
        let document = flowwatch.document()?;
        document.ensure_conserved()?;
        let mut nameless = 0;
        for number in 0..CONNECTIONS {
            let name = format!("n{number}.example");
            let flow = flow(&document, "camera", "tcp", server(number))?;
            match best(flow) {
                (None, None) => nameless += 1,
                named => ensure!(named == (Some(&name), Some("sni")), "{attach}: {flow:?}"),
            }
        }
        let dropped = document.meta.losses.samples_dropped;
        // What the ring had no room for is said; without that, every connection has its name.
        ensure!(
            nameless <= dropped,
            "{attach}: {nameless} have no name, and {dropped} were dropped"
        );
        ensure!(
            nameless < u64::from(CONNECTIONS) / 20,
            "{attach}: {nameless} have no name"
        );
    }
    Ok(())
}
