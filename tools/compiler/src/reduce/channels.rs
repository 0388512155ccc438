//! The channels of every tensor, and what connects them.

use std::ops::Range;

use super::relation::{Link, Relation, relate};
use crate::ir::{Graph, Node, TensorId};

/// The channel axis of every activation, a number for each of its channels, and every node's
/// relation.
pub(super) struct Channels {
    axes: Vec<Option<usize>>,
    /// The number of each tensor's first channel; one entry more than there are tensors.
    first: Vec<usize>,
    relations: Vec<Relation>,
}

impl Channels {
    /// Follows the channel axis from where channels arise, node by node.
    pub(super) fn of(graph: &Graph) -> Self {
        let mut axes = vec![None; graph.tensors.len()];
        for id in &graph.inputs {
            axes[id.0] = (graph.tensor(*id).shape.len() > 1).then_some(1);
        }
        let mut relations = Vec::with_capacity(graph.nodes.len());
        for node in &graph.nodes {
            let (axis, relation) = relate(graph, node, &axes);
            axes[node.output.0] = axis;
            relations.push(relation);
        }
        let mut first = vec![0];
        for (tensor, axis) in graph.tensors.iter().zip(&axes) {
            let channels = axis.map_or(0, |axis| tensor.shape[axis]);
            first.push(first[first.len() - 1] + channels);
        }
        Self { axes, first, relations }
    }

    /// The axis along which a tensor's channels lie, if single ones can be told apart.
    pub(super) fn axis(&self, id: TensorId) -> Option<usize> {
        self.axes[id.0]
    }

    /// The numbers of a tensor's channels.
    pub(super) fn range(&self, id: TensorId) -> Range<usize> {
        self.first[id.0]..self.first[id.0 + 1]
    }

    /// The number of one channel of a tensor.
    pub(super) fn number(&self, id: TensorId, channel: usize) -> usize {
        self.first[id.0] + channel
    }

    /// Number of channels of all tensors.
    pub(super) fn len(&self) -> usize {
        self.first[self.first.len() - 1]
    }

    /// The relation of the node with this index.
    pub(super) fn relation(&self, node: usize) -> &Relation {
        &self.relations[node]
    }

    /// The nodes and their relations.
    pub(super) fn nodes<'a>(
        &'a self,
        graph: &'a Graph,
    ) -> impl Iterator<Item = (&'a Node, &'a Relation)> {
        graph.nodes.iter().zip(&self.relations)
    }

    /// The numbers of the two channels that a link of `node` connects: the input's, the output's.
    pub(super) fn linked(&self, node: &Node, link: &Link) -> (usize, usize) {
        (self.number(node.inputs[link.input], link.from), self.number(node.output, link.to))
    }
}
