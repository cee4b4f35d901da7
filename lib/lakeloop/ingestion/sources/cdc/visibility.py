"""Which transactions of a slot the first read of a table had seen already."""

from dataclasses import dataclass

EPOCH = 1 << 32  # a transaction's number goes on beyond 32 bits; pgoutput's Begin has the lower half


@dataclass(frozen=True)
class Snapshot:
    """What `pg_current_snapshot()` says: all below `xmin` had ended, none from `xmax` on, nor those `in_progress`."""

    xmin: int
    xmax: int
    in_progress: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "Snapshot":
        """`xmin:xmax:xip,…`, in numbers of 64 bits."""
        xmin, xmax, listed = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(int(each) for each in listed.split(",") if each))

    def sees(self, xid: int) -> bool:
        """Whether a committed transaction of this 32-bit number was visible, as `pg_visible_in_snapshot` has it."""
        whole = self.whole(xid)
        return whole < self.xmin or (whole < self.xmax and whole not in self.in_progress)

    def whole(self, xid: int) -> int:
        """The 64-bit number that ends so and is nearest to the snapshot: no two that live at once are 2^31 apart."""
        nearest = self.xmax - self.xmax % EPOCH + xid
        if nearest - self.xmax >= EPOCH // 2:
            return nearest - EPOCH
        return nearest + EPOCH if self.xmax - nearest > EPOCH // 2 else nearest
