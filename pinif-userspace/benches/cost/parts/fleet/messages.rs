//! A card's message in the name of another card: what distinguishes them is written over in it, as long as it was.

use anyhow::{Context as _, Result, ensure};
use memchr::memmem::find_iter;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use prost::Message as _;

use super::card::all_records;

/// What a card's slot and machine are called here, and the end of a finding's boot: numbers of one width.
const SLOT: &str = "slot-000000";
const BOOT: &str = "boot-000000";

/// A message that is written over.
pub struct Messages {
    bytes: Vec<u8>,
    /// Where the slot and the machine's name are.
    slots: Vec<usize>,
    /// Where the boots of findings are.
    boots: Vec<usize>,
}

impl Messages {
    /// Of a card's message.
    pub fn of(message: &ExportLogsServiceRequest) -> Result<Self> {
        let mut message = message.clone();
        let records = all_records(&message).count();
        for logs in &mut message.resource_logs {
            let resource = logs.resource.as_mut().context("a resource")?;
            let attributes = &mut resource.attributes;
            attributes.retain(|attribute| attribute.key != "host.id");
            attributes.push(text("host.id"));
            attributes.push(text("slot"));
            let records = logs
                .scope_logs
                .iter_mut()
                .flat_map(|of| &mut of.log_records);
            for record in records {
                for attribute in &mut record.attributes {
                    if matches!(&*attribute.key, "log.record.uid" | "pinif.finding.uid") {
                        name_boot(attribute)?;
                    }
                }
            }
        }
        let bytes = message.encode_to_vec();
        let places = |name: &str| find_iter(&bytes, name).collect::<Vec<_>>();
        let (slots, boots) = (places(SLOT), places(BOOT));
        ensure!(
            (slots.len(), boots.len()) == (2, 2 * records),
            "a message of {records} records has {} places for a slot and {} for a boot",
            slots.len(),
            boots.len()
        );
        Ok(Self {
            bytes,
            slots,
            boots,
        })
    }

    /// That of a card, with the findings of such a boot of it: no two messages have the same findings where no two have the same boot.
    pub fn named(&mut self, slot: u64, boot: u64) -> &[u8] {
        for (places, name, number) in [(&self.slots, "slot", slot), (&self.boots, "boot", boot)] {
            let name = format!("{name}-{:06}", number % 1_000_000);
            for &place in places {
                self.bytes[place..place + name.len()].copy_from_slice(name.as_bytes());
            }
        }
        &self.bytes
    }
}

fn text(key: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(SLOT.to_owned())),
        }),
        ..KeyValue::default()
    }
}

/// The boot, which is a UUID before the first `/`, ends in a number: it is as long as it was.
fn name_boot(attribute: &mut KeyValue) -> Result<()> {
    let value = attribute
        .value
        .as_mut()
        .and_then(|value| value.value.as_mut());
    let Some(Value::StringValue(uid)) = value else {
        anyhow::bail!("a uid is no text");
    };
    let end = uid.find('/').context("a uid has no boot")?;
    ensure!(
        end >= BOOT.len(),
        "a boot is shorter than what names one here: {uid}"
    );
    uid.replace_range(end - BOOT.len()..end, BOOT);
    Ok(())
}
