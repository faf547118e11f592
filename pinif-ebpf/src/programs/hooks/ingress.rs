//! A packet arrives at an interface: TC ingress. What a policy keeps inside must not come from outside.

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC},
    helpers::generated::bpf_ktime_get_ns,
    macros::classifier,
    programs::TcContext,
};
use pinif_ebpf::{
    key::IfIndex,
    packet::{NotParsed, Packet, base::Base},
    policy::Active,
    sighting::{Origin, Sighting},
    subject::SubjectKey,
    verdict::arrival::{
        Arrival, IngressPolicy, Suspicion, decide_arrival, is_icmp_error, reply_to,
        rules_for_reply, suspect,
    },
};

use crate::{
    arrival_world::ArrivalWorld,
    capture::pinif_capture_arrival,
    identity::describe_flow,
    keep_out::{pinif_drop_arrival, pinif_unreadable},
    kernel::{self, packet::Skb},
    map_world::MAX_CGROUP_DEPTH,
    receiver,
    recheck_arrival::pinif_recheck_arrival,
    reread,
    state::{
        arriving::{self, Arriving},
        awaited, captures, findings, ingress_policy,
        owners::local,
        policy,
    },
    verified_once::verified_once,
};

/// Runs for every packet that comes in by an interface at which something can be amiss (TCX ingress, or clsact before 6.6).
/// Watching never changes a packet: the verdict is that there is none, unless the policy is enforced, and the packet must not come in.
#[classifier]
pub fn pinif_ingress(context: TcContext) -> i32 {
    if watch(&context) {
        TC_ACT_SHOT
    } else {
        TC_ACT_UNSPEC
    }
}

/// Most packets end at their destination address, which is not local, or at the addresses' having nothing to do with what
/// the policy keeps inside. Whether the packet is to be dropped.
#[inline(always)]
fn watch(context: &TcContext) -> bool {
    let skb = Skb::new(context);
    let Some(in_force) = policy::in_force() else {
        return false;
    };
    let Some(active) = policy::active(in_force) else {
        return false;
    };
    let Some(ingress) = ingress_policy_of(skb, active) else {
        return false;
    };
    if ingress.is_open(active.contained) || !skb.is_taken_in() {
        return false;
    }
    let Some(arriving) = arriving::begin(in_force) else {
        return false;
    };
    if addresses(skb, &mut arriving.base) == 0 {
        return pinif_unreadable(skb.context()) != 0;
    }
    let here = ArrivalWorld { arriving: None };
    let suspicion = suspect(
        &arriving.base.source,
        &arriving.base.destination,
        ingress,
        active,
        &here,
    );
    if !suspicion.is_some() {
        return false;
    }
    arriving.new.state.sighting.source_owner = suspicion.owner;
    arriving.by_rule = u32::from(suspicion.by_rule);
    examine(skb)
}

/// What follows for the few that are under suspicion. Whether the packet is to be dropped.
#[inline(always)]
fn examine(skb: Skb) -> bool {
    let context = skb.context();
    if pinif_rules(context) == 0 {
        return false;
    }
    pinif_receiver(context);
    for _ in 0..MAX_CGROUP_DEPTH {
        if pinif_receivers_cgroup(context) == 0 {
            break;
        }
    }
    let is_found = pinif_judge_arrival(context) != 0 && pinif_recheck_arrival(context) != 0;
    let is_dropped = pinif_drop_arrival(context) != 0;
    if is_found {
        pinif_identify_arrival(context);
        findings::record!(
            context,
            pinif_grow_arrival,
            pinif_enter_arrival,
            pinif_count_arrivals_sample
        );
        if captures::is_on() {
            pinif_capture_arrival(context);
        }
        pinif_await(context);
    }
    is_dropped
}

/// What the policy admits at the interface of a packet.
#[inline(always)]
fn ingress_policy_of(skb: Skb, active: &Active) -> Option<&'static IngressPolicy> {
    ingress_policy::of(kernel::netns(), active.slot, skb.interface())
}

/// Reads the fixed part of the header into `place`; zero if there is none. A function of its own, since the stack is 512
/// bytes for the deepest chain of calls.
#[inline(never)]
fn addresses(skb: Skb, place: &mut Base) -> u32 {
    u32::from(skb.read_base(place))
}

verified_once! {
    /// Reads the headers, and writes the rules for the reply. Zero where nothing can be amiss.
    fn pinif_rules(skb) {
        let Some((arriving, active)) = arriving::in_work() else {
            return 0;
        };
        let Some(ingress) = ingress_policy_of(skb, active) else {
            return 0;
        };
        arriving.key.netns = kernel::netns();
        arriving.key.egress = skb.interface();
        headers(skb, arriving);
        let is_broken = rules(skb, ingress, active, arriving) != 0;
        let is_suspect =
            is_broken || reread(&arriving.new.state.sighting.source_owner).is_some();
        u32::from(is_suspect) | reread(&arriving.is_malformed)
    }

    /// Writes which socket receives the packet.
    fn pinif_receiver(skb) {
        let Some((arriving, active)) = arriving::in_work() else {
            return 0;
        };
        let Arriving { packet, cgroup, cgroup_rules, is_awaited, key, new, .. } = arriving;
        *cgroup_rules = active.any_cgroup;
        let sighting = &mut new.state.sighting;
        key.bound = receiver::write(sighting, skb, packet, cgroup, is_awaited, active);
        0
    }

    /// Looks for the rules of that socket's cgroup, one level at a time. Zero at the end.
    fn pinif_receivers_cgroup(_skb) {
        let Some((arriving, active)) = arriving::in_work() else {
            return 0;
        };
        let Arriving { cgroup, cgroup_rules, .. } = arriving;
        u32::from(receiver::look_at_cgroup(cgroup, cgroup_rules, active))
    }

    /// Decides. Zero: nothing is amiss.
    fn pinif_judge_arrival(skb) {
        let Some((arriving, active)) = arriving::in_work() else {
            return 0;
        };
        let Some(ingress) = ingress_policy_of(skb, active) else {
            return 0;
        };
        judge(ingress, active, arriving)
    }

    /// Writes which finding the packet is of.
    fn pinif_identify_arrival(_skb) {
        let Some((arriving, active)) = arriving::in_work() else {
            return 0;
        };
        write_identity(arriving, active);
        let Arriving { new, sampling, packet, .. } = arriving;
        findings::begin(new, sampling, Some(packet));
        0
    }

    /// Adds the packet to it ([`findings::grow`]).
    fn pinif_grow_arrival(_skb) {
        let Some(arriving) = arriving::get() else {
            return 0;
        };
        let Arriving { key, new, sampling, .. } = arriving;
        findings::grow(key, new, sampling)
    }

    /// Enters it, as its first packet ([`findings::enter`]).
    fn pinif_enter_arrival(skb) {
        let Some((arriving, active)) = arriving::in_work() else {
            return 0;
        };
        let Arriving { packet, key, new, .. } = arriving;
        new.state.sighting.generation = active.generation;
        describe(&mut new.state.sighting, skb, packet);
        findings::enter(key, new)
    }

    /// Has the hook at the sockets look whether the packet is given to its socket; where it does not see that, it is. What is dropped
    /// here waits for nothing.
    fn pinif_await(skb) {
        let Some((arriving, active)) = arriving::in_work() else {
            return 0;
        };
        let Arriving { key, new, is_awaited, packet, .. } = arriving;
        if reread(&key.dropped) != 0 || reread(is_awaited) == 0 || reread(&new.state.sighting.origin) != Origin::Process as u8 {
            findings::deliver(key);
            return 0;
        }
        let (protocol, port) = (reread(&packet.protocol), reread(&packet.destination_port));
        awaited::note(reread(&key.egress), protocol, port, key);
        // What is in a VRF comes to sockets by that.
        if let Some(ingress) = ingress_policy_of(skb, active)
            && ingress.l3mdev.is_some()
        {
            awaited::note(ingress.l3mdev, protocol, port, key);
        }
        0
    }

    /// Counts one of the samples that are left. Zero behind the last.
    fn pinif_count_arrivals_sample(_skb) {
        let Some(arriving) = arriving::get() else {
            return 0;
        };
        let Arriving { key, new, sampling, .. } = arriving;
        findings::count_sample(key, new, sampling)
    }
}

/// Reads all headers. Of a packet that has more of them than are followed, or ends within one, only the addresses are
/// known: it is taken for a fragment, which has no ports.
#[inline(always)]
fn headers(skb: Skb, arriving: &mut Arriving) {
    let base = &arriving.base;
    let parsed = skb.parse(false, &mut arriving.packet);
    // To what belongs to a zone, its ports are all one.
    let is_malformed = u32::from(parsed == Err(NotParsed::Malformed)) & reread(&arriving.by_rule);
    arriving.is_malformed = is_malformed;
    if parsed.is_err() {
        arriving.packet = Packet {
            source: base.source,
            destination: base.destination,
            source_port: 0,
            destination_port: 0,
            protocol: base.next,
            later_fragment: true,
            icmp_type: 0,
            tos: 0,
        };
    }
    arriving.reply = reply_to(&arriving.packet);
}

/// What the addresses of the packet in work say of it.
#[inline(always)]
fn suspicion(arriving: &Arriving) -> Suspicion {
    Suspicion {
        owner: reread(&arriving.new.state.sighting.source_owner),
        by_rule: reread(&arriving.by_rule) != 0,
    }
}

/// Writes the rules for the reply, and returns whether there is one to be asked about. To a rule, nothing answers an ICMP error.
#[inline(never)]
fn rules(skb: Skb, ingress: &IngressPolicy, active: &Active, arriving: &mut Arriving) -> u32 {
    let base = &arriving.base;
    let is_error = !base.later_fragment
        && skb
            .behind(base)
            .is_some_and(|kind| is_icmp_error(base.next, kind));
    if is_error {
        arriving.by_rule = 0;
    }
    let here = ArrivalWorld { arriving: None };
    let suspicion = suspicion(arriving);
    arriving.rules = rules_for_reply(&arriving.reply, suspicion, ingress, active, &here);
    u32::from(!arriving.rules.is_empty())
}

/// Decides, and writes the verdict into the finding's key and what led to it into the sighting. Returns the kind's number.
#[inline(never)]
fn judge(ingress: &IngressPolicy, active: &Active, arriving: &mut Arriving) -> u32 {
    let arrival = Arrival {
        suspicion: suspicion(arriving),
        rules: arriving.rules,
        is_taken: reread(&arriving.new.state.sighting.origin) != Origin::None as u8,
    };
    let here = ArrivalWorld {
        arriving: Some(arriving),
    };
    let decision = decide_arrival(&arrival, ingress, active, &here);
    let Arriving { key, new, .. } = arriving;
    key.kind = decision.kind;
    key.severity = decision.severity;
    new.state.sighting.rule = decision.rule;
    new.state.sighting.also = decision.also.0;
    new.state.sighting.source_owner = decision.source_owner;
    u32::from(decision.kind)
}

/// Writes what makes the finding one thing to fix: the program that receives it, else the local address. Remote hosts choose
/// how many addresses and ports they send from and to, and must not fill the table by it.
#[inline(always)]
fn write_identity(arriving: &mut Arriving, active: &Active) {
    let Arriving {
        packet, key, new, ..
    } = arriving;
    let sighting = &new.state.sighting;
    key.rule = policy::id_of_broken_rule(active, reread(&key.kind), sighting);
    key.subject = if reread(&sighting.origin) == Origin::Process as u8 {
        SubjectKey::program(&sighting.owner)
    } else {
        SubjectKey::receiver(local(key.netns, &packet.destination), packet.protocol)
    };
}

#[inline(always)]
fn describe(sighting: &mut Sighting, skb: Skb, packet: &Packet) {
    // SAFETY: the helper has no arguments.
    sighting.time = unsafe { bpf_ktime_get_ns() };
    sighting.mark = skb.mark();
    sighting.arrived = IfIndex::NONE;
    describe_flow(sighting, packet);
}
