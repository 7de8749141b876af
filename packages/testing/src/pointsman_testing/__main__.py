"""A lab vendor in a process of its own: ``python -m pointsman_testing``. Its base URL is the first line it prints."""

from __future__ import annotations

import argparse
import math
import signal

import anyio

from .lab import DEFAULT_SPEED, PROFILES, Answer, Lab, ModalEndpoint, dialect_of
from .mishaps import MISHAPS, failing


async def _serve(args: argparse.Namespace) -> str | None:
    """Until interrupted or terminated. Returns what kept it from that."""
    answer, lines = Answer(args.text or f"{args.vendor} answers."), args.vendor == "ollama"
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with Lab(speed=args.speed) as lab:
            try:
                vendor = lab.vendor(
                    args.vendor,
                    profile=PROFILES.get(args.vendor),
                    models=args.model,
                    api_key=args.key,
                    default=failing(args.fault, answer, every=args.every or 1, lines=lines) if args.fault else answer,
                    dialect=ModalEndpoint(start=args.start) if args.start else dialect_of(args.vendor),
                    port=args.port,
                )
            except (OSError, OverflowError) as error:
                return (
                    f"port {args.port} on 127.0.0.1: {getattr(error, 'strerror', None) or error}; 0 is any that is free"
                )
            print(vendor.base_url, flush=True)
            async for _ in signals:
                break
    return None


def main() -> None:
    """Serve until interrupted or terminated."""
    about = (__doc__ or "").replace("``", "")
    parser = argparse.ArgumentParser(prog="python -m pointsman_testing", description=about)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 (the default): any that is free")
    parser.add_argument(
        "--vendor",
        default="lab",
        choices=["lab", *PROFILES],
        help="whose speed it has, and whose dialect; lab: as fast as it can",
    )
    parser.add_argument(
        "--speed", type=float, default=DEFAULT_SPEED, help="how many times faster than a wall clock (default: 10)"
    )
    parser.add_argument(
        "--start",
        type=_seconds,
        metavar="SECONDS",
        help="with --vendor modal: what a container takes to start, at that speed (default: 0)",
    )
    parser.add_argument("--model", action="append", default=[], help="a model that it lists and knows; may be repeated")
    parser.add_argument("--key", help="the one key that it takes (default: any, or none)")
    parser.add_argument("--text", help="what it answers")
    kinds = "; ".join(f"{name}: {said}" for name, said in MISHAPS.items())
    parser.add_argument("--fault", choices=MISHAPS, help=f"what goes wrong with a chat. {kinds}")
    parser.add_argument("--every", type=_count, metavar="N", help="only with each Nth chat (default: with all)")
    args = parser.parse_args()
    if args.every and not args.fault:
        parser.error("--every says how often --fault happens: name one")
    if args.start is not None and args.vendor != "modal":
        parser.error("--start is of containers, which --vendor modal has")
    if problem := anyio.run(_serve, args):
        parser.error(problem)


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError("a number of seconds from 0 on is needed")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on is needed")
    return number


if __name__ == "__main__":
    main()
