//! The kernel's structures around sockets and packets: the task that runs, its program and cgroup, the namespace, the devices.

use anyhow::Result;
use pinif_interpreter::{Kernel, Machine};

use super::{
    state::{INTERFACES, Interface},
    structures::{OFFSETS, structure},
};

/// `IFF_UP`.
const UP: u32 = 1;
/// `ARPHRD_ETHER`.
const ETHER: u16 = 1;

/// Where they are.
pub struct Surroundings {
    /// The `struct socket` that a process holds.
    pub socket: u64,
    /// The one that the kernel holds for itself.
    pub kernels_socket: u64,
    /// The network namespace.
    pub net: u64,
    /// The cgroup of all sockets.
    pub cgroup: u64,
    devices: Vec<(Interface, u64)>,
}

impl Surroundings {
    /// Makes them.
    ///
    /// # Errors
    ///
    /// Where memory that was made is not there: never.
    pub fn make(machine: &mut Machine) -> Result<Self> {
        let Kernel {
            process,
            cgroup,
            netns,
            ..
        } = machine.kernel;
        let mut make = |members: &[(u32, u64)]| {
            let members: Vec<(u32, [u8; 8])> = members
                .iter()
                .map(|&(at, value)| (at, value.to_ne_bytes()))
                .collect();
            let members: Vec<(u32, &[u8])> = members
                .iter()
                .map(|(at, value)| (*at, value.as_slice()))
                .collect();
            machine.allocate(structure(&members))
        };
        let net = make(&[(OFFSETS.net_cookie, netns)]);
        let superblock = make(&[(OFFSETS.superblock_device, 0x0080_0001)]);
        let inode = make(&[
            (OFFSETS.inode_number, 1234),
            (OFFSETS.inode_generation, 5),
            (OFFSETS.inode_superblock, superblock),
        ]);
        let file = make(&[(OFFSETS.file_inode, inode)]);
        let mm = make(&[(OFFSETS.mm_exe_file, file)]);
        let leader = make(&[(OFFSETS.task_started, 500_000_000)]);
        let task = make(&[
            (OFFSETS.task_tgid, process.into()),
            (OFFSETS.task_comm, u64::from_ne_bytes(*b"agent\0\0\0")),
            (OFFSETS.task_leader, leader),
            (OFFSETS.task_started, 500_000_000),
            (OFFSETS.task_execs, 7),
            (OFFSETS.task_mm, mm),
        ]);
        let kernfs = make(&[(OFFSETS.kernfs_id, cgroup)]);
        let cgroup = make(&[(OFFSETS.cgroup_kernfs, kernfs)]);
        let socket = make(&[
            (OFFSETS.socket_file, file),
            (OFFSETS.socket_inode_number, 4321),
        ]);
        let kernels_socket = make(&[]);
        let mut devices = Vec::new();
        for interface in INTERFACES {
            let mut name = [0; 8];
            name[..interface.name.len()].copy_from_slice(interface.name.as_bytes());
            let device = make(&[
                (OFFSETS.device_index, interface.index.0.into()),
                (OFFSETS.device_name, u64::from_ne_bytes(name)),
                (OFFSETS.device_netns, net),
                (OFFSETS.device_flags, UP.into()),
                (OFFSETS.device_type, ETHER.into()),
            ]);
            devices.push((interface, device));
        }
        for &(interface, device) in &devices {
            // A list that is empty leads to itself.
            let uppers = device + u64::from(OFFSETS.device_uppers);
            machine.write(uppers, &[uppers, uppers].map(u64::to_ne_bytes).concat())?;
            let address = u32::from_ne_bytes(interface.address.octets());
            let address = (OFFSETS.ipv4_local, &address.to_ne_bytes()[..]);
            let address = machine.allocate(structure(&[address]));
            let addresses = (OFFSETS.ipv4_addresses, &address.to_ne_bytes()[..]);
            let ipv4 = machine.allocate(structure(&[addresses]));
            let at = device + u64::from(OFFSETS.device_ipv4);
            machine.write(at, &ipv4.to_ne_bytes())?;
        }
        machine.kernel.task = task;
        Ok(Self {
            socket,
            kernels_socket,
            net,
            cgroup,
            devices,
        })
    }

    /// The `struct net_device` of an interface; zero where there is none.
    pub fn device(&self, interface: Interface) -> u64 {
        let mut devices = self.devices.iter();
        let device = devices.find(|(of, _)| of.index == interface.index);
        device.map_or(0, |(_, device)| *device)
    }
}
