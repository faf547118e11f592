//! The policies of the scenarios.

/// Control traffic stays on the backplane.
pub const CONTROL_PLANE: &str = r#"
[zone.backplane]
interfaces = ["fab*"]
contained = true

[zone.front]
interfaces = ["eth*"]

[[rule]]
name = "control-plane"
destination = ["10.0.0.0/8", "fd00::/8"]
only_via = ["backplane"]
"#;

/// The same, by sockets that are bound to a device.
pub const CONTROL_PLANE_PINNED: &str = r#"
[zone.backplane]
interfaces = ["fab*"]
contained = true

[zone.front]
interfaces = ["eth*"]

[[rule]]
name = "control-plane"
destination = ["10.0.0.0/8", "fd00::/8"]
only_via = ["backplane"]
pinned = true
"#;
