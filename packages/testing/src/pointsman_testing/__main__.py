"""A lab vendor in a process of its own: ``python -m pointsman_testing``. Its base URL is the first line it prints."""

from __future__ import annotations

import argparse
import signal

import anyio

from .lab import DEFAULT_SPEED, PROFILES, Answer, Lab, OllamaApi


async def _serve(args: argparse.Namespace) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with Lab(speed=args.speed) as lab:
            vendor = lab.vendor(
                args.vendor,
                profile=PROFILES.get(args.vendor),
                models=args.model,
                default=Answer(args.text) if args.text else None,
                dialect=OllamaApi() if args.vendor == "ollama" else None,
                port=args.port,
            )
            print(vendor.base_url, flush=True)
            async for _ in signals:
                return


def main() -> None:
    """Serve until interrupted or terminated."""
    parser = argparse.ArgumentParser(prog="python -m pointsman_testing", description=__doc__)
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
    parser.add_argument("--model", action="append", default=[], help="a model that it lists and knows; may be repeated")
    parser.add_argument("--text", help="what it answers")
    anyio.run(_serve, parser.parse_args())


if __name__ == "__main__":
    main()
