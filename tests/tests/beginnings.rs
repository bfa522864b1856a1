//! The beginning, live: both directions begin to be counted as one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use flowwatch_tests::flowwatch::{Attach, Run};
use flowwatch_tests::lab::{Lab, Resolver};
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::traffic::{self, Exchange};

const EXCHANGE: Exchange = Exchange { up: 40, down: 30 };
/// One of the camera's rendezvous servers.
const SERVER: ([u8; 4], u16) = ([50, 7, 98, 242], 10_240);

#[test]
fn a_conversation_under_way_is_taken_up_in_both_directions_at_once() -> Result<()> {
    if !granted(&[Need::Root, Need::Flowwatch])? {
        return Ok(());
    }
    let lab = Lab::builder().resolver(Resolver::Nobody).build()?;
    let device = lab.camera();
    for attach in [Attach::Xdp, Attach::Tc] {
        let run = Run::new()?.attach(attach).interface(&device.port);
        let run = run.device("camera", device.mac);
        let run = run.options(&["--format", "json", "--no-builtin-geo"]);
        let stop = AtomicBool::new(false);
        let document = thread::scope(|scope| {
            let talk = scope.spawn(|| -> Result<()> {
                while !stop.load(Ordering::Relaxed) {
                    traffic::udp(&device.namespace, SocketAddr::from(SERVER), EXCHANGE)?;
                }
                Ok(())
            });
            let document = run.start(&lab.gateway).and_then(|flowwatch| {
                thread::sleep(Duration::from_millis(500));
                flowwatch.document()
            });
            stop.store(true, Ordering::Relaxed);
            talk.join()
                .map_err(|_| anyhow!("the conversation died"))??;
            document
        })?;
        let (_, flow) = document.flows.iter().next().context("find the flow")?;
        let (up, down) = (flow.up_packets, flow.down_packets);
        ensure!(up > 100, "{up} up");
        // Half a second is counted, and attaching takes some hundredths of one.
        ensure!(up.abs_diff(down) * 4 < up, "{attach}: {up} up, {down} down");
    }
    Ok(())
}
