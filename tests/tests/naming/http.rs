//! The hosts in HTTP/1 requests.

use anyhow::{Context, Result, ensure};
use flowwatch_tests::http;

use super::{BOTH, EXCHANGE, at, ensure_named, flow, is_possible, lab_of, watched};

#[test]
fn a_request_names_its_connection() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab_of(&["camera"]).build()?;
    // Host, port and the head's segments; the name that is to be seen.
    let requests: [(&[u8], u16, &[usize], &str); 4] = [
        (b"plain.example", 80, &[], "plain.example"),
        (b"pieces.example", 8080, &[1, 3, 40], "pieces.example"),
        // Its port is no part of the name (RFC 9110 §7.2), nor is the case of its letters.
        (b"Port.Example:8000", 8000, &[], "port.example"),
        // Where a segment ends within the name.
        (b"torn.example", 9080, &[49], "torn.example"),
    ];
    let servers = requests.map(|(_, port, ..)| http::serve(&lab.internet, port));
    let _servers: Vec<_> = servers.into_iter().collect::<Result<_>>()?;
    for attach in BOTH {
        let document = watched(&lab, attach, || {
            for (host, port, pieces, _) in requests {
                http::upload(&lab.camera().namespace, at(port), host, EXCHANGE, pieces)?;
            }
            Ok(())
        })?;
        for (_, port, _, name) in requests {
            ensure_named(&document, "tcp", at(port), name, "http").context(attach)?;
        }
    }
    Ok(())
}

#[test]
fn a_host_that_is_an_address_is_no_name() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab_of(&["camera"]).build()?;
    let _server = http::serve(&lab.internet, 8080)?;
    for attach in BOTH {
        let document = watched(&lab, attach, || {
            let camera = &lab.camera().namespace;
            http::upload(camera, at(8080), b"50.7.98.242:8080", EXCHANGE, &[])
        })?;
        let flow = flow(&document, "camera", "tcp", at(8080))?;
        ensure!(flow.name.is_none(), "{attach}: {flow:?}");
    }
    Ok(())
}
