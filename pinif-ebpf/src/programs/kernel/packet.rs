//! The `__sk_buff` of a traffic program.

use core::ptr::addr_of;

use aya_ebpf::{
    EbpfContext as _,
    bindings::{__sk_buff, bpf_sock},
    helpers::generated::{
        bpf_get_socket_cookie, bpf_get_socket_uid, bpf_skb_ancestor_cgroup_id, bpf_skb_cgroup_id,
    },
    programs::TcContext,
};
use pinif_ebpf::{
    key::{IfIndex, SocketCookie},
    packet::{
        Bytes as _, VLAN_ID,
        base::{self, Base},
        protocol,
    },
    sighting::Count,
};

/// Reads a member of the context: a volatile load, so that the compiler neither widens, merges nor moves it, which the
/// verifier would refuse.
macro_rules! member {
    ($context:expr, $($member:ident).+ $([$index:literal])?) => {
        // SAFETY: the context is valid for the program's whole run, and the verifier checks the access.
        unsafe { addr_of!((*$context).$($member).+ $([$index])?).read_volatile() }
    };
}

mod headers;
mod marks;

use headers::Headers;
pub use marks::secret_of;

/// A packet on its way out of an interface, or into it.
#[derive(Clone, Copy)]
pub struct Skb(*mut __sk_buff);

/// `PACKET_MULTICAST` (linux/if_packet.h): up to it, a frame is for this host; beyond, for another, or its own.
const PACKET_MULTICAST: u32 = 2;
/// The length of an Ethernet header.
pub const ETHERNET: u32 = 14;

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

    /// The address of the `struct sk_buff` itself, for what no helper gives.
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

    /// How many bytes it has from where the programs see it begin.
    #[inline(always)]
    pub fn length(self) -> u32 {
        member!(self.0, len)
    }

    /// The tag of a VLAN that is beside its bytes, and the tag's ethertype in host byte order; zeros where there is none.
    #[inline(always)]
    pub fn tag_beside(self) -> (u16, u16) {
        if member!(self.0, vlan_present) == 0 {
            return (0, 0);
        }
        let kind = u16::from_be(member!(self.0, vlan_proto) as u16);
        (member!(self.0, vlan_tci) as u16, kind)
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
            // A guest's packet may not say how many segments it has (`SKB_GSO_DODGY`).
            length.div_ceil(size)
        } else {
            1
        };
        Count {
            packets: u64::from(packets),
            bytes: u64::from(member!(self.0, wire_len)),
        }
    }

    /// What it will count as on the wire, by itself, of a packet that begins with its IP header: `link` bytes of another come before
    /// that, and before each segment's.
    #[inline(always)]
    pub fn count_before_link(self, link: u32) -> Count {
        let (segments, size) = (member!(self.0, gso_segs), member!(self.0, gso_size));
        let length = member!(self.0, len);
        let mut base = Base::default();
        if size == 0 || !base::read(self.ethertype(), &Headers::network(self), &mut base) {
            return Count {
                packets: 1,
                bytes: u64::from(length + link),
            };
        }
        let headers = u32::from(base.length) + self.transport_length(0, &base);
        let packets = if segments != 0 {
            segments
        } else {
            length.saturating_sub(headers).div_ceil(size)
        };
        let more = u64::from(packets.saturating_sub(1)) * u64::from(headers);
        Count {
            packets: u64::from(packets),
            bytes: u64::from(length) + more + u64::from(packets) * u64::from(link),
        }
    }

    /// The length of the header behind the IP header, of what is made of segments.
    #[inline(always)]
    fn transport_length(self, start: usize, base: &Base) -> u32 {
        if base.next != protocol::TCP {
            return 8;
        }
        // The upper half of its thirteenth byte: the header's length in words (RFC 9293, 3.1).
        let offset = start + usize::from(base.length) + 12;
        let length = Headers::network(self).load::<[u8; 1]>(offset);
        length.map_or(20, |[byte]| u32::from(byte >> 4) * 4)
    }

    /// Whether what arrived is this interface's own, to be given to the network layer. Not so a frame that was sent to
    /// another station, or looped back here (`dev_loopback_xmit`), and one with the tag of a VLAN: its device sees it next.
    #[inline(always)]
    pub fn is_taken_in(self) -> bool {
        let tagged = member!(self.0, vlan_present) != 0;
        let kind = member!(self.0, pkt_type);
        kind <= PACKET_MULTICAST && !(tagged && member!(self.0, vlan_tci) & u32::from(VLAN_ID) != 0)
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
        let link = if base.total == 0 {
            ETHERNET
        } else {
            length.saturating_sub(base.total)
        };
        let headers = link + u32::from(base.length) + self.transport_length(self.start(), base);
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
}
