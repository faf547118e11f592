//! What all messages about nftables begin with.

/// `struct nfgenmsg`.
pub(super) const HEADER: usize = 4;

/// A family, as nft(8) writes it.
pub(super) const fn family(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "inet",
        2 => "ip",
        3 => "arp",
        5 => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => return None,
    })
}
