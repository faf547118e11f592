use super::*;
use std::time::Duration;

#[test]
fn an_id_is_twelve_digits_and_depends_on_every_byte() {
    assert_eq!(FindingId(0).to_string(), "000000000000");
    assert_eq!(FindingId(u64::MAX).to_string(), "ffffffffffff");
    assert_ne!(FindingId::of(&[1, 0]), FindingId::of(&[0, 1]));
    assert_ne!(FindingId::of(&[0]), FindingId::of(&[0, 0]));
}

#[test]
fn time_has_microseconds_and_never_fails() {
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_001_999);
    assert_eq!(time_text(time), "2023-11-14T22:13:20.000001Z");
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 60);
    assert!(time_text(far).starts_with("9999-"), "{}", time_text(far));
}

#[test]
fn endpoints_have_a_port_only_where_there_is_one() {
    let v6: IpAddr = "fd00::1".parse().expect("an address");
    assert_eq!(
        endpoint_text(IpAddr::from([10, 0, 0, 1]), Some(40000)),
        "10.0.0.1:40000"
    );
    assert_eq!(endpoint_text(v6, Some(40000)), "[fd00::1]:40000");
    assert_eq!(endpoint_text(v6, None), "fd00::1");
    assert_eq!(
        (protocol_text(17), protocol_text(253)),
        ("udp".to_owned(), "253".to_owned())
    );
}
