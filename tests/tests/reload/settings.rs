//! What is taken up, what is refused as a whole, and what only a start takes up.

use std::fs;

use anyhow::{Result, ensure};
use flowwatch_tests::flowwatch::Attach;
use flowwatch_tests::plain::{ensure_counted, lab};

use super::{Bench, OLD_STAYS, PACKETS, is_possible, reload, send, told};

#[test]
fn names_interfaces_and_prefixes_are_taken_up() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab(3)?;
    let [first, second, third] = &lab.devices[..] else {
        anyhow::bail!("three devices were asked for")
    };
    let (one, two) = (first.mac.to_string(), second.mac.to_string());
    let bench = Bench::new(&lab)?;
    bench.write(&["lan0"], &[("cam", &one), ("plug", &two)])?;
    let flowwatch = bench.start(Attach::Tc)?;
    send(&lab, first)?;
    bench.write(&["lan0", "lan1"], &[("camera", &one), ("plug", &two)])?;
    let told = reload(&flowwatch, "took up the configuration", 1)?;
    ensure!(
        told.ends_with("calls `camera` (was `cam`); counts on `lan1`"),
        "{told}"
    );
    send(&lab, first)?;
    send(&lab, second)?;
    // Who was known by an address is so by the prefix, and one more is found.
    bench.write(&["lan1", "lan2"], &[("any", "2c:aa:8e:*")])?;
    let told = reload(&flowwatch, "took up the configuration", 2)?;
    ensure!(told.contains("no longer on `lan0`"), "{told}");
    send(&lab, first)?;
    send(&lab, second)?;
    send(&lab, third)?;
    let document = flowwatch.document()?;
    ensure_counted(&document, "camera", 2 * PACKETS)?;
    ensure_counted(&document, "plug", 2 * PACKETS)?;
    ensure_counted(&document, "any-00:00:03", PACKETS)?;
    ensure!(document.devices.len() == 3, "{:?}", document.devices);
    Ok(())
}

/// With an hour between drains, nothing but the one at the end is made.
#[test]
fn another_interval_is_taken_up() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab(1)?;
    let device = lab.camera();
    let mac = device.mac.to_string();
    let bench = Bench::new(&lab)?;
    bench.write_with("interval = '1h'", &["lan0"], &[("any", "2c:aa:8e:*")])?;
    let flowwatch = bench.start(Attach::Tc)?;
    send(&lab, device)?;
    bench.write_with("interval = '50ms'", &["lan0"], &[("any", "2c:aa:8e:*")])?;
    reload(&flowwatch, "drains every 50ms", 1)?;
    // Told at the first drain.
    let appeared = told(&flowwatch, "appeared, and is counted", 1)?;
    ensure!(appeared.contains("`any-00:00:01`"), "{appeared} of {mac}");
    ensure_counted(&flowwatch.document()?, "any-00:00:01", PACKETS)
}

#[test]
fn a_broken_file_and_none_change_nothing() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab(1)?;
    let device = lab.camera();
    let mac = device.mac.to_string();
    let bench = Bench::new(&lab)?;
    bench.write(&["lan0"], &[("camera", &mac)])?;
    let flowwatch = bench.start(Attach::Tc)?;
    send(&lab, device)?;
    fs::write(bench.path(), "interfaces = ['lan0'\n")?;
    let told = reload(&flowwatch, OLD_STAYS, 1)?;
    ensure!(told.contains("flowwatch.toml`, line 1"), "{told}");
    // One thing that can't be is enough: the other device is not counted either.
    bench.write(&["lan0", "lan9"], &[("other", &mac)])?;
    let told = reload(&flowwatch, OLD_STAYS, 2)?;
    ensure!(
        told.contains("`lan9`: there is no such interface"),
        "{told}"
    );
    bench.write(&["lan0", "lo"], &[("other", &mac)])?;
    let told = reload(&flowwatch, OLD_STAYS, 3)?;
    ensure!(told.contains("`lo`: its packets carry no MAC"), "{told}");
    bench.write(&["lan0"], &[])?;
    let told = reload(&flowwatch, OLD_STAYS, 4)?;
    ensure!(told.contains("no device to count"), "{told}");
    fs::remove_file(bench.path())?;
    let told = reload(&flowwatch, OLD_STAYS, 5)?;
    ensure!(told.contains("No such file"), "{told}");
    bench.write(&["lan0"], &[("camera", &mac)])?;
    reload(&flowwatch, "it says nothing new", 1)?;
    send(&lab, device)?;
    let document = flowwatch.document()?;
    ensure!(document.devices.len() == 1, "{:?}", document.devices);
    ensure_counted(&document, "camera", 2 * PACKETS)
}

/// What docs/interfaces.md says is not taken up while counting, in the order in which it is told.
const OF_A_START: [(&str, &str); 8] = [
    ("duration", "'9h'"),
    ("format", "'csv'"),
    ("output", "'a.csv'"),
    ("attach", "'xdp'"),
    ("flow_table_size", "9"),
    ("history", "{ file = 'h.db', journal = 'j' }"),
    ("socket", "'a.sock'"),
    ("socket_group", "'root'"),
];

#[test]
fn what_only_a_start_takes_up_is_told_and_the_rest_is_taken_up() -> Result<()> {
    if !is_possible()? {
        return Ok(());
    }
    let lab = lab(1)?;
    let device = lab.camera();
    let mac = device.mac.to_string();
    let bench = Bench::new(&lab)?;
    bench.write(&["lan0"], &[("cam", &mac)])?;
    let path = bench.path();
    // What the command line says can't be changed by the file, and isn't told of.
    let run = flowwatch_tests::flowwatch::Run::new()?.options(&[
        "--config",
        &*path.to_string_lossy(),
        "--no-builtin-geo",
    ]);
    let flowwatch = run.start(&lab.gateway)?;
    send(&lab, device)?;
    let lines = OF_A_START.map(|(key, value)| format!("{key} = {value}"));
    let settings = format!("interval = '20ms'\n{}", lines.join("\n"));
    bench.write_with(&settings, &["lan0"], &[("camera", &mac)])?;
    reload(&flowwatch, "configuration: calls `camera` (was `cam`)", 1)?;
    let left = told(&flowwatch, "not taken up while counting", 1)?;
    let names = OF_A_START.map(|(key, _)| key).join(", ");
    ensure!(
        left.ends_with(&format!(
            "not taken up while counting: {names}; start flowwatch again for that"
        )),
        "{left}"
    );
    send(&lab, device)?;
    // The format is the old one: a table, on standard output.
    let output = flowwatch.stop()?;
    ensure!(
        output.contains("camera  ") && output.contains("512,000"),
        "{output}"
    );
    let made = ["h.db", "a.csv", "a.sock"].map(|name| bench.folder().join(name).exists());
    ensure!(made == [false; 3], "{made:?}");
    Ok(())
}
