//! What a look found, or why that is not known.

use std::io;

/// What was found: each thing, or why it is not known whether there is one. That there is none is no error.
pub type Found<T> = Vec<io::Result<T>>;

/// Reads a directory or a file that need not be there.
pub(super) fn if_there<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}
