//! Channels that exist together or not at all.

use super::channels::Channels;
use super::relation::Relation;
use crate::ir::Graph;

/// A partition of the channels' numbers.
pub(super) struct Classes {
    parent: Vec<usize>,
}

impl Classes {
    /// Puts linked channels into one class.
    pub(super) fn of(graph: &Graph, channels: &Channels) -> Self {
        let mut classes = Self { parent: (0..channels.len()).collect() };
        for (node, relation) in channels.nodes(graph) {
            if let Relation::Linked(links) = relation {
                for link in links {
                    let (from, to) = channels.linked(node, link);
                    classes.join(from, to);
                }
            }
        }
        // From now on every channel knows its class at once.
        for channel in 0..classes.parent.len() {
            classes.parent[channel] = classes.root(channel);
        }
        classes
    }

    /// The class of a channel: the number of one of its members.
    pub(super) fn class(&self, channel: usize) -> usize {
        self.parent[channel]
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }

    fn root(&mut self, mut channel: usize) -> usize {
        while self.parent[channel] != channel {
            self.parent[channel] = self.parent[self.parent[channel]];
            channel = self.parent[channel];
        }
        channel
    }
}
