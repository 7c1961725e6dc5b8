"""``solon serve``: one process, from the command line's words to the last stream's end."""

import ipaddress
import logging
import os
import socket
import sys
import time
from pathlib import Path

import uvicorn

from constitution.errors import InputError
from solon.database import Database
from solon.review.opened import open_review
from solon.web.accounts.store import Accounts
from solon.web.app import create_app
from solon.web.asked import ServeAsked
from solon.web.door.ending import Ending
from solon.web.door.security import without_port
from solon.web.places import root_of, runs_of
from solon.web.site import LOOPBACK, Front, Site

AT_ONCE = 900  # connections; a process may have 1,024 files open on most machines
PATIENCE = 1  # seconds that requests under way have at the end


class Server(uvicorn.Server):
    """Lets go of the streams as soon as it is told to stop, and is not in a hurry about anything else."""

    def __init__(self, config: uvicorn.Config, ending: Ending) -> None:
        super().__init__(config)
        self._ending = ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending.end()
        await super().shutdown(sockets)


def serve_until_stopped(asked: ServeAsked) -> None:
    """Says where it listens, what it serves, and how the first admin gets in. Returns on Ctrl-C."""
    if asked.behind_tls and not asked.allow_hosts:
        raise InputError("--behind-tls", "browsers come by another name", "add --allow-host NAME, the proxy's own")
    if root_of(asked.place) and not runs_of(asked.place):
        raise InputError(str(asked.place), "holds no run and no run.toml", "make one: solon init DIR")
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    with listen(asked.host, asked.port) as listening:
        site = open_site(asked)
        server = server_of(site, asked)
        tell(asked, site, listening.getsockname()[1])
        try:
            server.run([listening])
        except KeyboardInterrupt:
            print("stopped", flush=True)


def server_of(site: Site, asked: ServeAsked) -> Server:
    """It writes no line for a request: addresses may hold what is nobody else's business."""
    config = uvicorn.Config(
        create_app(site),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=asked.behind_tls,
        forwarded_allow_ips="127.0.0.1,::1",
        limit_concurrency=AT_ONCE,
        timeout_graceful_shutdown=PATIENCE,
        lifespan="off",
        ws="none",
    )
    return Server(config, site.ending)


def open_site(asked: ServeAsked) -> Site:
    root, front = root_of(asked.place), Front(LOOPBACK | names_of(asked), asked.behind_tls)
    return Site(
        root=root,
        accounts=Accounts.open(accounts_database(root, asked.database_env)),
        clock=time.time,
        look=lambda: runs_of(asked.place),
        open_store=open_review,
        front=front,
    )


def names_of(asked: ServeAsked) -> frozenset[str]:
    """What the service goes by beside the names of this machine. Raises InputError."""
    for name in asked.allow_hosts:
        if not without_port(bracketed(name)):
            raise InputError(f"--allow-host {name}", "is no name of a host", "give NAME or NAME:PORT, without https://")
    return frozenset(filter(None, (without_port(bracketed(name)) for name in (asked.host, *asked.allow_hosts))))


def accounts_database(root: Path, variable: str | None) -> Database:
    """A file in the served folder, or a schema of the PostgreSQL database that the variable names."""
    return (
        Database.of_variable(variable, "accounts", "--database-env")
        if variable
        else Database.file(root / "accounts.db")
    )


def listen(host: str, port: int) -> socket.socket:
    """Raises InputError where it cannot."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        listening = socket.create_server(found[0][4][:2], family=found[0][0], backlog=1024)
        # Accepted connections inherit it; asyncio would set it only where the socket names its protocol. Without it
        # a reply's body waits up to 40 ms for the acknowledgement of its head.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except socket.gaierror:
        raise InputError(f"--host {host}", "is no address of this machine", "name one, such as 127.0.0.1") from None
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(f"--port {port}", f"cannot be had ({why})", "name another; 0 picks a free one") from None


def tell(asked: ServeAsked, site: Site, port: int) -> None:
    url = url_of(asked.host, port)
    print(f"listening on {url}", f"serving {', '.join(site.runs())} of {site.root}", sep="\n")
    if not is_loopback(asked.host) and not asked.behind_tls:
        print(
            f"warning: {asked.host} can be reached from other machines, and passwords travel unencrypted: "
            "put a reverse proxy that speaks https in front, serve on 127.0.0.1 and add --behind-tls"
        )
    token = site.accounts.first_link(site.clock())
    if token:
        there = f"https://{asked.allow_hosts[0]}" if asked.behind_tls else url
        print(f"nobody is an admin yet; whoever opens this link becomes it: {there}/invite#{token}")
    sys.stdout.flush()


def url_of(host: str, port: int) -> str:
    """Where a browser on this machine finds it."""
    name = "127.0.0.1" if host == "0.0.0.0" else "[::1]" if host == "::" else bracketed(host)
    return f"http://{name}:{port}"


def bracketed(host: str) -> str:
    """An IPv6 address as it stands in a URL."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
