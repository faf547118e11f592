//! Network devices as the kernel has them at this instant: who is above whom, and which addresses they have. Read with
//! `bpf_probe_read_kernel`, under the RCU read lock that traffic programs run in, so that what is found is not freed.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use pinif_ebpf::{
    intent::Name,
    key::{Address, IfIndex, NetNsCookie},
};

use super::{namespace, offset, packet::Skb};
use crate::reread;

/// How many devices are looked at: the egress interface, and those above it.
pub const MAX_DEVICES: u32 = 16;
/// How many steps the walk over them has: each device, and the end of each one's list.
pub const MAX_STEPS: u32 = 2 * MAX_DEVICES;
/// `list_head.prev`: a trunk may have a thousand VLANs, and it is the newest that userspace may not know
/// (`__netdev_adjacent_dev_insert` adds at the tail). An entry that is being taken out leads nowhere (`LIST_POISON2`).
const PREVIOUS: u32 = 8;
/// How many addresses of them are looked at.
pub const MAX_ADDRESSES: u32 = 32;

/// The egress interface, and the devices above it in its namespace, at any distance (`net_device.adj_list.upper`): those
/// whose packets it carries, as far as the kernel itself knows.
#[repr(C)]
pub struct Chain {
    devices: [u64; MAX_DEVICES as usize],
    count: u32,
    at: u32,
    /// Not zero: the wanted address is an IPv4 one.
    is_v4: u32,
    _pad: u32,
    /// Where the way is.
    node: u64,
    head: u64,
}

impl Chain {
    /// Begins with the egress interface; false where this kernel's structures are not known.
    #[inline(always)]
    pub fn begin(&mut self, skb: Skb) -> bool {
        if offset!(device_uppers) == 0 || offset!(device_index) == 0 {
            return false;
        }
        // Through a map: the verifier allows no arithmetic on the context.
        self.node = skb.address();
        let egress = read::<u64>(reread(&self.node), offset!(packet_device));
        self.devices[0] = egress;
        self.count = 1;
        self.at = 0;
        self.head = egress + u64::from(offset!(device_uppers));
        self.node = read(reread(&self.head), PREVIOUS);
        true
    }

    /// The egress interface.
    #[inline(always)]
    pub fn egress(&self) -> Device {
        Device(reread(&self.devices[0]))
    }

    /// Whether there is any above the egress interface.
    #[inline(always)]
    pub fn has_uppers(&self) -> bool {
        reread(&self.node) != reread(&self.head)
    }

    /// One step to the next device above; false behind the last.
    #[inline(always)]
    pub fn step(&mut self) -> bool {
        let (node, head) = (reread(&self.node), reread(&self.head));
        if node == head || node == 0 {
            let next = reread(&self.at) + 1;
            if next >= reread(&self.count) {
                return false;
            }
            self.at = next;
            self.head =
                self.devices[(next % MAX_DEVICES) as usize] + u64::from(offset!(device_uppers));
            self.node = read(reread(&self.head), PREVIOUS);
            return true;
        }
        // `netdev_adjacent.dev` is its first member.
        let upper = read::<u64>(node - u64::from(offset!(adjacent_list)), 0);
        let count = reread(&self.count);
        // A macvlan may be in another namespace than what it is on: its index means another interface here.
        let netns = read::<u64>(reread(&self.devices[0]), offset!(device_netns));
        if count < MAX_DEVICES && read::<u64>(upper, offset!(device_netns)) == netns {
            self.devices[(count % MAX_DEVICES) as usize] = upper;
            self.count = count + 1;
        }
        self.node = read(node, PREVIOUS);
        true
    }

    /// Goes back to the egress interface.
    #[inline(always)]
    pub fn rewind(&mut self) {
        self.at = 0;
    }

    /// Where the walk is: zero at the egress interface.
    #[inline(always)]
    pub fn place(&self) -> u32 {
        reread(&self.at)
    }

    /// The device that the walk is at; none behind the last.
    #[inline(always)]
    pub fn device(&self) -> Option<Device> {
        let at = reread(&self.at);
        (at < MAX_DEVICES && at < reread(&self.count))
            .then(|| Device(reread(&self.devices[(at % MAX_DEVICES) as usize])))
    }

    /// Goes on to the next device.
    #[inline(always)]
    pub fn advance(&mut self) {
        self.at = reread(&self.at) + 1;
    }

    /// Begins with the addresses of the egress interface. False where this kernel's structures are not known.
    #[inline(always)]
    pub fn begin_addresses(&mut self, wanted: &Address) -> bool {
        self.rewind();
        self.is_v4 = u32::from(is_v4(wanted));
        if reread(&self.is_v4) != 0 {
            self.node = first_v4(reread(&self.devices[0]));
            offset!(device_ipv4) != 0 && offset!(ipv4_local) != 0
        } else {
            self.head = list_v6(reread(&self.devices[0]));
            self.node = read(reread(&self.head), 0);
            offset!(device_ipv6) != 0 && offset!(ipv6_list) != 0
        }
    }

    /// Whether the next of their addresses is the wanted one.
    #[inline(always)]
    pub fn step_addresses(&mut self, wanted: &Address) -> Step {
        if reread(&self.is_v4) != 0 {
            self.step_v4(wanted)
        } else {
            self.step_v6(wanted)
        }
    }

    #[inline(always)]
    fn step_v4(&mut self, wanted: &Address) -> Step {
        let node = reread(&self.node);
        if node == 0 {
            self.advance();
            let Some(next) = self.device() else {
                return Step::Last;
            };
            self.node = first_v4(next.0);
            return Step::Next;
        }
        self.node = read(node, offset!(ipv4_next));
        let [.., a, b, c, d] = wanted.0;
        if read::<u32>(node, offset!(ipv4_local)) == u32::from_ne_bytes([a, b, c, d]) {
            Step::Found
        } else {
            Step::Next
        }
    }

    #[inline(always)]
    fn step_v6(&mut self, wanted: &Address) -> Step {
        let (node, head) = (reread(&self.node), reread(&self.head));
        if node == head || node == 0 {
            self.advance();
            let Some(next) = self.device() else {
                return Step::Last;
            };
            self.head = list_v6(next.0);
            self.node = read(reread(&self.head), 0);
            return Step::Next;
        }
        self.node = read(node, 0);
        // `inet6_ifaddr.addr` is its first member.
        if read::<Address>(node - u64::from(offset!(ipv6_list)), 0) == *wanted {
            Step::Found
        } else {
            Step::Next
        }
    }
}

/// What a step over addresses comes to. The number is what a function that is verified once returns.
#[derive(Clone, Copy)]
pub enum Step {
    /// There are no more.
    Last = 0,
    /// It is another one.
    Next = 1,
    /// It is the wanted one.
    Found = 2,
}

/// Whether the address is an IPv4 one (`::ffff:0:0/96`).
#[inline(always)]
fn is_v4(address: &Address) -> bool {
    let words = address.0;
    u64::from_ne_bytes([
        words[0], words[1], words[2], words[3], words[4], words[5], words[6], words[7],
    ]) == 0
        && u32::from_ne_bytes([words[8], words[9], words[10], words[11]]) == u32::from_be(0xffff)
}

#[inline(always)]
fn first_v4(device: u64) -> u64 {
    read(read(device, offset!(device_ipv4)), offset!(ipv4_addresses))
}

#[inline(always)]
fn list_v6(device: u64) -> u64 {
    read::<u64>(device, offset!(device_ipv6)) + u64::from(offset!(ipv6_addresses))
}

/// A `struct net_device`.
#[derive(Clone, Copy)]
pub struct Device(u64);

impl Device {
    /// Its index.
    #[inline(always)]
    pub fn index(self) -> IfIndex {
        IfIndex(read(self.0, offset!(device_index)))
    }

    /// Whether it sends nothing: it is down, or has no carrier. TC egress runs before the kernel looks (`__dev_queue_xmit`).
    #[inline(always)]
    pub fn cannot_send(self) -> bool {
        let (flags, state) = (offset!(device_flags), offset!(device_state));
        // Of Linux 6.8 and later, one follows the other (`net_device_read_txrx`). What userspace has written is constant to the verifier.
        let (flags, state) = if flags == state + 8 {
            let [state, flags] = read::<[u64; 2]>(self.0, state);
            (flags as u32, state)
        } else {
            (read(self.0, flags), read(self.0, state))
        };
        flags & UP == 0 || state & NO_CARRIER != 0
    }

    /// Its name.
    #[inline(always)]
    pub fn name(self) -> Name {
        read(self.0, offset!(device_name))
    }
}

/// The namespace of the egress interface of a packet.
#[inline(always)]
pub fn netns(skb_address: u64) -> NetNsCookie {
    let device = read::<u64>(skb_address, offset!(packet_device));
    let net = read::<u64>(device, offset!(device_netns));
    NetNsCookie(namespace::cookie(net))
}

/// `IFF_UP` (linux/if.h).
const UP: u32 = 1 << 0;
/// `__LINK_STATE_NOCARRIER` (linux/netdevice.h).
const NO_CARRIER: u64 = 1 << 2;

/// Whether the egress interface of a packet sends nothing ([`Device::cannot_send`]).
#[inline(always)]
pub fn cannot_send(skb_address: u64) -> bool {
    Device(read(skb_address, offset!(packet_device))).cannot_send()
}

/// `ARPHRD_ETHER` (linux/if_arp.h).
const ETHERNET: u16 = 1;

/// Whether the egress interface of a packet sends Ethernet frames.
#[inline(always)]
pub fn is_ethernet(skb_address: u64) -> bool {
    let device = read::<u64>(skb_address, offset!(packet_device));
    read::<u16>(device, offset!(device_type)) == ETHERNET
}

/// Whether tc redirected the packet where it arrived, and not where it left.
#[inline(always)]
pub fn is_from_ingress(skb_address: u64) -> bool {
    has_bit(skb_address, offset!(packet_from_ingress))
}

/// Whether the device of a tunnel put an IP header around the packet, whether or not userspace knows that device yet. Nothing is said of other
/// headers.
#[inline(always)]
pub fn is_from_tunnel(skb_address: u64) -> bool {
    has_bit(skb_address, offset!(packet_from_tunnel))
}

#[inline(always)]
fn has_bit(skb_address: u64, bit: u32) -> bool {
    read::<u8>(skb_address, bit / 8) & 1 << (bit % 8) != 0
}

/// Whether the stack put the packet into another: `skb->inner_network_header` says where the inner one begins, and is
/// zero in what a process wrote (`skb_reset_inner_headers`, by every tunnel but WireGuard).
#[inline(always)]
pub fn is_encapsulated(skb_address: u64) -> bool {
    let offset = offset!(packet_inner_header);
    offset != 0 && read::<u16>(skb_address, offset) != 0
}

/// What is at an address of the kernel; zeros where there is nothing.
#[inline(always)]
fn read<T: Default>(structure: u64, offset: u32) -> T {
    let address = structure.wrapping_add(u64::from(offset));
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper checks the address itself, and writes zeros where there is nothing (`bpf_probe_read_kernel_common`):
    // no branch, or the verifier would follow both ways of each read.
    unsafe {
        bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            address as *const c_void,
        );
        value.assume_init()
    }
}
