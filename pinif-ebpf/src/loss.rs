//! Every place that can lose something, by name. A loss that is not counted here does not exist.

/// A place where something may be lost. The number is its index in the kernel's `LOSSES` map.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// An IP packet whose headers could not be read: it is in its cell, judged by its device alone.
    Unparsed = 0,
    /// The matrix holds no more cells; the packet is counted in none.
    CellsFull = 1,
    /// The table of findings is full; the packet is in its cell, but in no finding.
    FindingsFull = 2,
    /// The ring buffer was full: a finding is shown later, from its counter.
    SightingsFull = 3,
    /// The table of local endpoints is full: copies of this socket's packets cannot be recognized.
    EndpointsFull = 4,
    /// A socket's record could not be stored: its process may stay unknown.
    RecordsFull = 5,
    /// Too many runs of a program at the cgroup were interrupted: a packet was refused that was not judged.
    RoomsFull = 6,
    /// The table of what an auditor learns is full: nothing is learned of packets of a new kind.
    LearnedFull = 7,
    /// The ring buffer of captured packets was full: a packet of a finding is not in the file.
    CapturesFull = 8,
    /// The kernel refused an entry in the table of local endpoints though that is not full (no memory at this instant, or a lock that it could
    /// not get): copies of this socket's packets cannot be recognized.
    EndpointsRefused = 9,
}

impl Loss {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Unparsed,
        Self::CellsFull,
        Self::FindingsFull,
        Self::SightingsFull,
        Self::EndpointsFull,
        Self::RecordsFull,
        Self::RoomsFull,
        Self::LearnedFull,
        Self::CapturesFull,
        Self::EndpointsRefused,
    ];

    /// The name that the summary, the metrics and the documentation use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unparsed => "unparsed",
            Self::CellsFull => "cells-full",
            Self::FindingsFull => "findings-full",
            Self::SightingsFull => "sightings-full",
            Self::EndpointsFull => "endpoints-full",
            Self::RecordsFull => "records-full",
            Self::RoomsFull => "rooms-full",
            Self::LearnedFull => "learned-full",
            Self::CapturesFull => "captures-full",
            Self::EndpointsRefused => "endpoints-refused",
        }
    }

    /// Whether counts may be incomplete after it (exit status 3). A late finding, an unknown process and
    /// what is not learned or captured lose no count.
    pub const fn loses_counts(self) -> bool {
        match self {
            Self::Unparsed
            | Self::CellsFull
            | Self::FindingsFull
            | Self::EndpointsFull
            | Self::EndpointsRefused
            | Self::RoomsFull => true,
            Self::SightingsFull | Self::RecordsFull | Self::LearnedFull | Self::CapturesFull => {
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_indexes() {
        for (index, loss) in Loss::ALL.into_iter().enumerate() {
            assert_eq!(loss as usize, index, "{}", loss.name());
        }
    }
}
