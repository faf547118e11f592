//! In which format metrics are asked for.

use prometheus_client::encoding::prometheus_text;

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// What Prometheus read before that (0.0.4), and what the textfile collector of `node_exporter` reads.
    Text,
}

impl Form {
    /// The one that a request asks for (`Accept`, RFC 9110 section 12.5.1): OpenMetrics where it is named, and not less wanted than the
    /// other.
    pub fn accepted(accept: &str) -> Self {
        let mut open_metrics = 0.0;
        let mut text = 0.0;
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|parameter| parameter.strip_prefix("q="));
            let weight = weight.map_or(Some(1.0), |weight| weight.parse::<f32>().ok());
            let weight = weight.unwrap_or(0.0);
            match &*name {
                "application/openmetrics-text" => open_metrics = weight.max(open_metrics),
                "text/plain" => text = weight.max(text),
                _ => {}
            }
        }
        if open_metrics > 0.0 && open_metrics >= text {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// What the answer says that it is.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => prometheus_text::CONTENT_TYPE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_answered() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for asked in [prometheus_2, prometheus_3, "Application/OpenMetrics-Text"] {
            assert_eq!(Form::accepted(asked), Form::OpenMetrics, "{asked}");
        }
        for asked in [
            "",
            "*/*",
            "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.2, text/plain;q=0.5",
            "application/openmetrics-text;q=a",
            ";;,,q=",
        ] {
            assert_eq!(Form::accepted(asked), Form::Text, "{asked}");
        }
    }
}
