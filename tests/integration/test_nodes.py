"""Several nodes on one database: mail goes on whatever happens to one of them, and comes once."""
from nodes_bed import *


def test_any_node_delivers():
    """Mail is delivered by the node that looks after its lane, whoever has accepted it."""
    bed = Bed(2)
    load = Load(bed.relays)
    load.wait(60)
    ids = load.stop()
    assert bed.check(ids) == {}
    assert {node_of(id) for id in ids} == {1, 2} and load.refused == []
    for relay, number in zip(bed.relays, (1, 2)):
        assert {node_of(id) for id in bed.delivered_by(relay)} == {1, 2}, number
