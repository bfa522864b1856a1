//! The program on real packets: the demo's comparison, at each ingress hook.

use std::process::Command;

use anyhow::{Result, ensure};
use flowwatch_tests::flowwatch::PROGRAM;
use flowwatch_tests::privilege::{Need, granted};

/// Runs the demo, which fails when flowwatch and the lab's witness differ by one octet.
fn check(attach: &str) -> Result<()> {
    if !granted(&[Need::Root, Need::Program("dnsmasq"), Need::Flowwatch])? {
        return Ok(());
    }
    let program = std::env::var(PROGRAM)?;
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args([&program, attach])
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{printed}\n{errors}");
    for name in [
        "gm.iotcplatform.com",
        "cm.iotcplatform.com",
        "us-master.iotcplatform.com",
        "wyze-iot.s3-us-west-2.amazonaws.com",
        "a24rq1e5m4mtei-ats.iot.us-west-2.amazonaws.com  sni",
        "(no name seen)",
    ] {
        ensure!(printed.contains(name), "{name} is missing:\n{printed}");
    }
    Ok(())
}

#[test]
fn the_camera_is_counted_to_the_octet_with_xdp() -> Result<()> {
    check("xdp")
}

#[test]
fn the_camera_is_counted_to_the_octet_with_tc() -> Result<()> {
    check("tc")
}
