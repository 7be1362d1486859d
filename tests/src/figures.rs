//! The operator's metrics, read as strictly as a scraper that trusts nobody.

use std::collections::{BTreeMap, BTreeSet};

use crate::GavelServer;

/// What a scraper of OpenMetrics asks for.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

/// Labels by name.
type Labels = BTreeMap<String, String>;

/// All figures of one scrape.
#[derive(Debug)]
pub struct Figures {
    samples: Vec<Sample>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its name, with whatever stands behind the family's.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

impl Figures {
    /// Scrapes a server in Prometheus' text format.
    ///
    /// # Panics
    /// When what it gives is not of that format.
    pub async fn of(server: &GavelServer) -> Self {
        let answer = server.operator().get("/metrics").await;
        assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        Self { samples: parse(&answer.text(), false) }
    }

    /// Scrapes a server in the format of OpenMetrics.
    ///
    /// # Panics
    /// When what it gives is not of that format.
    pub async fn of_open_metrics(server: &GavelServer) -> Self {
        let operator = server.operator();
        let request = operator.request(reqwest::Method::GET, "/metrics").header("accept", OPEN_METRICS);
        let answer = operator.send(request).await;
        assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
        Self { samples: parse(&answer.text(), true) }
    }

    /// All of them.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The one figure of this name and exactly these labels; 0 where nothing was counted yet.
    #[must_use]
    pub fn one(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted: Labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let mut found = self.samples.iter().filter(|sample| sample.name == name && sample.labels == wanted);
        found.next().map_or(0.0, |sample| sample.value)
    }

    /// All figures of this name together.
    #[must_use]
    pub fn sum(&self, name: &str) -> f64 {
        self.samples.iter().filter(|sample| sample.name == name).map(|sample| sample.value).sum()
    }
}

/// Reads a whole exposition. Families are declared once and before their samples, histograms add up, no sample stands twice.
fn parse(text: &str, open_metrics: bool) -> Vec<Sample> {
    let body = if open_metrics {
        text.strip_suffix("# EOF\n").expect("OpenMetrics ends with EOF")
    } else {
        text.strip_suffix('\n').expect("the last line ends")
    };
    let mut declared = BTreeSet::new();
    let mut kind = String::new();
    let mut family = String::new();
    let mut samples: Vec<Sample> = Vec::new();
    for line in body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect("a help has words");
            assert!(!words.is_empty() && declared.insert(name.to_owned()), "{name} is declared twice: {line}");
            name.clone_into(&mut family);
        } else if let Some(declaration) = line.strip_prefix("# TYPE ") {
            let (name, of) = declaration.split_once(' ').expect("a type");
            assert_eq!(name, family, "{line}");
            let known = ["counter", "gauge", "histogram", "info"];
            assert!(known.contains(&of), "{line}");
            of.clone_into(&mut kind);
        } else {
            let sample = sample(line);
            let behind = sample.name.strip_prefix(&family).unwrap_or_else(|| panic!("{line} is not of {family}"));
            let allowed: &[&str] = match (kind.as_str(), open_metrics) {
                ("histogram", _) => &["_bucket", "_sum", "_count"],
                ("counter", true) => &["_total"],
                ("info", true) => &["_info"],
                _ => &[""],
            };
            assert!(allowed.contains(&behind), "{line} is no sample of the {kind} {family}");
            let twice = samples.iter().any(|other| other.name == sample.name && other.labels == sample.labels);
            assert!(!twice, "{line} stands twice");
            samples.push(sample);
        }
    }
    histograms_add_up(&samples);
    samples
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"))),
        None => (series, ""),
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    assert!(!name.is_empty() && name.chars().all(legal), "{line}");
    let mut sample = Sample {
        name: name.to_owned(),
        labels: Labels::new(),
        value: value.parse().unwrap_or_else(|_| panic!("{line}")),
    };
    assert!(sample.value.is_finite(), "{line}");
    // No label of ours holds a quote or a comma.
    for label in labels.split(',').filter(|label| !label.is_empty()) {
        let (name, value) = label.split_once('=').unwrap_or_else(|| panic!("{line}"));
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let value = value.unwrap_or_else(|| panic!("{line}"));
        assert!(name.chars().all(legal) && !value.contains('"'), "{line}");
        assert!(sample.labels.insert(name.to_owned(), value.to_owned()).is_none(), "{line}");
    }
    sample
}

/// Buckets grow, and the last holds as many as were counted.
fn histograms_add_up(samples: &[Sample]) {
    let mut buckets: BTreeMap<(String, Labels), Vec<(String, f64)>> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.name.ends_with("_bucket")) {
        let mut labels = sample.labels.clone();
        let le = labels.remove("le").expect("a bucket has a bound");
        let family = sample.name.trim_end_matches("_bucket").to_owned();
        buckets.entry((family, labels)).or_default().push((le, sample.value));
    }
    for ((family, labels), buckets) in buckets {
        assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{family} {labels:?} {buckets:?}");
        let count = samples.iter().find(|sample| sample.name == format!("{family}_count") && sample.labels == labels);
        let last = buckets.last().expect("a bucket");
        assert_eq!((last.0.as_str(), Some(last.1)), ("+Inf", count.map(|count| count.value)), "{family} {labels:?}");
    }
}
