//! Routes, and the rules that choose between tables.

use std::net::IpAddr;

use anyhow::{Context, Result};
use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{RouteHeader, RouteMessage, RouteScope};
use netlink_packet_route::rule::RuleAction;
use rtnetlink::{Handle, RouteMessageBuilder};

use crate::Namespace;
use crate::netlink::index;

/// A route: `ip route add DESTINATION [via GATEWAY] dev LINK [table TABLE]`.
#[derive(Clone, Debug)]
pub struct Route {
    destination: IpNet,
    link: String,
    gateway: Option<IpAddr>,
    table: u32,
}

impl Route {
    /// A route to a network that is on the link itself, in the main table.
    pub fn new(destination: IpNet, link: &str) -> Self {
        Self {
            destination,
            link: link.to_owned(),
            gateway: None,
            table: RouteHeader::RT_TABLE_MAIN.into(),
        }
    }

    /// The router to send to.
    pub fn via(self, gateway: IpAddr) -> Self {
        Self {
            gateway: Some(gateway),
            ..self
        }
    }

    /// The table that holds the route.
    pub fn table(self, table: u32) -> Self {
        Self { table, ..self }
    }

    async fn message(&self, handle: &Handle) -> Result<RouteMessage> {
        let mut builder = RouteMessageBuilder::<IpAddr>::new()
            .destination_prefix(self.destination.addr(), self.destination.prefix_len())?
            .output_interface(index(handle, &self.link).await?)
            .table_id(self.table);
        builder = match self.gateway {
            Some(gateway) => builder.gateway(gateway)?,
            None => builder.scope(RouteScope::Link),
        };
        Ok(builder.build())
    }
}

/// A rule: `ip rule add fwmark MARK table TABLE`, in both families.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The mark of the packets that are meant (`SO_MARK`).
    pub mark: u32,
    /// The table that they are routed by.
    pub table: u32,
}

impl Namespace {
    /// Adds a route, in force when this returns.
    pub fn add_route(&self, route: Route) -> Result<()> {
        self.netlink(async |handle| {
            let added = handle
                .route()
                .add(route.message(handle).await?)
                .execute()
                .await;
            added.with_context(|| {
                format!(
                    "cannot add the route to {} by {}",
                    route.destination, route.link
                )
            })
        })
    }

    /// Removes a route.
    pub fn delete_route(&self, route: Route) -> Result<()> {
        self.netlink(async |handle| {
            let deleted = handle
                .route()
                .del(route.message(handle).await?)
                .execute()
                .await;
            deleted.with_context(|| {
                format!(
                    "cannot remove the route to {} by {}",
                    route.destination, route.link
                )
            })
        })
    }

    /// Adds a rule for IPv4 and one for IPv6.
    pub fn add_rule(&self, rule: Rule) -> Result<()> {
        self.netlink(async |handle| {
            for family in [AddressFamily::Inet, AddressFamily::Inet6] {
                let mut request = handle
                    .rule()
                    .add()
                    .fw_mark(rule.mark)
                    .table_id(rule.table)
                    .action(RuleAction::ToTable);
                request.message_mut().header.family = family;
                request
                    .execute()
                    .await
                    .with_context(|| format!("cannot add the rule for mark {}", rule.mark))?;
            }
            Ok(())
        })
    }
}
