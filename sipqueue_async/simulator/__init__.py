"""A simulated platform: a seeded model of a call centre, and a server with the platform's API in front of it.

The two halves are independent. `CallCentre` plays a `Plan` and records the `GroundTruth`. `Platform` (without a socket)
and `PlatformServer` serve the records of any `Centre`. `Simulator` combines them. Needs the extra ``simulator``.
"""

from importlib import import_module

from sipqueue_async._extras import needed_by

with needed_by("simulator", "SimPy"):
    import_module("simpy")

from sipqueue_async.simulator.back_ends import BackEnd
from sipqueue_async.simulator.calls import PhoneCall, PhoneCentre
from sipqueue_async.simulator.commands import CommandedCentre, CommandError
from sipqueue_async.simulator.faults import Faults, Reply
from sipqueue_async.simulator.model import CallCentre
from sipqueue_async.simulator.past_calls import BilledCentre, PastCall
from sipqueue_async.simulator.plan import Plan
from sipqueue_async.simulator.platform import Platform, PlatformOptions
from sipqueue_async.simulator.pushes import Pusher, PushFaults
from sipqueue_async.simulator.seats import Centre, PastCentre, Seat
from sipqueue_async.simulator.server import PlatformServer
from sipqueue_async.simulator.simulator import LiveCentre, Simulator
from sipqueue_async.simulator.truth import ExternalCall, GroundTruth, Offer, Outcome, Signing, StateInterval

__all__ = [
    "BackEnd",
    "BilledCentre",
    "CallCentre",
    "Centre",
    "CommandError",
    "CommandedCentre",
    "ExternalCall",
    "Faults",
    "GroundTruth",
    "LiveCentre",
    "Offer",
    "Outcome",
    "PastCall",
    "PastCentre",
    "PhoneCall",
    "PhoneCentre",
    "Plan",
    "Platform",
    "PlatformOptions",
    "PlatformServer",
    "PushFaults",
    "Pusher",
    "Reply",
    "Seat",
    "Signing",
    "Simulator",
    "StateInterval",
]
