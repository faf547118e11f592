use proptest::prelude::*;

use super::*;

#[test]
fn a_program_is_distinguished_from_another_filter() {
    let mut bytes = vec![0; HEADER];
    bytes[8..12].copy_from_slice(&42u32.to_ne_bytes());
    bytes[16..20].copy_from_slice(&(7 << 16 | u32::from(EVERY_PROTOCOL)).to_ne_bytes());
    // TCA_KIND "bpf", TCA_OPTIONS with TCA_BPF_NAME "egress" and TCA_BPF_ID.
    bytes.extend([8, 0, 1, 0, b'b', b'p', b'f', 0]);
    bytes.extend([24, 0, 2, 0, 11, 0, 7, 0]);
    bytes.extend(*b"egress\0\0");
    bytes.extend([8, 0, 11, 0]);
    bytes.extend(77u32.to_ne_bytes());
    let filter = Filter::decode(&bytes).expect("a filter");
    let expected = Filter {
        priority: 7,
        handle: 42,
        kind: "bpf".to_owned(),
        program: Some("egress".to_owned()),
        program_id: Some(77),
        protocol: EVERY_PROTOCOL,
    };
    assert_eq!(filter, expected);
    assert!(filter.admits_programs());
    let of_ipv4 = Filter {
        protocol: (libc::ETH_P_IP as u16).to_be(),
        ..filter.clone()
    };
    assert!(!of_ipv4.admits_programs());
    let other = Filter {
        kind: "matchall".to_owned(),
        ..filter.clone()
    };
    assert!(!other.admits_programs());
    assert_eq!(free_place(&[]), 1);
    let at = |priority, filter: &Filter| Filter {
        priority,
        ..filter.clone()
    };
    let filters = [
        at(1, &other),
        at(2, &of_ipv4),
        at(3, &filter),
        at(4, &other),
    ];
    assert_eq!(free_place(&filters), 3);
    assert_eq!(free_place(&filters[..2]), 3);
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Filter::decode(&bytes);
    }
}
