"""The sending half of a stream, for bytes that travel more than once.

aioquic's sender expects of each range that it sent to be either acknowledged or
lost, once. Here a range may be under way in several packets, may be given up and
acknowledged after all, in any order: what is acknowledged is never sent again, and
what is not acknowledged is never forgotten.
"""

from __future__ import annotations

from aioquic.quic.packet_builder import QuicDeliveryState
from aioquic.quic.stream import QuicStreamSender


class StreamSender(QuicStreamSender):
    """The sending half of one stream."""

    def on_data_delivery(
        self, delivery: QuicDeliveryState, start: int, stop: int, fin: bool
    ) -> None:
        """One packet with the bytes `start` to `stop` arrived, or is thought lost."""
        if self._reset_error_code is not None:
            return
        if delivery is QuicDeliveryState.ACKED:
            self._arrived(start, stop, fin)
        else:
            self.send_again(start, stop, fin)

    def on_reset_delivery(self, delivery: QuicDeliveryState) -> None:
        """One packet with the RESET_STREAM arrived, or is thought lost."""
        if delivery is QuicDeliveryState.ACKED:
            self.is_finished = True
            self.reset_pending = False
        elif not self.is_finished:
            self.reset_pending = True

    def send_again(self, start: int, stop: int, fin: bool) -> bool:
        """Queue what is not acknowledged of a range; whether there is such.

        :param fin: whether the end of the stream went with it.
        """
        if self._reset_error_code is not None:
            return False
        missing = False
        at = max(start, self._buffer_start)
        for known in self._acked:
            if known.start >= stop:
                break
            if at < known.start:
                self._pending.add(at, known.start)
                missing = True
            at = max(at, known.stop)
        if at < stop:
            self._pending.add(at, stop)
            missing = True
        if fin and not self._acked_fin:
            self._pending_eof = True
            missing = True
        if missing:
            self.buffer_is_empty = False
        return missing

    def is_missing(self, start: int, stop: int, fin: bool) -> bool:
        """Whether some of a range is not acknowledged and still wanted."""
        if self._reset_error_code is not None:
            return False
        if fin and not self._acked_fin:
            return True
        start = max(start, self._buffer_start)
        return start < stop and not any(
            known.start <= start and stop <= known.stop for known in self._acked
        )

    def _arrived(self, start: int, stop: int, fin: bool) -> None:
        start = max(start, self._buffer_start)
        if start < stop:
            if len(self._pending):
                self._pending.subtract(start, stop)
            if start == self._buffer_start and not len(self._acked):
                # Nearly always: the next bytes in order.
                self._release(stop)
            else:
                self._acked.add(start, stop)
                if self._acked[0].start == self._buffer_start:
                    self._release(self._acked.shift().stop)
        if fin:
            self._acked_fin = True
            self._pending_eof = False
        if self._buffer_start == self._buffer_fin and self._acked_fin:
            self.is_finished = True
        if not len(self._pending) and not self._pending_eof:
            self.buffer_is_empty = True

    def _release(self, stop: int) -> None:
        del self._buffer[: stop - self._buffer_start]
        self._buffer_start = stop
