"""Places of a conversation: against a plain model in which each item knows the one before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from frontdesk.conversations.tree import Branch, Place, Stretch, Tree, cut

#  position  0   1   2   3   4
#  branch 0  a───b───c───d
#  branch 1          └───e───f      chosen when branch 2 was made
#  branch 2      └───g───h
#  branch 3  i
DRAWN = Tree([Branch(0, None, 0, 4), Branch(1, 0, 3, 5), Branch(2, 1, 2, 4), Branch(3, 2, 0, 1)], frozenset[Place]())


def test_a_branch_goes_along_those_before_it() -> None:
    assert DRAWN.path(1) == [Stretch(0, 0, 3), Stretch(1, 3, 5)]
    assert DRAWN.path(2) == [Stretch(0, 0, 2), Stretch(2, 2, 4)]
    assert DRAWN.path(3) == [Stretch(3, 0, 1)]
    assert DRAWN.path_to(Place(2, 2)) == [Stretch(0, 0, 2), Stretch(2, 2, 3)]
    assert DRAWN.path_to(None) == []
    assert DRAWN.size == 9


def test_what_follows_on_the_same_item_stands_beside() -> None:
    assert DRAWN.beside(Place(0, 3)) == DRAWN.beside(Place(1, 3)) == [Place(0, 3), Place(1, 3)]
    assert DRAWN.beside(Place(2, 2)) == [Place(0, 2), Place(2, 2)]
    assert DRAWN.beside(Place(3, 0)) == [Place(0, 0), Place(3, 0)]
    assert DRAWN.beside(Place(1, 4)) == [Place(1, 4)]


def test_an_item_that_was_deleted_is_passed_over() -> None:
    tree = Tree(DRAWN.branches, {Place(0, 2), Place(0, 0)})

    assert tree.before(Place(0, 1)) is None
    assert tree.beside(Place(0, 1)) == [Place(0, 1), Place(3, 0)]
    assert tree.before(Place(0, 3)) == Place(0, 1)
    assert tree.beside(Place(2, 2)) == [Place(0, 3), Place(1, 3), Place(2, 2)]


def test_a_new_branch_belongs_to_the_chosen_one_if_that_goes_through_the_item() -> None:
    assert DRAWN.spot_behind(Place(0, 1), chosen=1).branch == Branch(4, 1, 2, 2)
    assert DRAWN.spot_behind(Place(0, 2), chosen=2).branch == Branch(4, 0, 3, 3)
    assert DRAWN.spot_behind(None, chosen=2).branch == Branch(4, 2, 0, 0)


def test_at_the_end_of_a_branch_it_goes_on() -> None:
    for place in (Place(0, 3), Place(1, 4), Place(2, 3), Place(3, 0)):
        spot = DRAWN.spot_behind(place, chosen=1)
        assert (spot.is_new, spot.branch, spot.first) == (False, DRAWN.branches[place.branch], place.position + 1)


def test_an_empty_branch_is_gone_on_with() -> None:
    """It was made for an answer that never came."""
    tree = Tree([Branch(0, None, 0, 3), Branch(1, 0, 2, 2)])

    assert tree.spot_behind(Place(0, 1), chosen=1) == tree.end_of(1)
    assert tree.spot_behind(Place(0, 1), chosen=0).is_new


def test_a_path_is_cut_at_positions() -> None:
    assert cut(DRAWN.path(1), 2, 4) == [Stretch(0, 2, 3), Stretch(1, 3, 4)]
    assert cut(DRAWN.path(1), 5, 9) == []


class Model:
    """Items by their numbers: which one each follows on, where it is, and whether it is there."""

    def __init__(self) -> None:
        self.branches = [Branch(0, None, 0, 0)]
        self.chosen = 0
        self.before: dict[Place, Place | None] = {}
        self.deleted: set[Place] = set()
        self.ends: list[Place | None] = [None]  # by branch

    @property
    def tree(self) -> Tree:
        return Tree(self.branches, self.deleted)

    def add(self, after: Place | None, count: int) -> None:
        """As entering does, with what the tree says of the spot."""
        spot = self.tree.spot_behind(after, self.chosen)
        branch = spot.branch
        if spot.is_new:
            self.branches.append(branch)
            self.ends.append(after)
        for offset in range(count):
            place = Place(branch.number, spot.first + offset)
            self.before[place] = self.ends[branch.number]
            self.ends[branch.number] = place
        length = spot.first + count
        self.branches[branch.number] = Branch(branch.number, branch.parent, branch.fork, length)
        self.chosen = branch.number

    def there_before(self, place: Place | None) -> Place | None:
        found = None if place is None else self.before[place]
        while found is not None and found in self.deleted:
            found = self.before[found]
        return found

    def line(self, place: Place | None) -> list[Place]:
        """All that are there up to this one."""
        if place is None:
            return []
        return [*self.line(self.before[place]), *([] if place in self.deleted else [place])]


@given(st.data())
def test_whatever_is_said_where_the_tree_knows_it(data: st.DataObject) -> None:
    model = Model()
    for _ in range(data.draw(st.integers(1, 25))):
        there = [place for place in model.before if place not in model.deleted]
        match data.draw(st.sampled_from(["add", "add", "delete", "choose"])):
            case "add":
                model.add(data.draw(st.sampled_from([None, *there])), data.draw(st.integers(0, 3)))
            case "delete" if there:
                model.deleted.add(data.draw(st.sampled_from(there)))
            case _:
                model.chosen = data.draw(st.integers(0, len(model.branches) - 1))

    tree = model.tree
    assert tree.size == len(model.before)
    for branch in model.branches:
        places = [Place(number, at) for number, first, until in tree.path(branch.number) for at in range(first, until)]
        assert [place for place in places if place not in model.deleted] == model.line(model.ends[branch.number])
        assert [place.position for place in places] == list(range(branch.length))
    for place in model.before:
        if place not in model.deleted:
            before = model.there_before(place)
            assert tree.before(place) == before
            assert tree.beside(place) == sorted(
                each for each in model.before if each not in model.deleted and model.there_before(each) == before
            )
