use super::*;

#[test]
fn an_id_is_twelve_digits_and_depends_on_every_byte() {
    assert_eq!(FindingId(0).to_string(), "000000000000");
    assert_eq!(FindingId(u64::MAX).to_string(), "ffffffffffff");
    assert_ne!(FindingId::of(&[1, 0]), FindingId::of(&[0, 1]));
    assert_ne!(FindingId::of(&[0]), FindingId::of(&[0, 0]));
}
