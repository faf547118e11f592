//! A pin's programs and maps: loaded, attached to a cgroup, found there again.
//!
//! The programs are attached to the cgroup itself (`BPF_PROG_ATTACH`), not by links: a pin lives as long as its cgroup,
//! whatever becomes of the pinif that made it, and needs neither a daemon nor a BPF file system.

use std::{
    collections::BTreeMap,
    fs::File,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, Map, MapData},
    programs::{
        CgroupSkb, CgroupSock, CgroupSockAddr, CgroupSockopt, ProgramError, ProgramFd,
        RawTracePoint, raw_trace_point::RawTracePointLink,
    },
};
use pinif_ebpf::{
    intent::Name,
    key::IfIndex,
    pin::{Attempt, EgressStats, Offsets, Pin, PinCounters},
};

mod attach;

use self::attach::Hook;
use super::{
    load::Loader,
    object::{refusal, take_map},
};

/// The program that counts what reaches a device.
const ARRIVALS: &str = "pinif_pin_arr";

/// The interfaces by which a pin's packets may leave, and their names.
pub type InterfaceSet = BTreeMap<IfIndex, Name>;

/// Where a pin points, while the interfaces are as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aim {
    /// The interface that has the name; none while there is none.
    pub interface: IfIndex,
    /// Its first IPv4 address.
    pub address: Option<Ipv4Addr>,
    /// Those by which packets may leave.
    pub interfaces: InterfaceSet,
}

/// The maps of a pin.
pub struct PinMaps {
    pin: Array<MapData, Pin>,
    interfaces: HashMap<MapData, IfIndex, Name>,
    egress_stats: HashMap<MapData, IfIndex, EgressStats>,
    counters: Array<MapData, PinCounters>,
    attempts: HashMap<MapData, Attempt, u64>,
}

impl PinMaps {
    /// Takes the maps, wherever they come from.
    fn open(mut take: impl FnMut(&str) -> Result<Map>) -> Result<Self> {
        Ok(Self {
            pin: take("PIN")?.try_into()?,
            interfaces: take("INTERFACE_SET")?.try_into()?,
            egress_stats: take("EGRESS_STATS")?.try_into()?,
            counters: take("COUNTERS")?.try_into()?,
            attempts: take("ATTEMPTS")?.try_into()?,
        })
    }

    /// What it is pinned to.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn pin(&self) -> Result<Pin> {
        self.pin.get(&0, 0).context("the pin cannot be read")
    }

    /// Lets packets leave by these interfaces and sockets be bound to this one. The new ones are there before a socket is
    /// bound to one of them, and the old ones go last.
    ///
    /// # Errors
    ///
    /// When a map is full, or the kernel refuses.
    pub fn point(&mut self, aim: &Aim) -> Result<()> {
        for (index, name) in &aim.interfaces {
            self.interfaces
                .insert(index, name, 0)
                .context("the pin has no room for one more interface")?;
        }
        let pin = Pin {
            interface: aim.interface,
            address: aim
                .address
                .map_or(0, |address| u32::from_ne_bytes(address.octets())),
            ..self.pin()?
        };
        self.write(pin)?;
        for old in keys(&self.interfaces)? {
            if !aim.interfaces.contains_key(&old) {
                self.interfaces
                    .remove(&old)
                    .context("the pin cannot be changed")?;
            }
        }
        Ok(())
    }

    fn write(&mut self, pin: Pin) -> Result<()> {
        self.pin.set(0, pin, 0).context("the pin cannot be written")
    }

    /// What became of sockets.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn counters(&self) -> Result<PinCounters> {
        self.counters
            .get(&0, 0)
            .context("the counters of the pin cannot be read")
    }

    /// What left, and what was dropped, by interface.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn egress_stats(&self) -> Result<Vec<(IfIndex, EgressStats)>> {
        let mut all = entries(&self.egress_stats)?;
        all.sort_by_key(|(index, _)| *index);
        Ok(all)
    }

    /// Who tried to bind a socket to what, and how often.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn attempts(&self) -> Result<Vec<(Attempt, u64)>> {
        let mut all = entries(&self.attempts)?;
        all.sort_by_key(|(attempt, _)| (attempt.pid, attempt.index, attempt.device.0));
        Ok(all)
    }
}

fn keys<K: Pod, V: Pod>(map: &HashMap<MapData, K, V>) -> Result<Vec<K>> {
    let keys: Result<Vec<K>, _> = map.keys().collect();
    keys.context("the pin cannot be read")
}

fn entries<K: Pod, V: Pod>(map: &HashMap<MapData, K, V>) -> Result<Vec<(K, V)>> {
    let entries: Result<Vec<_>, _> = map.iter().collect();
    entries.context("the pin cannot be read")
}

/// What reached the devices, for as long as this exists.
pub struct Arrivals {
    arrived: HashMap<MapData, IfIndex, u64>,
    /// While it is held, the program is attached.
    _link: RawTracePointLink,
}

impl Arrivals {
    /// The packets that reached each interface.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn packets(&self) -> Result<BTreeMap<IfIndex, u64>> {
        Ok(entries(&self.arrived)?.into_iter().collect())
    }
}

/// The programs of a pin that is not attached yet.
pub struct NewPin {
    ebpf: Ebpf,
    maps: PinMaps,
}

impl NewPin {
    /// Loads the programs, for a pin that is as `pin` says and points there.
    ///
    /// # Errors
    ///
    /// When this binary has no programs inside, or the kernel refuses them.
    pub fn load(pin: Pin, aim: &Aim, offsets: &Offsets) -> Result<Self> {
        let mut ebpf = Loader::begin().pins(offsets)?;
        let mut maps = PinMaps::open(|name| take_map(&mut ebpf, name))?;
        maps.write(pin)?;
        maps.point(aim)?;
        Ok(Self { ebpf, maps })
    }

    /// Counts from now on what of the pin's packets reaches a device (`net_dev_queue`).
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn count_arrivals(&mut self) -> Result<Arrivals> {
        let arrived = take_map(&mut self.ebpf, "ARRIVED")?.try_into()?;
        let program = self.ebpf.program_mut(ARRIVALS);
        let program: &mut RawTracePoint = program.ok_or(ProgramError::NotLoaded)?.try_into()?;
        program.load()?;
        let link = program.attach("net_dev_queue")?;
        Ok(Arrivals {
            arrived,
            _link: program.take_link(link)?,
        })
    }

    /// Attaches the programs to a cgroup, for as long as it exists. What leaves is held before a socket is bound, so that
    /// nothing is let pass in between.
    ///
    /// # Errors
    ///
    /// When the cgroup cannot be opened, or the kernel refuses a program; then none is attached.
    pub fn attach(mut self, cgroup: &Path) -> Result<PinMaps> {
        let directory = open(cgroup)?;
        let attached = Hook::ALL.iter().try_for_each(|hook| {
            let name = hook.program();
            let program = load_program(&mut self.ebpf, *hook)
                .map_err(refusal)
                .with_context(|| format!("the kernel refused the program {name}"))?;
            attach::attach(&directory, *hook, program)
                .map_err(|error| attach::explain(error, cgroup))
        });
        if let Err(error) = attached {
            // What was attached must not stay; what was not cannot be detached.
            let _ = detach(cgroup);
            return Err(error);
        }
        Ok(self.maps)
    }
}

fn load_program(ebpf: &mut Ebpf, hook: Hook) -> Result<&ProgramFd, ProgramError> {
    let program = ebpf
        .program_mut(hook.program())
        .ok_or(ProgramError::NotLoaded)?;
    macro_rules! load {
        ($kind:ty) => {{
            let program: &mut $kind = program.try_into()?;
            program.load()?;
            program.fd()
        }};
    }
    match hook {
        Hook::Egress => load!(CgroupSkb),
        Hook::SetSockOpt => load!(CgroupSockopt),
        Hook::SockCreate => load!(CgroupSock),
        Hook::Bind4 | Hook::Bind6 | Hook::Connect4 | Hook::Connect6 => load!(CgroupSockAddr),
    }
}

fn open(cgroup: &Path) -> Result<File> {
    File::open(cgroup).with_context(|| format!("the cgroup {} cannot be opened", cgroup.display()))
}

/// The pin of a cgroup itself; none, if it has none.
///
/// # Errors
///
/// When the kernel refuses, or the pin was made by another version of pinif.
pub fn on(cgroup: &Path) -> Result<Option<PinMaps>> {
    let directory = open(cgroup)?;
    let found = attach::attached(&directory, Hook::Egress)
        .with_context(|| format!("the programs of {} cannot be listed", cgroup.display()))?;
    let Some(program) = found.first() else {
        return Ok(None);
    };
    let ids = program.map_ids()?.unwrap_or_default();
    // The programs have some of the maps each.
    let mut all = ids;
    for hook in [Hook::SetSockOpt, Hook::SockCreate] {
        for program in attach::attached(&directory, hook)? {
            all.extend(program.map_ids()?.unwrap_or_default());
        }
    }
    maps_of(&all)
        .with_context(|| {
            format!(
                "the pin of {} was made by another version of pinif; undo it: `pinif pin --undo --cgroup {0}`",
                cgroup.display()
            )
        })
        .map(Some)
}

fn maps_of(ids: &[u32]) -> Result<PinMaps> {
    PinMaps::open(|wanted| {
        for &id in ids {
            let data = MapData::from_id(id)?;
            let info = data.info()?;
            if info.name_as_str() == Some(wanted) {
                return Ok(match info.map_type()? {
                    aya::maps::MapType::Array => Map::Array(data),
                    _ => Map::HashMap(data),
                });
            }
        }
        bail!("it has no map {wanted}")
    })
}

/// Detaches a pin from its cgroup. Whether there was one.
///
/// # Errors
///
/// When the cgroup cannot be opened, or the kernel refuses.
pub fn detach(cgroup: &Path) -> Result<bool> {
    let directory = open(cgroup)?;
    let mut any = false;
    for hook in Hook::ALL.iter().rev() {
        for program in attach::attached(&directory, *hook)? {
            attach::detach(&directory, *hook, &program.fd()?)
                .with_context(|| format!("the pin of {} cannot be undone", cgroup.display()))?;
            any = true;
        }
    }
    Ok(any)
}

/// The nearest pin that a cgroup is under, of itself or of one above it, with the cgroup that has it.
///
/// # Errors
///
/// As of [`on`].
pub fn nearest(cgroup: &Path, root: &Path) -> Result<Option<(PathBuf, PinMaps)>> {
    for cgroup in cgroup.ancestors().take_while(|path| path.starts_with(root)) {
        if let Some(maps) = on(cgroup)? {
            return Ok(Some((cgroup.to_owned(), maps)));
        }
    }
    Ok(None)
}
