//! Names that packets carry while nothing runs wait in the kernel, and are known after a restart.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Result, ensure};
use flowwatch_tests::dns::answer::{self, QUESTION_NAME};
use flowwatch_tests::dns::{PORT, ScriptedServer};
use flowwatch_tests::flowwatch::Attach;
use flowwatch_tests::lab::{Lab, OUTSIDE_NAME_SERVER, Resolver};
use flowwatch_tests::traffic;

use crate::scene::{Scene, kill, stop_whole, turn};

/// Where the name that is asked for leads to.
const REMOTE: Ipv4Addr = Ipv4Addr::new(50, 7, 98, 242);
const PORT_THERE: u16 = 10_240;

#[test]
fn a_name_that_is_asked_for_while_nothing_runs_is_known_after_the_restart() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    let lab = Lab::builder().resolver(Resolver::Nobody).build()?;
    let server = SocketAddr::new(OUTSIDE_NAME_SERVER.into(), PORT);
    let _server = ScriptedServer::start(&lab.internet, server, |question| {
        let address = answer::address(&QUESTION_NAME, REMOTE.into());
        Some(answer::response(question, &[address]))
    })?;
    let scene = Scene::of(lab)?;
    let (gateway, camera) = (&scene.lab.gateway, scene.lab.camera());
    for attach in [Attach::Xdp, Attach::Tc] {
        let run = scene.run(attach)?;
        kill(&run.start(gateway)?)?;
        let question = answer::question(&answer::name(&[b"cm", b"example"]));
        answer::ask_octets(&camera.namespace, OUTSIDE_NAME_SERVER.into(), &question)?;
        let there = SocketAddr::new(REMOTE.into(), PORT_THERE);
        traffic::udp_alone(&camera.namespace, there, &vec![vec![0; 9]; 3])?;
        let document = stop_whole(&run.start(gateway)?)?;
        let mut flows = document.flows.values();
        let flow = flows.find(|flow| flow.remote_port == PORT_THERE);
        let told = flow.map(|flow| (flow.up_packets, flow.name.as_deref()));
        ensure!(told == Some((3, Some("cm.example"))), "{attach}: {told:?}");
        scene.detach()?;
    }
    Ok(())
}
