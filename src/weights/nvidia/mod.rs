//! Pickles of persistent objects, as NVIDIA's PyTorch code writes its networks: tensors under the
//! names of their modules, settings from the modules' attributes.
//!
//! Each module in such a file is a persistent object: class name, source code and attributes. The
//! source is never run or parsed; its sha256 goes to the provenance and distinguishes forks.

use super::container::{Container, Draft, Network, Probe};
use super::pickle::value::{Heap, Node, Value};
use super::pickle::{self, Loaded};
use super::torch::{Tree, class, module};
use crate::error::Result;
use serde_json::{Map, Value as Json, json};

/// Characters of a module's source in which a notice is looked for.
const NOTICE: usize = 4096;

/// The container.
pub(super) const CONTAINER: Container = Container {
    name: "nvidia-pickle",
    begins: pickle::begins,
    holds: |probe| {
        let holds = |p: &Loaded| network(&p.heap, &p.root, probe.network).is_some();
        probe.pickle.as_ref().is_some_and(holds)
    },
    read,
};

/// The network that is wanted of a file: `G_ema`, else `G`; `D`; else the file's only value.
fn network(heap: &Heap, root: &Value, wanted: Network) -> Option<(&'static str, Value)> {
    let persistent = |v: &Value| matches!(heap.node(v), Some(Node::Persistent(_)));
    let names: &[&'static str] = match wanted {
        Network::Generator | Network::Encoder => &["G_ema", "G"],
        Network::Discriminator => &["D"],
    };
    let named = names
        .iter()
        .copied()
        .find_map(|k| Some((k, heap.get(root, k).filter(|v| persistent(v))?.clone())));
    named.or_else(|| persistent(root).then(|| ("network", root.clone())))
}

/// A network's tensors, the classes of its modules, and their attributes as one tree:
/// `{"class": …, attribute: …, "_modules": {name: {…}}}`.
fn read(probe: &Probe<'_>) -> Result<Draft> {
    let Some(loaded) = &probe.pickle else {
        return Err(probe.source.fail(0, "the file does not contain a pickle"));
    };
    let mut tree = Tree::new(probe, loaded);
    let Some((name, network)) = network(&loaded.heap, &loaded.root, probe.network) else {
        return Err(probe.source.fail(0, "the file does not contain a persistent network"));
    };
    if name == "G" {
        tree.draft.notes.push("the file has no G_ema; G is read instead".into());
    }
    tree.draft.config = module(&mut tree, &network, "")?;
    let heap = tree.heap();
    let mut provenance = json!({"network": name, "class": class(heap, &network)});
    if let Some(Node::Persistent(meta)) = heap.node(&network) {
        provenance["module_src_sha256"] = tree.source_hash(meta, "module_src")?;
        if let Some(notice) = notice(heap, meta)? {
            provenance["notice"] = notice.into();
        }
    }
    let also: Map<String, Json> = heap
        .pairs(&loaded.root)
        .iter()
        .filter_map(|(key, value)| match (key, heap.node(value)) {
            (Value::Text(key), Some(Node::Persistent(_) | Node::Object(..))) if **key != *name => {
                Some((key.to_string(), class(heap, value).into()))
            }
            _ => None,
        })
        .collect();
    if !also.is_empty() {
        provenance["also"] = Json::Object(also);
    }
    tree.draft.provenance = provenance;
    tree.finish()
}

/// The lines of a module's source that say whose it is: its first comments that speak of copyright
/// or a licence.
fn notice(heap: &Heap, meta: &Value) -> Result<Option<String>> {
    let head = match heap.get(meta, "module_src") {
        Some(Value::Text(t)) => t.chars().take(NOTICE).collect(),
        Some(v) => match heap.node(v) {
            Some(Node::Bytes(source)) => {
                let bytes = source.read(0, source.len().min(NOTICE as u64))?;
                String::from_utf8_lossy(&bytes).into_owned()
            }
            _ => return Ok(None),
        },
        None => return Ok(None),
    };
    let comments = head.lines().filter_map(|line| line.trim().strip_prefix('#').map(str::trim));
    let told: Vec<&str> = comments
        .filter(|l| {
            let l = l.to_lowercase();
            l.contains("copyright") || l.contains("licen")
        })
        .take(2)
        .collect();
    Ok((!told.is_empty()).then(|| told.join(" ")))
}
