//! Fuzz target of the DHCP and DHCPv6 parsers: whatever the octets, reading ends, and texts are
//! visible.
#![no_main]

use flowwatch_common::wire::{dhcp, dhcpv6};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    read_v4(octets);
    read_v6(octets);
});

fn read_v4(octets: &[u8]) {
    let Ok(message) = dhcp::Message::parse(octets) else {
        return;
    };
    let (mut count, mut data) = (0, 0);
    for option in message.options() {
        let Ok(option) = option else { break };
        count += 1;
        data += option.data.len();
    }
    // Each option takes two octets at least, and none is read twice.
    assert!(2 * count + data <= octets.len());
    let _ = (
        message.operation(),
        message.transaction(),
        message.hardware_address(),
    );
    let _ = (
        message.client_address(),
        message.your_address(),
        message.message_type(),
    );
    let _ = (message.requested_address(), message.server_identifier());
    let _ = (message.parameter_request_list(), message.vendor_class());
    let _ = message.client_identifier();
    assert!(message.dns_servers().count() <= 63);
    assert!(message.host_name().is_none_or(|name| name.len() <= 255));
    check_name(message.client_fqdn());
}

fn read_v6(octets: &[u8]) {
    let Ok(message) = dhcpv6::Message::parse(octets) else {
        return;
    };
    let read: usize = message
        .options()
        .map_while(Result::ok)
        .map(|option| 4 + option.data.len())
        .sum();
    assert!(4 + read <= octets.len());
    let _ = (message.message_type(), message.hardware_address());
    assert!(message.dns_servers().count() <= octets.len() / 16);
    check_name(message.client_fqdn());
}

fn check_name(name: Option<dhcp::ClientName<'_>>) {
    let text = name.map(|name| name.to_string()).unwrap_or_default();
    assert!(text.bytes().all(|letter| letter.is_ascii_graphic()));
}
