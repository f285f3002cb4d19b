"""Keys are changed before they wear out (RFC 9001 sections 6 and 6.6).

aioquic updates keys when it is asked and never asks itself; and from the moment
of an update it cannot read what the peer sent with the old ones, so that each
would lose a round trip of packets. Both are repaired here.
"""

from __future__ import annotations

from aioquic import tls
from aioquic._crypto import CryptoError
from aioquic.quic.connection import QuicConnection
from aioquic.quic.crypto import CryptoContext, CryptoPair
from aioquic.quic.packet import QuicErrorCode

CONFIDENTIALITY_LIMIT = 1 << 23
"""Packets that AES-GCM may protect with one key (RFC 9001 section 6.6); ChaCha20
may more. Beyond it the connection must end."""

KEY_UPDATE_AFTER = 1 << 22
"""Packets after which the key is changed: some 5 GB, half of the limit, so that an
update which the peer is slow to confirm is no hurry."""

INTEGRITY_LIMIT = 1 << 36
"""Packets that may fail authentication over a connection's life: ChaCha20's limit,
the lower one (RFC 9001 section 6.6)."""


class RetainingPair(CryptoPair):
    """Keys that still open what was sealed with the last ones (RFC 9001 section 6.5).

    :ivar forged: packets that no key opened.
    """

    def __init__(self, pair: CryptoPair) -> None:
        super().__init__()
        self.recv, self.send = pair.recv, pair.send
        self.forged = 0
        self._previous: CryptoContext | None = None

    def decrypt_packet(
        self, packet: bytes, encrypted_offset: int, expected_packet_number: int
    ) -> tuple[bytes, bytes, int]:
        """Header, payload and number of a packet; CryptoError when it is forged."""
        try:
            return super().decrypt_packet(packet, encrypted_offset, expected_packet_number)
        except CryptoError:
            if self._previous is not None:
                try:
                    return self._previous.decrypt_packet(
                        packet, encrypted_offset, expected_packet_number
                    )[:3]
                except CryptoError:
                    pass
            self.forged += self.recv.is_valid()
            raise

    def forget_previous(self) -> None:
        """What was sealed with the last keys does not come any more."""
        self._previous = None

    def teardown(self) -> None:
        """Forget the keys."""
        super().teardown()
        self.forget_previous()

    def _update_key(self, trigger: str) -> None:
        old = CryptoContext(key_phase=self.recv.key_phase)
        old.aead, old.hp, old.secret = self.recv.aead, self.recv.hp, self.recv.secret
        old.cipher_suite, old.version = self.recv.cipher_suite, self.recv.version
        super()._update_key(trigger)
        self._previous = old


class Keys(QuicConnection):
    """A connection that looks after its keys.

    :ivar key_update_after: packets after which the sending key is changed.
    :ivar key_updates: how often they were, by either end.
    """

    key_update_after = KEY_UPDATE_AFTER
    confidentiality_limit = CONFIDENTIALITY_LIMIT
    integrity_limit = INTEGRITY_LIMIT
    key_updates = 0

    _key_phase = 0
    _first_of_phase = 0
    _old_keys_until: float | None = None
    _pair: RetainingPair

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, object]]:
        """What to send; see the base class."""
        if self._handshake_confirmed and self._close_event is None:
            self._mind_keys(now)
        return super().datagrams_to_send(now)

    def _mind_keys(self, now: float) -> None:
        pair = self._pair
        if pair.send.key_phase != self._key_phase:
            self._key_phase = pair.send.key_phase
            self._first_of_phase = self._packet_number
            self.key_updates += 1
            self._old_keys_until = now + 3 * self._loss.get_probe_timeout()
        elif self._old_keys_until is not None and now >= self._old_keys_until:
            self._old_keys_until = None
            pair.forget_previous()
        protected = self._packet_number - self._first_of_phase
        if protected >= self.confidentiality_limit:
            self._keys_worn_out("the key has protected too many packets")
        elif protected >= self.key_update_after and self._phase_is_confirmed():
            self.request_key_update()
        if pair.forged >= self.integrity_limit:
            self._keys_worn_out("too many packets were forged")

    def _phase_is_confirmed(self) -> bool:
        # A key may be changed only when the peer is known to have it (section 6.1), and
        # nothing sealed with the one before it is under way any more (section 6.5).
        if self._old_keys_until is not None:
            return False
        return self._spaces[tls.Epoch.ONE_RTT].largest_acked_packet >= self._first_of_phase

    def _keys_worn_out(self, why: str) -> None:
        self.close(error_code=QuicErrorCode.AEAD_LIMIT_REACHED, frame_type=0, reason_phrase=why)

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        self._pair = RetainingPair(self._cryptos[tls.Epoch.ONE_RTT])
        self._cryptos[tls.Epoch.ONE_RTT] = self._pair
