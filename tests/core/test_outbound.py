from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from opssight.core.errors import InvalidInput, NotFound, TransientFailure
from opssight.core.outbound import AddressRefused, AllowedTarget, Policy, Resolver, resolve, special

PUBLIC, PUBLIC6 = "140.82.112.3", "2606:50c0:8000::153"


def names(**table: Sequence[str]) -> Resolver:
    def look_up(host: str, port: int) -> Sequence[str]:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return table[host.replace(".", "_").replace("-", "_")]
        return [host]

    return look_up


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "::1", "0.0.0.0", "0.1.2.3", "::",
        "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12:3456::1", "fec0::1",
        "169.254.169.254", "fe80::1", "fe80::1%eth0", "100.64.0.1", "100.127.255.255",
        "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:140.82.112.3", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1",
        "2002:7f00:1::", "2001:0:1:2::", "2001:db8::1", "3fff::1", "4000::1", "5f00::1", "100::1",
        "192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
    ],
)  # fmt: skip
def test_what_is_not_public_is_refused(address: str) -> None:
    assert special(ipaddress.ip_address(address))
    with pytest.raises(AddressRefused):
        Policy(resolve=lambda host, port: [address]).check("https://git.test")


@pytest.mark.parametrize(
    "address", [PUBLIC, PUBLIC6, "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.128.0.1", "2a00::1"]
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert special(ipaddress.ip_address(address)) == ""
    assert Policy(resolve=lambda host, port: [address]).check("git.test") == [ipaddress.ip_address(address)]


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_public_here(address: ipaddress.IPv4Address) -> None:
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert special(address)


def test_one_refused_address_among_many_refuses_the_host() -> None:
    policy = Policy(resolve=names(git_test=[PUBLIC, "10.0.0.5", PUBLIC6]))
    with pytest.raises(AddressRefused) as caught:
        policy.check("https://git.test:8443/x")
    assert caught.value.sentence == (
        "git.test has the address 10.0.0.5, a private address, and is not connected to. If that is meant, an "
        "administrator allows the host git.test with the network 10.0.0.5/32 and port 8443."
    )


def test_the_refusal_of_a_literal_address() -> None:
    with pytest.raises(
        AddressRefused, match=r"^fd00::1 is a private address.*network fd00::1/128 and port 80\.$"
    ):
        Policy().check("http://[fd00::1]/")


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        (AllowedTarget("git.corp.test", "10.0.0.0/8", (443,)), True),
        (AllowedTarget("GIT.corp.test.", "10.0.0.5/8"), True),
        (AllowedTarget("*.corp.test", "10.0.0.0/24", (80, 443)), True),
        (AllowedTarget("*", "10.0.0.5/32"), True),
        (AllowedTarget("corp.test", "10.0.0.0/8"), False),
        (AllowedTarget("*.git.corp.test", "10.0.0.0/8"), False),
        (AllowedTarget("*orp.test", "10.0.0.0/8"), False),
        (AllowedTarget("git.corp.test", "10.0.1.0/24"), False),
        (AllowedTarget("git.corp.test", "10.0.0.0/8", (8443,)), False),
        (AllowedTarget("git.corp.test", "::/0"), False),
    ],
)
def test_what_an_administrator_lists_is_allowed(target: AllowedTarget, allowed: bool) -> None:
    policy = Policy([target], resolve=names(git_corp_test=["10.0.0.5"]))
    if allowed:
        assert policy.check("https://Git.Corp.Test./") == [ipaddress.ip_address("10.0.0.5")]
    else:
        with pytest.raises(AddressRefused):
            policy.check("https://git.corp.test/")


def test_an_ipv4_address_in_ipv6_needs_its_own_listing() -> None:
    policy = Policy([AllowedTarget("*", "10.0.0.0/8")], resolve=names(git_test=["::ffff:10.0.0.5"]))
    with pytest.raises(AddressRefused, match="an IPv4 address in IPv6"):
        policy.check("git.test")


@pytest.mark.parametrize(
    ("given_host", "port", "asked"),
    [
        ("https://git.test/x", None, ("git.test", 443)),
        ("http://git.test/x", None, ("git.test", 80)),
        ("ssh://git@git.test/x", None, ("git.test", 22)),
        ("https://u:p@git.test:8443", None, ("git.test", 8443)),
        ("https://git.test:8443", 22, ("git.test", 22)),
        ("git.test", None, ("git.test", 443)),
        ("git.test:22", None, ("git.test", 22)),
        ("GIT.test.", 22, ("git.test", 22)),
        ("2a00::1", 22, ("2a00::1", 22)),
        ("[2a00::1]:22", None, ("2a00::1", 22)),
        ("https://evil.test#@git.test/", None, ("evil.test", 443)),
        ("https://git.test@evil.test/", None, ("evil.test", 443)),
    ],
)
def test_host_and_port_are_read_as_a_client_would(
    given_host: str, port: int | None, asked: tuple[str, int]
) -> None:
    seen: list[tuple[str, int]] = []

    def look_up(host: str, port: int) -> Sequence[str]:
        seen.append((host, port))
        return [PUBLIC]

    Policy(resolve=look_up).check(given_host, port)
    assert seen == [asked]


@pytest.mark.parametrize(
    "wrong", ["", "https://", "https:///x", "https://a b/", "https://host:port/", "[::1", "a\x00b"]
)
def test_what_is_no_host_is_said_so(wrong: str) -> None:
    with pytest.raises(InvalidInput, match="no usable host name"):
        Policy(resolve=lambda host, port: [PUBLIC]).check(wrong)


@pytest.mark.parametrize("spelling", ["127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "localhost"])
def test_other_spellings_of_this_machine_are_refused(spelling: str) -> None:
    with pytest.raises(AddressRefused, match="this machine"):
        Policy().check(f"http://{spelling}/")


def test_names_that_do_not_resolve() -> None:
    def failing(error: Exception) -> Resolver:
        def look_up(host: str, port: int) -> Sequence[str]:
            raise error

        return look_up

    with pytest.raises(TransientFailure, match="could not be looked up just now"):
        Policy(resolve=failing(socket.gaierror(socket.EAI_AGAIN, "again"))).check("git.test")
    for error in (socket.gaierror(socket.EAI_NONAME, "no"), UnicodeError("label too long"), OSError("no")):
        with pytest.raises(NotFound, match=r"There is no host git\.test"):
            Policy(resolve=failing(error)).check("git.test")
    with pytest.raises(NotFound, match="has no address"):
        Policy(resolve=lambda host, port: []).check("git.test")


def test_the_systems_resolver_knows_this_machine() -> None:
    assert "127.0.0.1" in resolve("127.0.0.1", 80)
