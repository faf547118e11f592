//! What entries are about, as the journal has it: a fixed number for each kind (sd-id128(3)). `contrib/journal/pinif.catalog` has a text
//! for each. They are a contract: whoever looks for one finds it in the journals of all versions.

use pinif_ebpf::verdict::Kind;

/// The `MESSAGE_ID` of a finding's entries.
pub const fn message_id(kind: Kind) -> &'static str {
    match kind {
        Kind::DeviceEscape => "bba1a33cffa74c0b973bef7d46f84a52",
        Kind::AddressEscape => "7bcecf2cc864485cb4f2d5d0adaa24d6",
        Kind::CopyEscape => "870d53daae52458fbd71211acc20d60d",
        Kind::PolicyEscape => "517b8e4203ce47d0ac15da6b00dbe1eb",
        Kind::ReplyEscape => "690a76447700417ea721e4bd035f43c5",
        Kind::Unpinned => "8839430898b244da826812bd2bd97aad",
        Kind::CrossedBind => "bbc32a9c66fa48bc85375e785818f4d4",
        Kind::IngressEscape => "9aa8a3e9dfcd43648e0b1b28effda82c",
        Kind::Unaudited => "fabc595c051743f29d096ee678787b88",
        Kind::ArpFlux => "c502b461199042d8956129b27609cc3a",
    }
}
