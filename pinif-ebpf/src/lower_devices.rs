//! Lower devices: the interfaces that another interface's packets legitimately travel through.

use crate::key::{IfIndex, NetNsCookie};

/// The key of the set of lower devices: `lower` is one of `upper` in this namespace. Userspace computes the transitive
/// closure; the kernel only looks it up.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LowerDeviceKey {
    /// The namespace of both.
    pub netns: NetNsCookie,
    /// Whose packets they are: a bond, a VLAN, a VRF, a tunnel.
    pub upper: IfIndex,
    /// Its lower device: a bond's port, a VLAN's trunk, a VRF's port, a tunnel's underlay.
    pub lower: IfIndex,
}

/// A device of a namespace, as the kernel maps of layers are keyed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceKey {
    /// The namespace.
    pub netns: NetNsCookie,
    /// The device.
    pub device: IfIndex,
    /// Zero.
    pub _pad: u32,
}

/// What is said of a lower device, as bits.
pub mod flags {
    /// It is a lower device. Not set where `upper` is a port of a bridge by which the host's own leg sends into it, and `lower`
    /// another port.
    pub const IS_LOWER: u32 = 1 << 0;
    /// What leaves by it was counted on the upper one, and bears no mark of that: an ipvlan that routes sends through the IP
    /// layer once more (`ipvlan_process_outbound`). Of such a port: what arrived by it was counted on the host's leg.
    pub const COUNTED: u32 = 1 << 1;
}

const _: () = assert!(size_of::<LowerDeviceKey>() == 16);
const _: () = assert!(size_of::<DeviceKey>() == 16);

#[cfg(feature = "user")]
// SAFETY: `repr(C)`, integers only, no implicit padding (size asserted above).
unsafe impl aya::Pod for LowerDeviceKey {}
#[cfg(feature = "user")]
// SAFETY: as above.
unsafe impl aya::Pod for DeviceKey {}
