//! Network devices as the kernel has them at this instant: who is above whom, and which addresses they have. Read with
//! `bpf_probe_read_kernel`, under the RCU read lock that traffic programs run in, so that what is found is not freed.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use pinif_ebpf::{
    intent::Name,
    key::{Address, IfIndex},
};

use super::{offset, packet::Skb};
use crate::reread;

/// How many devices are looked at: the egress interface, and those above it.
pub const MAX_DEVICES: u32 = 16;
/// How many steps the way through them has: each device, and the end of each one's list.
const MAX_STEPS: u32 = 2 * MAX_DEVICES;
/// `list_head.prev`: a trunk may have a thousand VLANs, and it is the newest that userspace may not have heard of
/// (`__netdev_adjacent_dev_insert` adds at the tail). An entry that is being taken out leads nowhere (`LIST_POISON2`).
const PREVIOUS: u32 = 8;
/// How many addresses of them are looked at.
const MAX_ADDRESSES: u32 = 32;

/// The egress interface, and the devices above it in its namespace, at any distance (`net_device.adj_list.upper`): those
/// whose packets it carries, as far as the kernel itself knows.
#[repr(C)]
pub struct Chain {
    devices: [u64; MAX_DEVICES as usize],
    count: u32,
    at: u32,
    /// Where the way is.
    node: u64,
    head: u64,
}

impl Chain {
    /// Finds them; false where this kernel's structures are not known.
    #[inline(never)]
    pub fn walk(&mut self, skb: Skb) -> bool {
        if offset!(device_uppers) == 0 || offset!(device_index) == 0 {
            return false;
        }
        // Through a map: the verifier allows no arithmetic on the context.
        self.node = skb.address();
        let egress = read::<u64>(reread(&self.node), offset!(packet_device));
        let netns = read::<u64>(egress, offset!(device_netns));
        self.devices[0] = egress;
        self.count = 1;
        self.at = 0;
        self.head = egress + u64::from(offset!(device_uppers));
        self.node = read(reread(&self.head), PREVIOUS);
        for _ in 0..MAX_STEPS {
            let (node, head) = (reread(&self.node), reread(&self.head));
            if node == head || node == 0 {
                let next = reread(&self.at) + 1;
                if next >= reread(&self.count) {
                    break;
                }
                self.at = next;
                self.head =
                    self.devices[(next % MAX_DEVICES) as usize] + u64::from(offset!(device_uppers));
                self.node = read(reread(&self.head), PREVIOUS);
                continue;
            }
            // `netdev_adjacent.dev` is its first member.
            let upper = read::<u64>(node - u64::from(offset!(adjacent_list)), 0);
            let count = reread(&self.count);
            // A macvlan may be in another namespace than what it is on: its index means another interface here.
            if count < MAX_DEVICES && read::<u64>(upper, offset!(device_netns)) == netns {
                self.devices[(count % MAX_DEVICES) as usize] = upper;
                self.count = count + 1;
            }
            self.node = read(node, PREVIOUS);
        }
        true
    }

    /// The device at a place; none behind the last.
    #[inline(always)]
    pub fn device(&self, place: u32) -> Option<Device> {
        (place < MAX_DEVICES && place < reread(&self.count))
            .then(|| Device(reread(&self.devices[(place % MAX_DEVICES) as usize])))
    }

    /// Whether one of them has the address.
    #[inline(never)]
    pub fn has(&mut self, address: &Address) -> bool {
        let words = address.0;
        let is_v4 = u64::from_ne_bytes([
            words[0], words[1], words[2], words[3], words[4], words[5], words[6], words[7],
        ]) == 0
            && u32::from_ne_bytes([words[8], words[9], words[10], words[11]])
                == u32::from_be(0xffff);
        if is_v4 {
            self.has_v4(u32::from_ne_bytes([
                words[12], words[13], words[14], words[15],
            ]))
        } else {
            self.has_v6(address)
        }
    }

    #[inline(always)]
    fn has_v4(&mut self, address: u32) -> bool {
        if offset!(device_ipv4) == 0 || offset!(ipv4_local) == 0 {
            return false;
        }
        self.at = 0;
        self.node = first_v4(reread(&self.devices[0]));
        for _ in 0..MAX_ADDRESSES {
            let node = reread(&self.node);
            if node == 0 {
                let Some(next) = self.advance() else {
                    return false;
                };
                self.node = first_v4(next.0);
                continue;
            }
            if read::<u32>(node, offset!(ipv4_local)) == address {
                return true;
            }
            self.node = read(node, offset!(ipv4_next));
        }
        false
    }

    #[inline(always)]
    fn has_v6(&mut self, address: &Address) -> bool {
        if offset!(device_ipv6) == 0 || offset!(ipv6_list) == 0 {
            return false;
        }
        self.at = 0;
        self.head = list_v6(reread(&self.devices[0]));
        self.node = read(reread(&self.head), 0);
        for _ in 0..MAX_ADDRESSES {
            let (node, head) = (reread(&self.node), reread(&self.head));
            if node == head || node == 0 {
                let Some(next) = self.advance() else {
                    return false;
                };
                self.head = list_v6(next.0);
                self.node = read(reread(&self.head), 0);
                continue;
            }
            // `inet6_ifaddr.addr` is its first member.
            if read::<Address>(node - u64::from(offset!(ipv6_list)), 0) == *address {
                return true;
            }
            self.node = read(node, 0);
        }
        false
    }

    #[inline(always)]
    fn advance(&mut self) -> Option<Device> {
        self.at = reread(&self.at) + 1;
        self.device(reread(&self.at))
    }
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

    /// Its name.
    #[inline(always)]
    pub fn name(self) -> Name {
        read(self.0, offset!(device_name))
    }
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
