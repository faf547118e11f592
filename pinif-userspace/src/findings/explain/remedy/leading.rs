//! Which remedies lead packets where they belong.

use super::model::Remedy;

impl Remedy {
    /// It leads the packets by the interface where they belong, so that they need whoever forwards them there.
    pub(in crate::findings) fn leads_home(&self) -> bool {
        match self {
            Self::Route(_)
            | Self::RouteAndTranslate(..)
            | Self::RouteAndMoveTunnel(..)
            | Self::OutOfRule(_)
            | Self::RunBy { .. }
            | Self::PinService(_)
            | Self::Bind(_)
            | Self::BindAndNameNoOther(..)
            | Self::BindBoth { .. }
            | Self::BindToStay(_)
            | Self::BindOnce(_)
            | Self::BindInstead { .. }
            | Self::AnswerThere(..)
            | Self::ClearPktinfo(..)
            | Self::SetScope { .. }
            | Self::SetLinkIndex(_) => true,
            Self::Together(parts) => parts.iter().any(Self::leads_home),
            _ => false,
        }
    }
}
