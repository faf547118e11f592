//! The `__sk_buff` of a traffic program.

use core::{
    arch::asm,
    mem::MaybeUninit,
    ptr::{addr_of, addr_of_mut},
};

use aya_ebpf::{
    EbpfContext as _, Global,
    bindings::{
        __sk_buff,
        bpf_hdr_start_off::{BPF_HDR_START_MAC, BPF_HDR_START_NET},
        bpf_sock,
    },
    helpers::generated::{
        bpf_get_socket_cookie, bpf_get_socket_uid, bpf_skb_ancestor_cgroup_id, bpf_skb_cgroup_id,
        bpf_skb_load_bytes_relative, bpf_skb_pull_data,
    },
    programs::TcContext,
};
use network_types::ip::{Ipv4Hdr, Ipv6Hdr};
use pinif_ebpf::{
    key::{IfIndex, NetNsCookie, SocketCookie},
    packet::{
        Bytes, Header, NotParsed, Packet,
        base::{self, Base},
        ethertype, parse, protocol, untag,
    },
    sighting::Count,
    verdict_cache::FlowKey,
};

/// Tells this auditor's marks from whatever else is in a packet's control block, and keeps strangers from guessing which
/// packets are taken for like ones; userspace sets a random one.
#[unsafe(no_mangle)]
static MARK_SECRET: Global<u32> = Global::new(0);

/// A packet on its way out of an interface, or into it.
#[derive(Clone, Copy)]
pub struct Skb(*mut __sk_buff);

/// `PACKET_MULTICAST` (linux/if_packet.h): up to it, a frame is for this host; beyond, for another, or its own.
const PACKET_MULTICAST: u32 = 2;
/// The bits of a tag that are the VLAN's number; zero is none, but a priority (802.1Q, 9.6).
const VLAN_ID: u32 = 0xfff;
/// The length of an Ethernet header.
const ETHERNET: u32 = 14;
/// As much as headers take, of packets that have them outside the linear part.
const HEADERS: u32 = 256;

/// Reads a member of the context: a volatile load, so that the compiler neither widens, merges nor moves it, which the
/// verifier would refuse.
macro_rules! member {
    ($context:expr, $($member:ident).+ $([$index:literal])?) => {
        // SAFETY: the context is valid for the program's whole run, and the verifier checks the access.
        unsafe { addr_of!((*$context).$($member).+ $([$index])?).read_volatile() }
    };
}

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
    #[inline(always)]
    pub fn new(context: &TcContext) -> Self {
        Self(context.as_ptr().cast())
    }

    /// The packet of a step ([`crate::verified_once`]).
    #[inline(always)]
    pub fn of(context: *mut __sk_buff) -> Self {
        Self(context)
    }

    /// The context, as a step takes it.
    #[inline(always)]
    pub fn context(self) -> *mut __sk_buff {
        self.0
    }

    /// The address of the `struct sk_buff` itself, for what no helper tells.
    #[inline(always)]
    pub fn address(self) -> u64 {
        self.0 as u64
    }

    /// Its ethertype, in host byte order; of a frame with tags in it, the outermost tag's.
    #[inline(always)]
    pub fn ethertype(self) -> u16 {
        u16::from_be(member!(self.0, protocol) as u16)
    }

    /// The interface that it leaves or arrives by (`skb->dev->ifindex`).
    #[inline(always)]
    pub fn interface(self) -> IfIndex {
        IfIndex(member!(self.0, ifindex))
    }

    /// The interface that it came in by (`skb->skb_iif`); none for what is sent here.
    #[inline(always)]
    pub fn arrived(self) -> IfIndex {
        IfIndex(member!(self.0, ingress_ifindex))
    }

    /// Its mark.
    #[inline(always)]
    pub fn mark(self) -> u32 {
        member!(self.0, mark)
    }

    /// What it counts as on the wire. `wire_len` has the headers of every segment (`qdisc_pkt_len_init`).
    #[inline(always)]
    pub fn count(self) -> Count {
        let segments = member!(self.0, gso_segs);
        let size = member!(self.0, gso_size);
        let length = member!(self.0, len);
        let packets = if segments != 0 {
            segments
        } else if size != 0 {
            // A guest's packet may not tell its segments (`SKB_GSO_DODGY`).
            length.div_ceil(size)
        } else {
            1
        };
        Count {
            packets: u64::from(packets),
            bytes: u64::from(member!(self.0, wire_len)),
        }
    }

    /// Whether what arrived is this interface's own, to be given to the network layer. Not so a frame that was sent to
    /// another station, or looped back here (`dev_loopback_xmit`), and one with the tag of a VLAN: its device sees it next.
    #[inline(always)]
    pub fn is_taken_in(self) -> bool {
        let tagged = member!(self.0, vlan_present) != 0;
        let kind = member!(self.0, pkt_type);
        kind <= PACKET_MULTICAST && !(tagged && member!(self.0, vlan_tci) & VLAN_ID != 0)
    }

    /// Reads the fixed part of its IP header into `place`, if it has one.
    #[inline(always)]
    pub fn read_base(self, place: &mut Base) -> bool {
        let kind = u16::from_be(member!(self.0, protocol) as u16);
        if kind != ethertype::IPV4 && kind != ethertype::IPV6 {
            return false;
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

    /// The first byte behind the fixed part of its header.
    #[inline(always)]
    pub fn behind(self, base: &Base) -> Option<u8> {
        let [byte] = Headers::network(self).load::<[u8; 1]>(usize::from(base.length))?;
        Some(byte)
    }

    /// What it counts as on the wire that it came from: where it was put together (GRO) or never taken apart (GSO), each
    /// segment with headers of its own.
    #[inline(always)]
    pub fn count_arrived(self, base: &Base) -> Count {
        let (segments, size) = (member!(self.0, gso_segs), member!(self.0, gso_size));
        let length = member!(self.0, len);
        if size == 0 {
            return Count {
                packets: 1,
                bytes: u64::from(length),
            };
        }
        let transport = if base.next == protocol::TCP {
            // The upper half of its thirteenth byte: the header's length in words (RFC 9293, 3.1).
            let offset = usize::from(base.length) + 12;
            let length = Headers::network(self).load::<[u8; 1]>(offset);
            length.map_or(20, |[byte]| u32::from(byte >> 4) * 4)
        } else {
            8
        };
        let link = if base.total == 0 {
            ETHERNET
        } else {
            length.saturating_sub(base.total)
        };
        let headers = link + u32::from(base.length) + transport;
        let packets = if segments != 0 {
            segments
        } else {
            length.saturating_sub(headers).div_ceil(size)
        };
        Count {
            packets: u64::from(packets),
            bytes: u64::from(length) + u64::from(packets.saturating_sub(1)) * u64::from(headers),
        }
    }

    /// The context, as look-ups of sockets take it.
    #[inline(always)]
    pub fn as_ptr(self) -> *mut core::ffi::c_void {
        self.0.cast()
    }

    /// `skb->sk`, whatever its state; null without one.
    #[inline(always)]
    pub fn sock(self) -> *mut bpf_sock {
        member!(self.0, __bindgen_anon_2.sk)
    }

    /// The cookie of `skb->sk`.
    #[inline(always)]
    pub fn cookie(self) -> SocketCookie {
        // SAFETY: the helper takes the context.
        SocketCookie(unsafe { bpf_get_socket_cookie(self.0.cast()) })
    }

    /// The user id of `skb->sk`.
    #[inline(always)]
    pub fn uid(self) -> u32 {
        // SAFETY: the helper takes the context.
        unsafe { bpf_get_socket_uid(self.0) }
    }

    /// The cgroup of `skb->sk`.
    #[inline(always)]
    pub fn cgroup(self) -> u64 {
        // SAFETY: the helper takes the context.
        unsafe { bpf_skb_cgroup_id(self.0) }
    }

    /// The cgroup of `skb->sk`, or the one above it at this level; zero if there is none.
    #[inline(always)]
    pub fn cgroup_at(self, level: i32) -> u64 {
        // SAFETY: the helper takes the context.
        unsafe { bpf_skb_ancestor_cgroup_id(self.0, level) }
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

    /// Looks at its addresses and ports where they usually are: behind an Ethernet header of 14 bytes and an IP header
    /// without options or extensions, TCP or UDP, not a later fragment, in the linear part. Nothing if they cannot be
    /// there; where the device has no Ethernet header, what is seen may be no addresses ([`FlowKey::is`]).
    #[inline(always)]
    pub fn flow_key(self) -> Option<FlowKey> {
        let (start, end) = (
            member!(self.0, data) as usize,
            member!(self.0, data_end) as usize,
        );
        let header = start + ETHERNET as usize;
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
                protocol,
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
                protocol,
            })
        } else {
            None
        }
    }

    /// The interface above this one that has counted the packet before; none if this is the first that does.
    ///
    /// A device that is stacked on another hands the `skb` on, or clones of it, with its control block
    /// (`dev_queue_xmit` from `ndo_start_xmit`: VLAN, bond, team, macvlan). A bridge clears it (`br_dev_xmit`), and so
    /// does the IP layer that a tunnel sends through.
    #[inline(always)]
    pub fn passed_above(self, netns: NetNsCookie) -> IfIndex {
        let above = IfIndex(member!(self.0, cb[4]));
        if above.is_some()
            && above != self.interface()
            && member!(self.0, cb[3]) == seal(netns, above)
        {
            above
        } else {
            IfIndex::NONE
        }
    }

    /// Marks the packet as counted on this interface, for the one below. In the last two words of what the control block
    /// has for programs: qdiscs write to the first (`fq_skb_cb`, `cobalt_skb_cb`, `netem_skb_cb`).
    #[inline(always)]
    pub fn mark_passed(self, netns: NetNsCookie) {
        let here = self.interface();
        // SAFETY: the context is valid, and the verifier checks the access; volatile for the reason of `member`.
        unsafe {
            addr_of_mut!((*self.0).cb[3]).write_volatile(seal(netns, here));
            addr_of_mut!((*self.0).cb[4]).write_volatile(here.0);
        }
    }

    /// Reads its headers into `place`. Tags in the frame exist on Ethernet devices only, where the frame begins with the link layer's header;
    /// otherwise the network header's own offset serves every kind of device.
    #[inline(always)]
    pub fn parse(self, place: &mut Packet) -> Result<(), NotParsed> {
        let mut kind = u16::from_be(member!(self.0, protocol) as u16);
        let mut at = Headers::network(self);
        if kind == ethertype::VLAN || kind == ethertype::SERVICE_VLAN {
            at.from = BPF_HDR_START_MAC as u32;
            (kind, at.start) = untag(&at)?;
        }
        parse(kind, &at, place)
    }
}

/// What only this auditor writes for an interface: an index alone would mean another interface in another namespace,
/// which a packet may reach with its control block.
#[inline(always)]
fn seal(netns: NetNsCookie, interface: IfIndex) -> u32 {
    let netns = (netns.0 as u32).wrapping_mul(0x9e37_79b1);
    MARK_SECRET.load() ^ netns ^ interface.0.wrapping_mul(0x85eb_ca6b)
}

/// What nobody can foresee, for what is remembered of a namespace's packets.
#[inline(always)]
pub fn secret_of(netns: NetNsCookie) -> u64 {
    (u64::from(MARK_SECRET.load()) << 32) ^ netns.0
}

/// The packet from one of its headers on (`bpf_skb_load_bytes_relative`).
struct Headers {
    skb: Skb,
    /// Which header (`enum bpf_hdr_start_off`).
    from: u32,
    /// How many bytes behind its beginning.
    start: usize,
}

impl Headers {
    #[inline(always)]
    fn network(skb: Skb) -> Self {
        Self {
            skb,
            from: BPF_HDR_START_NET as u32,
            start: 0,
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
