"""Who sits behind a web session: from where, on which device, through which channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sprint_platform.draws import U64, below, mix, pick, picker, remix, stream_key, threshold
from sprint_platform.draws import top_bits as top
from sprint_platform.profiles import COUNTRY
from sprint_platform.simulation.columns import word_column
from sprint_platform.storefront.contracts import CHANNELS, DEVICES
from sprint_platform.storefront.generation.cities import CITIES
from sprint_platform.storefront.generation.hours import I64, U8
from sprint_platform.title import COUNTRIES

# More people from abroad look around than buy.
_COUNTRIES = picker([44, 12, 9, 13, 9, 13])
_TRAVELS = threshold(0.03)
_DEVICES = picker([34, 58, 8])  # desktop, mobile, tablet


@dataclass(frozen=True)
class Agent:
    """A browser on an operating system, how many in a hundred of the device's visits it has, and
    the screens that it runs on. Shares and screens were chosen by hand, near what is common."""

    operating_system: str
    browser: str
    share: int
    screens: tuple[str, ...]


_PC = ("1920x1080", "2560x1440", "1536x864", "1366x768", "3840x2160")
_MAC = ("1440x900", "1728x1117", "2560x1440")
_CHROMEBOOK = ("1366x768", "1920x1080")
_ANDROID = ("360x800", "393x873", "412x915")
_IPHONE = ("390x844", "393x852", "430x932")
_IPAD = ("820x1180", "810x1080", "1024x1366")
_ANDROID_TABLET = ("800x1280", "753x1205")
AGENTS: dict[str, tuple[Agent, ...]] = {
    "desktop": (
        Agent("Windows", "Chrome", 45, _PC),
        Agent("Windows", "Edge", 14, _PC),
        Agent("Windows", "Firefox", 7, _PC),
        Agent("Windows", "Opera", 3, _PC),
        Agent("macOS", "Safari", 12, _MAC),
        Agent("macOS", "Chrome", 9, _MAC),
        Agent("macOS", "Firefox", 2, _MAC),
        Agent("Linux", "Chrome", 3, _PC),
        Agent("Linux", "Firefox", 3, _PC),
        Agent("ChromeOS", "Chrome", 2, _CHROMEBOOK),
    ),
    "mobile": (
        Agent("Android", "Chrome", 42, _ANDROID),
        Agent("Android", "Samsung Internet", 6, _ANDROID),
        Agent("Android", "Firefox", 2, _ANDROID),
        Agent("iOS", "Safari", 43, _IPHONE),
        Agent("iOS", "Chrome", 7, _IPHONE),
    ),
    "tablet": (
        Agent("iPadOS", "Safari", 58, _IPAD),
        Agent("iPadOS", "Chrome", 6, _IPAD),
        Agent("Android", "Chrome", 28, _ANDROID_TABLET),
        Agent("Android", "Samsung Internet", 8, _ANDROID_TABLET),
    ),
}

# Weights of CHANNELS. Customers with an account come more often through the game's own shop window
# and through the store's mails.
_ANONYMOUS_CHANNELS = picker([29, 39, 19, 2, 2, 9])
_CUSTOMER_CHANNELS = picker([38, 23, 9, 15, 11, 4])
CAMPAIGNS: dict[str, tuple[str, ...]] = {
    "email": ("newsletter", "back-in-stock", "cart-reminder", "birthday"),
    "social": ("creator-week", "launch-clips", "community-art"),
    "affiliate": ("partner-reviews", "partner-deals", "streamer-links"),
}

# Reserved for documentation by RFC 5737 (IPv4) and RFC 3849 (IPv6): nobody has these addresses.
IPV4_BLOCKS = ("192.0.2", "198.51.100", "203.0.113")
IPV6_PREFIX = "2001:db8"
_IPV6 = threshold(0.3)


def channels(seed: int, session_id: I64, customer: I64) -> U8:
    """Where the visitors come from: indices into CHANNELS."""
    draw = mix(stream_key(seed, "web channel"), session_id)
    return np.where(customer > 0, pick(_CUSTOMER_CHANNELS, draw), pick(_ANONYMOUS_CHANNELS, draw))


def strangers_country(seed: int, session_id: I64) -> U8:
    """The home countries of visitors whom the store does not know: indices into COUNTRIES."""
    return pick(_COUNTRIES, mix(stream_key(seed, "web country"), session_id))


def country_of_visit(seed: int, session_id: I64, home: U8) -> U8:
    """The countries they visit from, home or for a few another one: indices into COUNTRIES."""
    draw = mix(stream_key(seed, "web travel"), session_id)
    abroad = (home + 1 + below(remix(draw, 1), len(COUNTRIES) - 1)) % len(COUNTRIES)
    return np.where(top(draw) < _TRAVELS, abroad, home).astype(np.uint8)


@dataclass(frozen=True)
class Visitors:
    """The columns of ``raw_sessions`` that say who came, an entry per session."""

    device: pa.Array
    browser: pa.Array
    operating_system: pa.Array
    country: pa.Array
    city: pa.Array
    ip_address: pa.Array
    channel: pa.Array
    raw_data: pa.Array


def visitors(
    seed: int, session_id: I64, customer: I64, home: U8, country: U8, channel: U8
) -> Visitors:
    """Who came in the sessions. ``customer`` is 0 for nobody known; ``home`` and ``country`` index
    COUNTRIES, ``channel`` CHANNELS."""
    words = _words()
    # a customer has the same browser on each kind of device, and the same address at home
    person = np.where(customer > 0, customer, -session_id)
    device = pick(_DEVICES, mix(stream_key(seed, "web device"), session_id))
    owned = mix(stream_key(seed, "web agent"), person * len(DEVICES) + device)
    agent = words.agent[device, (owned >> np.uint64(48)).astype(np.intp)]
    screen = words.screen_first[agent] + below(remix(owned, 1), words.screen_count[agent])
    place = mix(stream_key(seed, "web place"), np.where(country == home, person, -session_id))
    campaign = words.campaign_first[channel] + below(
        mix(stream_key(seed, "web campaign"), session_id), words.campaign_count[channel]
    )
    city = words.city[country, (place >> np.uint64(48)).astype(np.intp)]
    return Visitors(
        device=word_column(DEVICES, device),
        browser=words.browser.take(pa.array(agent)),
        operating_system=words.operating_system.take(pa.array(agent)),
        country=word_column(COUNTRIES, country),
        city=words.city_name.take(pa.array(city)),
        ip_address=_ip_address(remix(place, 1)),
        channel=word_column(CHANNELS, channel),
        raw_data=pc.binary_join_element_wise(
            words.screen.take(pa.array(screen)),
            word_column([COUNTRY[code].language for code in COUNTRIES], home),
            words.campaign.take(pa.array(campaign)),
            "",
        ),
    )


def _ip_address(draw: U64) -> pa.Array:
    words = _words()
    old = words.ipv4.take(pa.array(below(remix(draw, 1), len(words.ipv4))))
    # a site, a net in it, and a host
    parts = (
        words.hexadecimal.take(pa.array(below(remix(draw, part), len(words.hexadecimal))))
        for part in (2, 3, 4)
    )
    site, net, host = parts
    new = pc.binary_join_element_wise(f"{IPV6_PREFIX}:", site, ":", net, "::", host, "")
    return pc.if_else(pa.array(top(draw) < _IPV6), new, old)


@dataclass(frozen=True)
class _Words:
    """The word tables as arrays. ``agent`` and ``city`` pick from a device's, or country's, by the
    upper 16 bits of a draw; ``screen`` and ``campaign`` are pieces of ``raw_data``: screens by
    agent, campaigns by channel, end to end."""

    agent: I64
    browser: pa.Array
    operating_system: pa.Array
    city: I64
    city_name: pa.Array
    screen: pa.Array
    screen_first: I64
    screen_count: I64
    campaign: pa.Array
    campaign_first: I64
    campaign_count: I64
    ipv4: pa.Array
    hexadecimal: pa.Array


@lru_cache(maxsize=1)
def _words() -> _Words:
    by_device = [AGENTS[device] for device in DEVICES]
    agents = [agent for some in by_device for agent in some]
    cities = [CITIES[country] for country in COUNTRIES]
    screens = [agent.screens for agent in agents]
    campaigns = [CAMPAIGNS.get(channel, ()) for channel in CHANNELS]
    endings = [[f'", "campaign": "{name}"}}' for name in names] or ['"}'] for names in campaigns]
    return _Words(
        agent=_pickers([[agent.share for agent in some] for some in by_device]),
        browser=pa.array([agent.browser for agent in agents]),
        operating_system=pa.array([agent.operating_system for agent in agents]),
        city=_pickers([[city.thousands for city in some] for some in cities]),
        city_name=pa.array([city.name for some in cities for city in some]),
        screen=pa.array(
            [f'{{"screen": "{size}", "language": "' for some in screens for size in some]
        ),
        screen_first=_firsts(screens),
        screen_count=np.array([len(some) for some in screens], np.int64),
        campaign=pa.array([ending for some in endings for ending in some]),
        campaign_first=_firsts(endings),
        campaign_count=np.array([len(some) for some in endings], np.int64),
        ipv4=pa.array([f"{block}.{host}" for block in IPV4_BLOCKS for host in range(1, 255)]),
        # four digits each: no zeros in front, which RFC 5952 would leave out
        hexadecimal=pa.array([f"{number:x}" for number in range(0x1000, 0x10000)]),
    )


def _firsts(lists: Sequence[Sequence[object]]) -> I64:
    """Where each of the lists begins, end to end."""
    return np.cumsum([0, *(len(some) for some in lists[:-1])])


def _pickers(weights: Sequence[Sequence[int]]) -> I64:
    """Tables like ``picker``'s, one for each list, of places in all lists end to end."""
    firsts = _firsts(weights)
    tables = [picker(some) + first for some, first in zip(weights, firsts, strict=True)]
    return np.stack(tables)
