//! The words of a link that is brought back, and of what keeps traffic from leaving elsewhere when it goes again.

use std::fmt;

use super::{
    bound::{STAYS, bind},
    model::{Lost, Then},
};

/// An order to the reader: what the link lacks, and what is to be done then.
pub(super) fn restored(
    f: &mut fmt::Formatter<'_>,
    link: &str,
    lost: &Lost,
    then: &Then,
) -> fmt::Result {
    match lost {
        Lost::Down { is_bare, .. } => {
            write!(f, "bring {link} up")?;
            if *is_bare {
                f.write_str(
                    ", give it its address of IPv6 again, which the kernel removed when it went down",
                )?;
            }
        }
        Lost::Carrier => write!(
            f,
            "give {link} a carrier (its cable, the other end, or the interface below it)"
        )?,
        Lost::Gone => write!(f, "bring {link} back")?,
    }
    match then {
        Then::Nothing => Ok(()),
        Then::DropAt(egress) => {
            write!(f, ", and drop on {egress} what must not leave via it")
        }
        Then::Route(route) => write!(f, ", and {route}"),
        Then::Bind(home) => {
            f.write_str(", and ")?;
            bind(f, home)?;
            f.write_str(STAYS)
        }
    }
}
