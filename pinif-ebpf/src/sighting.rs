//! sighting
