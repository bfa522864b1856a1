//! Names, live: each flow has the name that its own device asked for, from real resolvers and from
//! one that says what a test wants, honest or not; and counting stays exact meanwhile.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, ensure};
use flowwatch_tests::camera::Camera;
use flowwatch_tests::dns::answer::{self, QUESTION_NAME};
use flowwatch_tests::dns::{self, PORT, Question, Record, ScriptedServer};
use flowwatch_tests::flowwatch::{Attach, Document, Flowwatch, Run};
use flowwatch_tests::generator::Generator;
use flowwatch_tests::lab::{
    Addressing, Device, DeviceSpec, INTERNET_IPV6, Lab, OUTSIDE_NAME_SERVER, Resolver,
};
use flowwatch_tests::packet::Packet;
use flowwatch_tests::privilege::{Need, granted};
use flowwatch_tests::traffic::{self, Exchange, Server};
use flowwatch_tests::witness::Witness;
use nix::sys::signal::Signal;

const BOTH: [Attach; 2] = [Attach::Xdp, Attach::Tc];
const EXCHANGE: Exchange = Exchange { up: 40, down: 30 };
/// The port of the camera's rendezvous servers.
const RENDEZVOUS: u16 = 10_240;
/// The port of the camera's broker, to which it talks in TLS.
const BROKER: u16 = 8883;
/// One address of theirs.
const CDN: Ipv4Addr = Ipv4Addr::new(50, 7, 98, 242);

fn is_possible() -> Result<bool> {
    granted(&[Need::Root, Need::Program("dnsmasq"), Need::Flowwatch])
}

fn watch(lab: &Lab, attach: Attach) -> Result<Flowwatch> {
    let run = Run::new()?
        .attach(attach)
        .options(&["--format", "json", "--no-builtin-geo"]);
    let run = lab.devices.iter().fold(run, |run, device| {
        run.interface(&device.port).device(&device.name, device.mac)
    });
    run.start(&lab.gateway)
}

/// The names of a device's flows, by remote address.
fn names_of(document: &Document, device: &str) -> BTreeMap<IpAddr, Option<String>> {
    let flows = document.flows.values();
    flows
        .filter(|flow| flow.device == device)
        .map(|flow| (flow.remote_address, flow.name.clone()))
        .collect()
}

fn talk(device: &Device, address: IpAddr) -> Result<()> {
    traffic::udp(
        &device.namespace,
        SocketAddr::new(address, RENDEZVOUS),
        EXCHANGE,
    )
}

/// A lab whose outside name server answers each question by `answer`, which gets the number of the
/// question, from 0, and its octets.
fn scripted(
    mut answer: impl FnMut(usize, &[u8]) -> Vec<u8> + Send + 'static,
) -> Result<(Lab, ScriptedServer)> {
    let lab = Lab::builder().resolver(Resolver::Nobody).build()?;
    let address = SocketAddr::new(OUTSIDE_NAME_SERVER.into(), PORT);
    let mut number = 0;
    let server = ScriptedServer::start(&lab.internet, address, move |question| {
        number += 1;
        Some(answer(number - 1, question))
    })?;
    Ok((lab, server))
}

/// Has the camera ask for `names`, each once.
fn ask_for(lab: &Lab, names: &[Vec<u8>]) -> Result<()> {
    let server = OUTSIDE_NAME_SERVER.into();
    for name in names {
        answer::ask_octets(&lab.camera().namespace, server, &answer::question(name))?;
    }
    Ok(())
}

/// A camera that asks for aliases, IPv4 and IPv6 addresses; the expected names are its own list.
fn check_resolver(resolver: Resolver) -> Result<()> {
    const IPV6_NAME: &str = "six.iotcplatform.com";
    if !is_possible()? {
        return Ok(());
    }
    let lab = Lab::builder()
        .device(DeviceSpec::new("camera", Addressing::Dual))
        .resolver(resolver)
        .records(vec![
            Record::Address("v6.elb.amazonaws.com".to_owned(), INTERNET_IPV6.into()),
            Record::Alias(IPV6_NAME.to_owned(), "v6.elb.amazonaws.com".to_owned()),
        ])
        .build()?;
    let _server = Server::udp(&lab.internet, &[INTERNET_IPV6.into()], RENDEZVOUS)?;
    let (camera, device) = (Camera::fixed_firmware(), lab.camera());
    for attach in BOTH {
        let flowwatch = watch(&lab, attach)?;
        let server = lab.resolver_of(device);
        camera.act(&device.namespace, server)?;
        dns::ask(&device.namespace, server, IPV6_NAME, Question::Aaaa)?;
        talk(device, INTERNET_IPV6.into())?;
        let document = flowwatch.document()?;
        document.ensure_whole()?;
        let names = names_of(&document, "camera");
        let expected = camera
            .contacts()
            .map(|(name, contact)| (IpAddr::from(contact.address), name))
            .chain([(INTERNET_IPV6.into(), Some(IPV6_NAME))]);
        for (address, name) in expected {
            let seen = names
                .get(&address)
                .with_context(|| format!("find {address}"))?;
            ensure!(
                seen.as_deref() == name,
                "{attach}: {address} is {seen:?}, not {name:?}"
            );
        }
        for flow in document.flows.values() {
            let told = if flow.remote_port == BROKER {
                "sni"
            } else {
                "dns"
            };
            let source = flow.name.as_ref().map(|_| told);
            ensure!(flow.name_source.as_deref() == source, "{attach}: {flow:?}");
        }
        // The names that were asked for, the one more, and the broker's, which the camera says itself.
        let understood = camera.lookups.len() as u64 + 2;
        ensure!(
            document.meta.names.understood == understood,
            "{:?}",
            document.meta.names
        );
    }
    Ok(())
}

#[test]
fn a_resolver_on_the_gateway_gives_names() -> Result<()> {
    check_resolver(Resolver::Gateway)
}

#[test]
fn a_remote_resolver_gives_names() -> Result<()> {
    check_resolver(Resolver::Remote)
}

#[test]
fn each_device_keeps_its_own_name_for_a_shared_address() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let address = |name: &str| Record::Address(name.to_owned(), CDN.into());
    let device = |name| DeviceSpec::new(name, Addressing::Ipv4);
    let lab = Lab::builder()
        .device(device("camera"))
        .device(device("doorbell"))
        .device(device("plug"))
        .records(vec![address("first.example"), address("second.example")])
        .build()?;
    for attach in BOTH {
        let flowwatch = watch(&lab, attach)?;
        let asked = [Some("first.example"), Some("second.example"), None];
        for (device, name) in lab.devices.iter().zip(asked) {
            if let Some(name) = name {
                dns::ask(
                    &device.namespace,
                    lab.resolver_of(device),
                    name,
                    Question::A,
                )?;
            }
        }
        for device in &lab.devices {
            talk(device, CDN.into())?;
        }
        let document = flowwatch.document()?;
        for (device, name) in lab.devices.iter().zip(asked) {
            let names = names_of(&document, &device.name);
            let seen = names.get(&CDN.into()).context("find the shared address")?;
            ensure!(
                seen.as_deref() == name,
                "{attach}: {} has {seen:?}",
                device.name
            );
        }
    }
    Ok(())
}

#[test]
fn aliases_in_any_order_compressed_and_extended_lead_to_the_name_asked_for() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let (lab, _server) = scripted(|_, question| {
        let (first, second) = (answer::name(&[b"a", b"cdn"]), answer::name(&[b"b", b"cdn"]));
        let records = [
            answer::address(&second, CDN.into()),
            answer::record(&first, answer::CNAME, &second),
            answer::record(&QUESTION_NAME, answer::CNAME, &first),
        ];
        answer::extended(answer::response(question, &records))
    })?;
    let flowwatch = watch(&lab, Attach::Xdp)?;
    ask_for(&lab, &[answer::name(&[b"Cm", b"IotcPlatform", b"com"])])?;
    talk(lab.camera(), CDN.into())?;
    let names = names_of(&flowwatch.document()?, "camera");
    ensure!(
        names[&IpAddr::from(CDN)].as_deref() == Some("cm.iotcplatform.com"),
        "{names:?}"
    );
    Ok(())
}

#[test]
fn a_blockers_answers_name_nothing_and_are_counted() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let (lab, _server) = scripted(|number, question| {
        let address = [Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST][number];
        answer::response(question, &[answer::address(&QUESTION_NAME, address.into())])
    })?;
    let flowwatch = watch(&lab, Attach::Tc)?;
    let name = answer::name(&[b"ads", b"example"]);
    ask_for(&lab, &[name.clone(), name])?;
    let names = flowwatch.document()?.meta.names;
    ensure!(
        (names.understood, names.blocked, names.bindings) == (2, 2, 0),
        "{names:?}"
    );
    Ok(())
}

/// Answers that lie, each in its way.
fn lies(question: &[u8]) -> Vec<Vec<u8>> {
    let honest = answer::response(question, &[answer::address(&QUESTION_NAME, CDN.into())]);
    let patched = |at: usize, octets: &[u8]| {
        let mut lie = honest.clone();
        lie[at..at + octets.len()].copy_from_slice(octets);
        lie
    };
    let (record, data_length) = (question.len(), honest.len() - 6);
    let circle = |target: u16| {
        let pointer = (0xc000 | target).to_be_bytes();
        answer::response(question, &[answer::address(&pointer, CDN.into())])
    };
    vec![
        // Counts: more answers than the one that is there, more than one question.
        patched(6, &[0xff, 0xff]),
        patched(4, &[0, 2]),
        // Data of a wrong length: too long for the message, too short for its type.
        patched(data_length, &[0xff, 0xff]),
        patched(data_length, &[0, 3]),
        // A name that points at itself, ahead of itself, into the header, beyond the message.
        circle(record as u16),
        circle(record as u16 + 2),
        circle(2),
        circle(0x3fff),
        // A label of a type that isn't; one that is longer than what follows.
        patched(answer::HEADER, &[0x40]),
        patched(answer::HEADER, &[63]),
        // Cut off inside the header, the question and the answer.
        honest[..5].to_vec(),
        honest[..answer::HEADER + 3].to_vec(),
        honest[..honest.len() - 1].to_vec(),
    ]
}

#[test]
fn answers_that_lie_are_counted_as_such_and_counting_stays_exact() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let name = answer::name(&[b"lie", b"example"]);
    let lies = lies(&answer::question(&name));
    let count = lies.len();
    for attach in BOTH {
        let told = lies.clone();
        let (lab, _server) = scripted(move |number, _| told[number].clone())?;
        let device = lab.camera();
        let flowwatch = watch(&lab, attach)?;
        let witness = Witness::start(&lab.gateway, &device.port, device.mac)?;
        ask_for(&lab, &vec![name.clone(); count])?;
        talk(device, CDN.into())?;
        let heard = witness.finish()?;
        let document = flowwatch.document()?;
        document.ensure_whole()?;
        let names = document.meta.names;
        // What comes before a lie is kept: one of them has a record that is true.
        ensure!(
            (names.samples, names.malformed, names.bindings) == (count as u64, count as u64, 1),
            "{attach}: {names:?}"
        );
        let counted = document.traffic();
        for (key, traffic) in &counted {
            ensure!(
                heard.remotes.get(&key.remote) == Some(traffic),
                "{attach}: {key:?}"
            );
        }
        ensure!(counted.len() == heard.remotes.len(), "{counted:?}");
    }
    Ok(())
}

#[test]
fn an_answer_larger_than_a_sample_names_what_the_sample_holds() -> Result<()> {
    // 16 octets a record: 2,000 octets hold the first 123 of 126 records, and CDN is among them.
    const RECORDS: u8 = 126;
    if !is_possible()? {
        return Ok(());
    }
    let (lab, _server) = scripted(|_, question| {
        let others = (1..RECORDS).map(|last| IpAddr::from([192, 0, 2, last]));
        let records: Vec<_> = [IpAddr::from(CDN)]
            .into_iter()
            .chain(others)
            .map(|address| answer::address(&QUESTION_NAME, address))
            .collect();
        answer::response(question, &records)
    })?;
    // So large an answer travels whole.
    for (namespace, interface) in [
        (&lab.internet, "wan0"),
        (&lab.gateway, "wan0"),
        (&lab.gateway, "lan0"),
        (&lab.camera().namespace, "eth0"),
    ] {
        namespace.ip(&format!("link set {interface} mtu 3000"))?;
    }
    let flowwatch = watch(&lab, Attach::Xdp)?;
    ask_for(&lab, &[answer::name(&[b"many", b"example"])])?;
    talk(lab.camera(), CDN.into())?;
    let document = flowwatch.document()?;
    document.ensure_whole()?;
    let names = document.meta.names;
    ensure!((names.samples, names.cut) == (1, 1), "{names:?}");
    ensure!(
        (100..u64::from(RECORDS)).contains(&names.bindings),
        "{names:?}"
    );
    let names = names_of(&document, "camera");
    ensure!(
        names[&IpAddr::from(CDN)].as_deref() == Some("many.example"),
        "{names:?}"
    );
    Ok(())
}

#[test]
fn answers_that_find_no_room_are_counted_and_no_octet_is_lost() -> Result<()> {
    const ANSWERS: u64 = 3_000;
    if !is_possible()? {
        return Ok(());
    }
    let lab = Lab::builder().resolver(Resolver::Nobody).build()?;
    let device = lab.camera();
    let question = answer::question(&answer::name(&[b"burst", b"example"]));
    let payload = answer::response(&question, &[answer::address(&QUESTION_NAME, CDN.into())]);
    let frame = Packet::ethernet(device.gateway_mac, device.mac)
        .ipv4(OUTSIDE_NAME_SERVER, device.ipv4)
        .udp(PORT, 40_000)
        .payload_octets(payload);
    device.namespace.silence()?;
    let flowwatch = watch(&lab, Attach::Tc)?;
    // Who is stopped reads nothing, and the ring holds some hundreds.
    flowwatch.process().signal(Signal::SIGSTOP)?;
    let generator = Generator::new(&lab.gateway, &device.port)?;
    generator.send(&[frame.build()], ANSWERS)?;
    flowwatch.process().signal(Signal::SIGCONT)?;
    let document = flowwatch.document()?;
    document.ensure_conserved()?;
    let (read, dropped) = (
        document.meta.names.samples,
        document.meta.losses.samples_dropped,
    );
    ensure!(
        read + dropped == ANSWERS,
        "{read} were read and {dropped} dropped"
    );
    ensure!(
        read > 0 && dropped > 0,
        "{read} were read and {dropped} dropped"
    );
    let down = document.device("camera")?.down;
    let octets = ANSWERS * frame.ip_octets();
    ensure!((down.packets, down.octets) == (ANSWERS, octets), "{down:?}");
    Ok(())
}
