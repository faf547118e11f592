//! Its headers: at the usual place for the fast path, and in full.

use core::{arch::asm, mem::MaybeUninit, ptr::addr_of};

use aya_ebpf::{
    bindings::bpf_hdr_start_off::{BPF_HDR_START_MAC, BPF_HDR_START_NET},
    helpers::generated::{bpf_skb_load_bytes_relative, bpf_skb_pull_data},
};
use network_types::ip::{Ipv4Hdr, Ipv6Hdr};
use pinif_ebpf::{
    packet::{
        Bytes, Header, NotParsed, Packet,
        base::{self, Base},
        ethertype, inner, parse, untag, untag_priorities,
    },
    verdict_cache::FlowKey,
};

use super::{ETHERNET, Skb};

/// As much as headers take, of packets that have them outside the linear part.
const HEADERS: u32 = 256;

/// The fragment's offset, in network byte order (RFC 791).
const FRAGMENT_OFFSET: u16 = 0x1fff_u16.to_be();

/// Loads from the packet at once, as wide as is said: the compiler would load a word byte by byte, since it knows of no
/// alignment there. The kernel needs none, or keeps it (`NET_IP_ALIGN`).
macro_rules! load {
    ($size:ident, $base:expr, $offset:literal) => {{
        let value: u64;
        // SAFETY: the bounds were compared before, which the verifier checks.
        unsafe {
            asm!(
                concat!("{value} = *(", stringify!($size), " *)({base} + ", $offset, ")"),
                value = out(reg) value,
                base = in(reg) $base,
                options(nostack, readonly, pure),
            );
        }
        value
    }};
}

impl Skb {
    /// Looks at its addresses and ports where they usually are: behind an Ethernet header of 14 bytes and an IP header
    /// without options or extensions, TCP or UDP, not a later fragment, in the linear part. Nothing if they cannot be
    /// there; where the device has no Ethernet header, what is seen may be no addresses ([`FlowKey::is`]).
    #[inline(always)]
    pub fn flow_key(self) -> Option<FlowKey> {
        self.flow_key_behind(ETHERNET as usize)
    }

    /// The same of a packet that begins with its IP header, as it does at a cgroup.
    #[inline(always)]
    pub fn flow_key_before_link(self) -> Option<FlowKey> {
        self.flow_key_behind(0)
    }

    #[inline(always)]
    fn flow_key_behind(self, link: usize) -> Option<FlowKey> {
        let (start, end) = (
            member!(self.0, data) as usize,
            member!(self.0, data_end) as usize,
        );
        let header = start + link;
        let kind = member!(self.0, protocol) as u16;
        if kind == ethertype::IPV4.to_be() {
            if header + Ipv4Hdr::LEN + 4 > end {
                return None;
            }
            let (first, protocol) = (load!(u8, header, 0), load!(u8, header, 9) as u8);
            let fragment = load!(u16, header, 6) as u16;
            if first != 0x45 || !FlowKey::is_of(protocol) || fragment & FRAGMENT_OFFSET != 0 {
                return None;
            }
            Some(FlowKey {
                source: FlowKey::v4(load!(u32, header, 12) as u32),
                destination: FlowKey::v4(load!(u32, header, 16) as u32),
                ports: load!(u32, header, 20) as u32,
                protocol: u32::from(protocol),
            })
        } else if kind == ethertype::IPV6.to_be() {
            if header + Ipv6Hdr::LEN + 4 > end {
                return None;
            }
            let (first, protocol) = (load!(u8, header, 0), load!(u8, header, 6) as u8);
            if first >> 4 != 6 || !FlowKey::is_of(protocol) {
                return None;
            }
            Some(FlowKey {
                source: [load!(u64, header, 8), load!(u64, header, 16)],
                destination: [load!(u64, header, 24), load!(u64, header, 32)],
                ports: load!(u32, header, 40) as u32,
                protocol: u32::from(protocol),
            })
        } else {
            None
        }
    }

    /// Reads its headers into `place`. Tags in the frame exist on Ethernet devices only, where the frame begins with the link layer's header;
    /// otherwise the network header's own offset serves every kind of device. With `frame`, it is an Ethernet frame, and its own ethertype
    /// says what is in it.
    #[inline(always)]
    pub fn parse(self, frame: bool, place: &mut Packet) -> Result<(), NotParsed> {
        let mut kind = u16::from_be(member!(self.0, protocol) as u16);
        let mut at = Headers::network(self);
        if frame || kind == ethertype::VLAN || kind == ethertype::SERVICE_VLAN {
            at.from = BPF_HDR_START_MAC as u32;
            (kind, at.start) = untag(&at)?;
        }
        parse(kind, &at, place)
    }

    /// Where the packet inside it begins, in bytes from its network header on ([`inner::inner_start`]).
    #[inline(always)]
    pub fn inner_start(self, headers: &mut Packet) -> Result<usize, NotParsed> {
        inner::inner_start(self.ethertype(), &Headers::network(self), headers)
    }

    /// Reads the headers of that ([`inner::parse_inner`]).
    #[inline(always)]
    pub fn parse_inner(self, start: usize, place: &mut Packet) -> Result<(), NotParsed> {
        inner::parse_inner(start, &Headers::network(self), place)
    }

    /// Reads the fixed part of its IP header into `place`, of a packet that begins with it: at the cgroup.
    #[inline(always)]
    pub fn read_network_base(self, place: &mut Base) -> bool {
        base::read(self.ethertype(), &Headers::network(self), place)
    }

    /// Reads the fixed part of its IP header into `place`, if it has one.
    #[inline(always)]
    pub fn read_base(self, place: &mut Base) -> bool {
        let kind = u16::from_be(member!(self.0, protocol) as u16);
        if kind != ethertype::IPV4 && kind != ethertype::IPV6 {
            return ethertype::is_tag(kind) && self.read_base_behind_tags(place);
        }
        if base::read(kind, &Headers::network(self), place) {
            return true;
        }
        // A driver may leave headers in pages. `ip_rcv` pulls them to the front as well, next (`pskb_may_pull`).
        let length = member!(self.0, len).min(HEADERS);
        // SAFETY: the helper takes the context; no pointer into the packet is held.
        unsafe { bpf_skb_pull_data(self.0, length) };
        base::read(kind, &Headers::network(self), place)
    }

    /// The same of a frame whose first tag, which the kernel has taken out, is followed by others.
    #[inline(always)]
    fn read_base_behind_tags(self, place: &mut Base) -> bool {
        let length = member!(self.0, len).min(HEADERS);
        // SAFETY: the helper takes the context; no pointer into the packet is held.
        unsafe { bpf_skb_pull_data(self.0, length) };
        match self.behind_tags() {
            Ok((kind, start)) => base::read(kind, &Headers::behind(self, start), place),
            Err(_) => false,
        }
    }

    /// The ethertype of what arrived, behind the tags in it that name no VLAN but a priority, and where it begins: the kernel takes such a
    /// tag out where it finds it, and goes on (`__netif_receive_skb_core`). The first tag is none of the frame's by now.
    ///
    /// # Errors
    ///
    /// [`NotParsed::NotIp`] where a tag names a VLAN, whose device sees the packet next, [`NotParsed::Malformed`] where there are more
    /// tags than are followed.
    #[inline(always)]
    pub fn behind_tags(self) -> Result<(u16, usize), NotParsed> {
        untag_priorities(self.ethertype(), &Headers::network(self))
    }

    /// Where the IP header of what arrived begins, as [`Self::read_base`] has found it.
    #[inline(always)]
    pub(super) fn start(self) -> usize {
        self.behind_tags().map_or(0, |(_, start)| start)
    }

    /// The first byte behind the fixed part of its header.
    #[inline(always)]
    pub fn behind(self, base: &Base) -> Option<u8> {
        let at = self.start() + usize::from(base.length);
        let [byte] = Headers::network(self).load::<[u8; 1]>(at)?;
        Some(byte)
    }

    /// Whether a datagram of WireGuard's has a packet inside: its type is 4, and there is more to it than header and tag,
    /// as which a keepalive comes (`struct message_data`; `wg_socket_send_skb_to_peer` writes no options).
    #[inline(always)]
    pub fn has_wireguard_data(self) -> bool {
        let header = if self.ethertype() == ethertype::IPV4 {
            size_of::<Ipv4Hdr>()
        } else {
            size_of::<Ipv6Hdr>()
        };
        // Length and checksum of UDP, and the first byte of the message.
        let [high, low, _, _, kind] = Headers::network(self)
            .load::<[u8; 5]>(header + 4)
            .unwrap_or_default();
        let (udp, empty) = (8, 32);
        kind == 4 && u16::from_be_bytes([high, low]) > udp + empty
    }
}

/// The packet from one of its headers on (`bpf_skb_load_bytes_relative`).
pub(super) struct Headers {
    skb: Skb,
    /// Which header (`enum bpf_hdr_start_off`).
    from: u32,
    /// How many bytes behind its beginning.
    start: usize,
}

impl Headers {
    #[inline(always)]
    pub(super) fn network(skb: Skb) -> Self {
        Self {
            skb,
            from: BPF_HDR_START_NET as u32,
            start: 0,
        }
    }

    /// The same from so many bytes behind the network header's place on.
    #[inline(always)]
    fn behind(skb: Skb, start: usize) -> Self {
        Self {
            start,
            ..Self::network(skb)
        }
    }
}

impl Bytes for Headers {
    #[inline(always)]
    fn load<T: Header>(&self, offset: usize) -> Option<T> {
        let mut header = MaybeUninit::<T>::uninit();
        // SAFETY: the helper takes the context, and writes the whole header or fails.
        let status = unsafe {
            bpf_skb_load_bytes_relative(
                self.skb.0.cast(),
                (self.start + offset) as u32,
                header.as_mut_ptr().cast(),
                size_of::<T>() as u32,
                self.from,
            )
        };
        // SAFETY: it was written, and any bytes are a valid `Header`.
        (status == 0).then(|| unsafe { header.assume_init() })
    }
}
