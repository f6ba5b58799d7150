"""Sound of a clip on its way into another: copied where the container takes it, else encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.packet import Packet

_NAMES = {"aac": "AAC", "libopus": "Opus"}
# Layouts that every decoder of these codecs knows, fewest channels first.
_LAYOUTS = {
    "aac": ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1"),
    "libopus": ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1"),
}
# Layouts that FLAC names itself; others are only told by containers that do not come along.
_FLAC_LAYOUTS = frozenset(
    {"mono", "stereo", "3.0", "quad", "5.0", "5.0(side)", "5.1", "5.1(side)", "6.1", "7.1"}
)
# What Opus works at, whatever it is given.
_OPUS_RATE = 48000
_BITS_PER_CHANNEL = 64000


class Sound:
    """One stream of sound.

    Parameters
    ----------
    av : module
    container : av.OutputContainer
        Gets a stream more.
    source : av.AudioStream
    kept : frozenset of str
        Codecs that are copied.
    encoder : str
        What encodes others.

    Attributes
    ----------
    notes, problems : list of str
        What had to be changed of the sound, and what was lost, to be read when all is written.
    """

    def __init__(
        self, av: Any, container: Any, source: Any, kept: frozenset[str], encoder: str
    ) -> None:
        self._av, self._mux, self._source = av, container.mux, source
        self.notes: list[str] = []
        self.problems: list[str] = []
        self._damaged = self._changed = 0
        self._header: bytes | None = None
        self._resampler: Any = None
        self._shape: tuple | None = None
        self._stream: Any = None
        codec = source.codec_context.codec.canonical_name
        tells = codec != "flac" or source.codec_context.layout.name in _FLAC_LAYOUTS
        self._copied = codec in kept and tells
        if self._copied:
            self._stream = container.add_stream_from_template(source)
        elif layout := self._layout(encoder):
            self._stream = container.add_stream(encoder, rate=self._rate(encoder), layout=layout)
            if self._stream.codec_context.layout.nb_channels > 2:
                channels = self._stream.codec_context.layout.nb_channels
                self._stream.codec_context.bit_rate = channels * _BITS_PER_CHANNEL

    def write(self, packet: Packet) -> None:
        """Write a packet of the source; those that cannot be decoded are counted."""
        if self._stream is None:
            return
        if packet.is_corrupt:
            self._damaged += 1
        elif self._copied and self._changes(packet):
            self._changed += 1
        elif self._copied:
            damaged = self._damaged
            # A damaged packet would make a clip of the copy that is damaged too.
            self._decoded(packet.decode)
            if self._damaged == damaged:
                packet.stream = self._stream
                self._mux(packet)
        else:
            self._encode(self._decoded(packet.decode))

    def finish(self) -> None:
        """Write what decoder and encoder still hold."""
        if self._stream is not None and not self._copied:
            self._encode(self._decoded(lambda: self._source.codec_context.decode(None)))
            self._drain()
            self._mux(self._stream.encode())
        if self._damaged:
            self.problems.append(f"damaged packets of its sound, left out: {self._damaged}")
        if self._changed:
            self.problems.append(
                f"packets of its sound with another rate or layout, left out: {self._changed}"
            )

    def _changes(self, packet: Packet) -> bool:
        """Tell whether AAC of a broadcast has another rate or layout than at its beginning.

        There each packet says so (ISO/IEC 13818-7, 6.2); files say it once.
        """
        head = bytes(memoryview(packet)[:4])
        if self._source.codec_context.codec.canonical_name != "aac" or len(head) < 4:
            return False
        if head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
            return False
        header = bytes([head[2] & 0xFD, head[3] & 0xC0])
        self._header = self._header or header
        return header != self._header

    def _decoded(self, decode: Callable[[], list]) -> list:
        try:
            return decode()
        except self._av.FFmpegError as error:
            # What this decoder only does not know another may.
            damaged = isinstance(error, self._av.error.InvalidDataError)
            self._damaged += damaged or not self._copied
            return []

    def _encode(self, frames: Iterable[Any]) -> None:
        for frame in frames:
            if frame.pts is not None and frame.pts < 0:
                # A part of a packet before the first frame would delay all else.
                frame.pts = 0
            shape = (frame.format.name, frame.layout.name, frame.sample_rate)
            # Broadcasts change from stereo to 5.1 and back without another stream.
            if shape != self._shape:
                self._drain()
                context = self._stream.codec_context
                self._resampler = self._av.AudioResampler(
                    format=context.format, layout=context.layout, rate=context.sample_rate
                )
                self._shape = shape
            for resampled in self._resampler.resample(frame):
                self._mux(self._stream.encode(resampled))

    def _drain(self) -> None:
        """Encode what the resampler holds."""
        if self._resampler is not None and self._shape is not None:
            for resampled in self._resampler.resample(None):
                if resampled is not None:
                    self._mux(self._stream.encode(resampled))

    def _rate(self, encoder: str) -> int:
        """Choose the rate: the source's own, or the nearest that loses least."""
        rate = self._source.codec_context.sample_rate
        able = sorted(self._av.Codec(encoder, "w").audio_rates or [rate])
        if encoder == "libopus":
            able = [_OPUS_RATE]
        if rate in able:
            return rate
        above = [one for one in able if one > rate]
        parts = [one for one in able if rate % one == 0]
        chosen = min(above) if above else max(parts or able)
        # Opus is 48 kHz by definition; that it takes 44.1 kHz up is no news.
        if encoder != "libopus" or not above:
            self.notes.append(
                f"its sound of {rate / 1000:g} kHz is resampled to {chosen / 1000:g} kHz, "
                f"as {_NAMES[encoder]} does not know that rate"
            )
        return chosen

    def _layout(self, encoder: str) -> str | None:
        """Choose the smallest layout that has all speakers of the source."""
        layout = self._source.codec_context.layout
        able = {name: self._speakers(self._av.AudioLayout(name)) for name in _LAYOUTS[encoder]}
        speakers = self._speakers(layout)
        if speakers is None:
            fits = [name for name, own in able.items() if len(own or ()) == layout.nb_channels]
        else:
            fits = [name for name, own in able.items() if own and speakers <= own]
        if fits:
            return fits[0]
        codec = _NAMES[encoder]
        if speakers is None or layout.nb_channels > 8:
            self.problems.append(
                f"its sound of {layout.nb_channels} channels has no place in {codec}, left out"
            )
            return None
        name = max(able, key=lambda name: (len((able[name] or set()) & speakers), -len(name)))
        self.notes.append(
            f"its {layout.name} sound is mixed to {name}, as {codec} has no such layout"
        )
        return name

    @staticmethod
    def _speakers(layout: Any) -> frozenset[str] | None:
        """Names of a layout's speakers, or None where they are not said.

        Speakers at the sides are the ones at the back where there are no others at the back.
        """
        names = {channel.name for channel in layout.channels}
        if len(names) < layout.nb_channels or "NONE" in names:
            return None
        if not names & {"BL", "BR"}:
            names = {{"SL": "BL", "SR": "BR"}.get(name, name) for name in names}
        return frozenset(names)


def has_sound(stream: Any) -> bool:
    """Tell whether a stream of sound can be decoded, and says what it is."""
    context = stream.codec_context
    return bool(context is not None and context.sample_rate > 0 and context.layout.nb_channels > 0)
