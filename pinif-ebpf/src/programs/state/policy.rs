//! The policy's tables, two policies in each, and the word that says which is in force.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    btf_maps::{Array, HashMap, LpmTrie, lpm_trie::Key},
    macros::btf_map,
};
use pinif_ebpf::{
    key::{Address, IfIndex, InterfaceKey, NetNsCookie},
    policy::{
        Active, CgroupKey, Demand, DemandKey, ExecutableKey, InForce, InterfaceZones, NO_RULE,
        NumberKey, PortKey, PrefixKey, RuleSet, Slot, ZoneSet,
    },
    sighting::Sighting,
    verdict::KindSet,
};

use crate::reread;

const NO_PREALLOC: usize = BPF_F_NO_PREALLOC as usize;

/// What is in force ([`InForce`]). One aligned word, so that its change is the instant at which a policy takes effect.
#[btf_map]
static IN_FORCE: Array<u64, 1> = Array::new();
#[btf_map]
static POLICIES: Array<Active, 2> = Array::new();
#[btf_map]
static ZONES: HashMap<InterfaceKey, InterfaceZones, 131072, NO_PREALLOC> = HashMap::new();
#[btf_map]
static DEMANDS: HashMap<DemandKey, Demand, 1024, NO_PREALLOC> = HashMap::new();
#[btf_map]
static DESTINATIONS: LpmTrie<PrefixKey, RuleSet, 262144> = LpmTrie::new();
#[btf_map]
static SOURCES: LpmTrie<PrefixKey, RuleSet, 262144> = LpmTrie::new();
#[btf_map]
static PORTS: LpmTrie<PortKey, RuleSet, 65536> = LpmTrie::new();
#[btf_map]
static SOURCE_PORTS: LpmTrie<PortKey, RuleSet, 65536> = LpmTrie::new();
#[btf_map]
static PROTOCOLS: HashMap<NumberKey, RuleSet, 1024, NO_PREALLOC> = HashMap::new();
#[btf_map]
static USERS: HashMap<NumberKey, RuleSet, 16384, NO_PREALLOC> = HashMap::new();
#[btf_map]
static CGROUPS: HashMap<CgroupKey, RuleSet, 16384, NO_PREALLOC> = HashMap::new();
#[btf_map]
static EXECUTABLES: HashMap<ExecutableKey, RuleSet, 16384, NO_PREALLOC> = HashMap::new();

/// What is in force: a word that changes with the policy and with the host's links and addresses, and says which slot the
/// policy is in. Read once for each packet, so that it sees one policy. Nothing before a policy is in force, and once the audit has ended:
/// then nothing is counted.
#[inline(always)]
pub fn in_force() -> Option<InForce> {
    let word = IN_FORCE.get(0)?;
    // SAFETY: the entry is one aligned word. Volatile, so that it is read once.
    let in_force = InForce(unsafe { core::ptr::from_ref(word).read_volatile() });
    (in_force != InForce::NOTHING).then_some(in_force)
}

/// The policy in force.
#[inline(always)]
pub fn active(in_force: InForce) -> Option<&'static Active> {
    POLICIES.get(in_force.slot())
}

/// What is published of an interface.
#[inline(always)]
pub fn interface(netns: NetNsCookie, slot: Slot, interface: IfIndex) -> InterfaceZones {
    let key = InterfaceKey {
        netns,
        interface,
        slot,
    };
    // SAFETY: each value is one word; it is read at once.
    unsafe { ZONES.get(&key) }.copied().unwrap_or_default()
}

/// What is published of an interface, beside its zones ([`pinif_ebpf::policy::flags`]).
#[inline(always)]
pub fn about(netns: NetNsCookie, slot: Slot, interface: IfIndex) -> u64 {
    self::interface(netns, slot, interface).about
}

/// The zones of an interface.
#[inline(always)]
pub fn zones(netns: NetNsCookie, slot: Slot, interface: IfIndex) -> ZoneSet {
    self::interface(netns, slot, interface).zones
}

/// What a rule demands.
#[inline(always)]
pub fn demand(slot: Slot, rule: u16) -> Option<Demand> {
    let key = DemandKey {
        slot,
        rule: u32::from(rule),
    };
    // SAFETY: entries of the slot in force are not changed.
    unsafe { DEMANDS.get(&key) }.copied()
}

/// The id of the rule that a verdict is about; zero where it is about none.
#[inline(always)]
pub fn id_of_broken_rule(active: &Active, kind: u8, sighting: &Sighting) -> u32 {
    let rule = reread(&sighting.rule);
    if rule == NO_RULE || KindSet::OF_RULES.0 & 1 << kind == 0 {
        return 0;
    }
    demand(active.slot, rule).map_or(0, |demand| demand.id)
}

#[inline(always)]
fn prefix(slot: Slot, address: &Address) -> Key<PrefixKey> {
    Key::new(PrefixKey::length(128), PrefixKey::new(slot, *address))
}

/// The rules for a destination.
#[inline(always)]
pub fn by_destination(slot: Slot, address: &Address) -> Option<RuleSet> {
    DESTINATIONS.get(&prefix(slot, address)).copied()
}

/// The rules for a source.
#[inline(always)]
pub fn by_source(slot: Slot, address: &Address) -> Option<RuleSet> {
    SOURCES.get(&prefix(slot, address)).copied()
}

#[inline(always)]
fn port_key(slot: Slot, port: u16) -> Key<PortKey> {
    Key::new(PortKey::length(16), PortKey::new(slot, port))
}

/// The rules for a destination port.
#[inline(always)]
pub fn by_port(slot: Slot, port: u16) -> Option<RuleSet> {
    PORTS.get(&port_key(slot, port)).copied()
}

/// The rules for a source port.
#[inline(always)]
pub fn by_source_port(slot: Slot, port: u16) -> Option<RuleSet> {
    SOURCE_PORTS.get(&port_key(slot, port)).copied()
}

/// The rules for an IP protocol.
#[inline(always)]
pub fn by_protocol(slot: Slot, protocol: u8) -> Option<RuleSet> {
    let key = NumberKey {
        slot,
        number: u32::from(protocol),
    };
    // SAFETY: entries of the slot in force are not changed.
    unsafe { PROTOCOLS.get(&key) }.copied()
}

/// The rules for a user.
#[inline(always)]
pub fn by_user(slot: Slot, uid: u32) -> Option<RuleSet> {
    let key = NumberKey { slot, number: uid };
    // SAFETY: entries of the slot in force are not changed.
    unsafe { USERS.get(&key) }.copied()
}

/// The rules for a cgroup.
#[inline(always)]
pub fn by_cgroup(slot: Slot, cgroup: u64) -> Option<&'static RuleSet> {
    let key = CgroupKey {
        cgroup,
        slot,
        _pad: 0,
    };
    // SAFETY: entries of the slot in force are not changed.
    unsafe { CGROUPS.get(&key) }
}

/// The rules for an executable.
#[inline(always)]
pub fn by_executable(slot: Slot, inode: u64, device: u32) -> Option<RuleSet> {
    let key = ExecutableKey {
        inode,
        device,
        slot,
    };
    // SAFETY: entries of the slot in force are not changed.
    unsafe { EXECUTABLES.get(&key) }.copied()
}

/// The methods of [`pinif_ebpf::policy::Tables`] that look at the packet or the rule alone: the same whoever sends.
macro_rules! answers_whoever_sends {
    () => {
        #[inline(always)]
        fn by_destination(&self, slot: Slot, address: &Address) -> Option<RuleSet> {
            $crate::state::policy::by_destination(slot, address)
        }

        #[inline(always)]
        fn by_source(&self, slot: Slot, address: &Address) -> Option<RuleSet> {
            $crate::state::policy::by_source(slot, address)
        }

        #[inline(always)]
        fn by_port(&self, slot: Slot, port: u16) -> Option<RuleSet> {
            $crate::state::policy::by_port(slot, port)
        }

        #[inline(always)]
        fn by_source_port(&self, slot: Slot, port: u16) -> Option<RuleSet> {
            $crate::state::policy::by_source_port(slot, port)
        }

        #[inline(always)]
        fn by_protocol(&self, slot: Slot, protocol: u8) -> Option<RuleSet> {
            $crate::state::policy::by_protocol(slot, protocol)
        }

        #[inline(always)]
        fn demand(&self, slot: Slot, rule: u16) -> Option<pinif_ebpf::policy::Demand> {
            $crate::state::policy::demand(slot, rule)
        }
    };
}
pub(crate) use answers_whoever_sends;
