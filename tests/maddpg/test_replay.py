"""The replay buffer: a ring whose successors are those of the same world, also at the seam."""

import pytest
import torch

from dtlib.maddpg.replay import Replay

LAYOUT = {"slot": ((), torch.int64), "world": ((), torch.int64)}


def rows(worlds, start, stop):
    """Slots start … stop − 1 of each world, in the order in which they are kept."""
    slot = torch.arange(start, stop).repeat_interleave(worlds)
    return {"slot": slot, "world": torch.arange(worlds).repeat(stop - start)}


@pytest.mark.parametrize("worlds", [1, 3])
@pytest.mark.parametrize("capacity", [12, 30, 1000])
def test_pairs_are_successive_slots_of_a_world(worlds, capacity):
    replay, generator = (
        Replay(capacity, fields=LAYOUT, worlds=worlds),
        torch.Generator().manual_seed(0),
    )
    for episode in range(5):
        for stretch in range(2):
            begin = 100 * episode + 4 * stretch
            replay.append(rows(worlds, begin, begin + 4), follows=stretch > 0)
            found = replay.sample(300, generator)
            first, second = found["slot"].view(2, -1), found["world"].view(2, -1)
            assert torch.equal(first[0] + 1, first[1])
            assert torch.equal(second[0], second[1])
    kept = min(capacity // worlds, 5 * 8)
    assert replay.count == min(capacity, 5 * 8 * worlds)
    newest = 404 + 4
    assert first.max() == newest - 1 and (kept > 16 or first.min() >= newest - 100 - kept)


def test_nothing_to_draw_without_a_successor():
    replay = Replay(10, fields=LAYOUT, worlds=2)
    replay.append(rows(2, 0, 1), follows=False)
    assert replay.sample(4, torch.Generator()) is None


def test_state_continues_with_the_same_draws():
    one, two = Replay(12, fields=LAYOUT, worlds=2), Replay(12, fields=LAYOUT, worlds=2)
    for begin in range(0, 20, 4):
        one.append(rows(2, begin, begin + 4), follows=begin > 0)
    two.load({name: array.clone() for name, array in one.state().items()})
    for replay in (one, two):
        replay.append(rows(2, 20, 23), follows=True)
    draws = [replay.sample(50, torch.Generator().manual_seed(1)) for replay in (one, two)]
    assert all(torch.equal(draws[0][name], draws[1][name]) for name in LAYOUT)
    with pytest.raises(ValueError, match="array"):
        two.load(one.state() | {"surplus": torch.zeros(1)})


def test_a_smaller_buffer_leaves_no_links():
    small, used = Replay(12, fields=LAYOUT, worlds=1), Replay(12, fields=LAYOUT, worlds=1)
    for replay, count in ((small, 4), (used, 10)):
        replay.append(rows(1, 0, count), follows=False)
    used.load(small.state())
    assert torch.equal(used.linked, small.linked)
    assert used.sample(100, torch.Generator().manual_seed(0))["slot"].max() == 3
