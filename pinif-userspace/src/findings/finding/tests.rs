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
